"""Runs one chapter: papermill, check, canonical form, results; all of it appears under RUNS/PROFILE, or none.

`python -m adlib.companion.run 01-geom-intuition --profile book` leaves SLUG.ipynb, SLUG.results.json and SLUG.run.json.
A run that fails ends in one sentence on stderr and leaves SLUG.partial.ipynb and SLUG.log instead.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import canonical, receipt
from .canonical import BadRun

LIMITS = {"smoke": 300, "book": 1800, "paper": 7 * 24 * 3600}  # seconds a chapter may take, by profile
PACKAGES = ("torch", "numpy", "scikit-learn", "matplotlib", "seaborn", "pandas")
OUTPUTS = (".results.json", ".run.json", ".ipynb")  # in the order in which they appear
LEFTOVERS = (".partial.ipynb", ".log")
NO_START = re.compile(r"Kernel died before replying|Kernel didn't respond|Address already in use")


def main() -> int:
    args = _arguments()
    die_with_parent()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        run(args.slug, args.profile, args.notebooks, args.runs, args.limit or LIMITS[args.profile], args.cell_limit)
    except (BadRun, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def run(slug: str, profile: str, notebooks: Path, runs: Path, limit: int, cell_limit: int | None = None) -> None:
    """Executes a chapter and publishes it under `runs/profile`. Raises BadRun or OSError with one sentence."""
    source, preset, out = notebooks / f"{slug}.ipynb", notebooks / "presets" / profile / f"{slug}.yml", runs / profile
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in notebooks.glob("[0-9][0-9]-*.ipynb"))) or "none"
        raise BadRun(f"no chapter {slug!r} in {notebooks} (there are: {known})")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f".{slug}-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{slug}-", dir=out))
    except OSError as error:
        raise BadRun(f"cannot write to {out}: {error.strerror}") from None
    try:
        for suffix in (*OUTPUTS, *LEFTOVERS):
            (out / f"{slug}{suffix}").unlink(missing_ok=True)
        canonical.check_source(_read(source))
        command = [sys.executable, "-m", "papermill", str(source), str(scratch / "raw.ipynb"), "-k", "python3"]
        command += ["--no-progress-bar", "--execution-timeout", str(cell_limit or limit)]
        command += ["-f", str(preset)] if preset.is_file() else []
        started, begin = datetime.now(UTC), time.monotonic()
        _execute(command, scratch, runs, limit, cell_limit or limit)
        about = {"slug": slug, "profile": profile, "started": started.isoformat(timespec="seconds")}
        about["seconds"] = round(time.monotonic() - begin, 1)
        _publish(scratch, out, slug, about)
    except BadRun as error:
        _keep_leftovers(scratch, out, slug, str(error))
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def die_with_parent() -> None:
    """Asks Linux to kill this process when its parent dies, so that a killed pipeline leaves nothing running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _execute(command: list[str], scratch: Path, runs: Path, limit: int, cell_limit: int) -> None:
    """Runs papermill and checks raw.ipynb; a kernel that did not start gets a second try. Raises BadRun."""
    log, raw = scratch / "log", scratch / "raw.ipynb"
    environment = _environment(scratch, runs)
    for attempt in (1, 2):
        code = _papermill(command, environment, log, limit)
        text = log.read_text(encoding="utf-8", errors="replace")
        cell = canonical.last_started(_read(raw)) if raw.is_file() else None
        if code == 0 or cell or attempt == 2 or not NO_START.search(text):
            break
    if code is None or "CellTimeoutError" in text:
        raise BadRun(f"timed out after {limit if code is None else cell_limit} s in cell {cell}")
    if "DeadKernelError" in text:
        raise BadRun(f"the kernel died in cell {cell} (out of memory?)")
    if raw.is_file():
        canonical.check(_read(raw))
    if code != 0:
        lines = [line for line in text.splitlines() if line.strip()]
        raise BadRun(f"papermill ended with exit status {code}: {lines[-1] if lines else 'it left no message'}")


