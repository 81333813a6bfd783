"""The committed verdicts against those that this build computed."""

import subprocess
import sys

from conftest import ROOT, missing


def test_no_verdict_changed_behind_its_entry():
    if not (ROOT / "build/claims.json").is_file():
        missing("build/claims.json is not there: run `make book` first")
    check = subprocess.run(
        [sys.executable, "-m", "adlib.companion.claims", "check"], cwd=ROOT, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout + check.stderr
