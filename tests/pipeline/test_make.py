"""What make does by itself: install once, refuse another Python, say what it can do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

FAKE = '#!/bin/sh\nshift 2\necho "$*" >> calls\n'  # stands for .venv/bin/python -m pip


@pytest.fixture
def install(tmp_path):
    """Runs tools/install.sh in a folder with a pretended .venv; returns (completed process, pip's arguments)."""
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    pip = tmp_path / ".venv" / "bin" / "python"
    pip.parent.mkdir(parents=True)
    pip.write_text(FAKE)
    pip.chmod(0o755)

    def run(extras: str, python: str | Path = sys.executable):
        (tmp_path / "calls").unlink(missing_ok=True)
        command = ["sh", str(ROOT / "tools" / "install.sh"), str(python), extras]
        outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        calls = tmp_path / "calls"
        return outcome, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_it_installs_once_and_again_when_the_constraints_change(install, tmp_path):
    outcome, calls = install("book")
    assert outcome.returncode == 0 and len(outcome.stdout.splitlines()) == 1
    assert calls == ["install -q --disable-pip-version-check -c constraints.txt -e .[book]"]
    outcome, calls = install("book")
    assert (outcome.stdout, outcome.stderr, calls) == ("", "", [])
    with (tmp_path / "constraints.txt").open("a") as file:
        file.write("# a change\n")
    assert len(install("book")[1]) == 1


def test_what_the_tests_need_holds_what_the_book_needs(install):
    assert len(install("book")[1]) == 1
    assert install("book,test")[1] == ["install -q --disable-pip-version-check -c constraints.txt -e .[book,test]"]
    assert install("book,test")[1] == install("book")[1] == []


def test_each_extra_is_remembered_by_itself(install):
    assert len(install("book,grading")[1]) == 1
    assert len(install("book,test,grading")[1]) == 1, "what the tests need was not there"
    assert install("book,test")[1] == install("book,grading")[1] == install("book,test,grading")[1] == []


def test_a_failed_installation_is_tried_again(install, tmp_path):
    pip = tmp_path / ".venv" / "bin" / "python"
    pip.write_text(FAKE + "exit 1\n")
    assert install("book")[0].returncode == 1
    pip.write_text(FAKE)
    assert len(install("book")[1]) == 1


def test_another_python_is_refused_in_one_sentence(install, tmp_path):
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.2\nexit 1\n')
    old.chmod(0o755)
    for python, word in ((old, "3.10.2"), ("no-such-python", "there is no")):
        outcome, calls = install("book", python)
        assert outcome.returncode == 2 and calls == [] and len(outcome.stderr.splitlines()) == 1
        assert "3.11, 3.12 or 3.13 is needed" in outcome.stderr and word in outcome.stderr


def test_make_alone_says_what_it_can_do():
    outcome = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True)
    assert outcome.returncode == 0
    targets = "book test chapter pairs data verdicts sweep assignments grade test-grading serve bench clean"
    for target in targets.split():
        assert f"make {target}" in outcome.stdout