def _papermill(command: list[str], environment: dict[str, str], log: Path, limit: int) -> int | None:
    """Papermill's exit status, None when `limit` seconds were over. It is in our process group, so it hears Ctrl-C."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, preexec_fn=die_with_parent
        )
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends papermill, which ends its kernel; harmless when it has ended by itself."""
    for number, patience in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def _environment(scratch: Path, runs: Path) -> dict[str, str]:
    """The environment in which equal runs give equal results and Jupyter writes nothing to stderr by itself."""
    profile = scratch.absolute() / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c = get_config()\nc.Application.log_level = 40\n")
    environment = dict(os.environ)
    environment.pop("MPLBACKEND", None)  # it would hide the figures
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment |= {
        "IPYTHONDIR": str(profile.parent),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, whatever the user has installed
        "MPLCONFIGDIR": str(_font_cache(runs)),
        "PYTHONHASHSEED": "0",
    }
    return environment


def _font_cache(runs: Path) -> Path:
    """A folder with matplotlib's list of fonts: making that list inside a notebook may write a line to stderr."""
    folder = runs.absolute() / ".matplotlib"
    if not list(folder.glob("fontlist*.json")):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", "import matplotlib.font_manager"]
        subprocess.run(command, env={**os.environ, "MPLCONFIGDIR": str(folder)}, capture_output=True, check=False)
    return folder


def _publish(scratch: Path, out: Path, slug: str, about: dict[str, Any]) -> None:
    """Writes the canonical notebook, the results and the side file about the run, by rename."""
    import nbformat

    nb = _read(scratch / "raw.ipynb")
    results = receipt.read(nb)
    about |= _costs(nb) | {
        "peak_memory_mb": round(_peak_memory() / 2**20),
        "device": results["params"].get("device", "cpu"),
        "host": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    canonical.canonicalise(nb)
    texts = (_json(results), _json(about), nbformat.writes(nb) + "\n")
    for suffix, text in zip(OUTPUTS, texts, strict=True):
        (scratch / suffix).write_text(text, encoding="utf-8")
    for suffix in OUTPUTS:
        (scratch / suffix).replace(out / f"{slug}{suffix}")


def _costs(nb: Any) -> dict[str, Any]:
    """Seconds of each cell, and the slowest one."""
    cells = [
        {
            "index": number,
            "seconds": round(cell["metadata"].get("papermill", {}).get("duration") or 0.0, 2),
            "first_line": cell["source"].strip().splitlines()[0],
        }
        for number, cell in enumerate(canonical.code_cells(nb), start=1)
    ]
    return {"cells": cells, "slowest": max(cells, key=lambda cell: cell["seconds"])}


def _peak_memory() -> int:
    """Bytes held at most by the largest process that we started, which is the kernel."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _keep_leftovers(scratch: Path, out: Path, slug: str, sentence: str) -> None:
    """Leaves the notebook as far as it got, and papermill's log with the sentence at its end."""
    if (scratch / "raw.ipynb").is_file():
        (scratch / "raw.ipynb").replace(out / f"{slug}.partial.ipynb")
    with (scratch / "log").open("a", encoding="utf-8") as log:
        log.write(f"\n{sentence}\n")
    (scratch / "log").replace(out / f"{slug}.log")


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise BadRun(f"{path} is not a notebook: {str(error).splitlines()[0]}") from None


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.run", description="Run one chapter and check it.")
    parser.add_argument("slug", help="for example 01-geom-intuition")
    parser.add_argument("--profile", default="book", choices=list(LIMITS))
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"))
    parser.add_argument("--runs", type=Path, default=Path("build/runs"))
    parser.add_argument("--limit", type=int, help="seconds the whole chapter may take (default: by profile)")
    parser.add_argument("--cell-limit", type=int, help="seconds one cell may take (default: as the chapter)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
