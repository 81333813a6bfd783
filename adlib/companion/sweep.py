"""Running a sweep: its points, and the lines they become."""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from .canaries import canary, check_canaries
from .protocols import evaluate
from .recorded import (
    RECORDED,
    SWEEPS,
    Json,
    SweepError,
    canonical,
    key_of,
    missing_keys,
    read_lines,
    read_sweep,
    write_by_rename,
)

# Recording


def append(name: str, points_dir: Path, sweeps: Path = SWEEPS, recorded: Path = RECORDED) -> int:
    """Adds the finished points among the missing ones to results/recorded/NAME.jsonl; returns how many.

    The file is written whole, sorted by key, and appears by rename; a lock keeps two appends apart.
    A point without a whole, matching file is left for the next sweep. Raises SweepError in a dirty tree.
    """
    clean_commit()
    points = read_sweep(sweeps / f"{name}.yml").points()
    path = recorded / f"{name}.jsonl"
    recorded.mkdir(parents=True, exist_ok=True)
    with _locked(recorded):
        lines = {line["key"]: line for line in read_lines(path)}
        finished = {key: _finished(points_dir / f"{key}.json", key) for key in points if key not in lines}
        new = {key: line for key, line in finished.items() if line}
        lines.update(new)
        write_by_rename(path, "".join(canonical(lines[key]) + "\n" for key in sorted(lines)))
    return len(new)


def _finished(path: Path, key: str) -> Json | None:
    """The point's line, or None when the file is missing, cut short or of another point."""
    try:
        line = json.loads(path.read_text(encoding="utf-8"))
        return line if line["key"] == key == key_of(line["point"]) and line["values"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # closing gives the lock back


def clean_commit() -> str:
    """The commit checked out here. Raises SweepError when the tree is dirty or is no git checkout."""
    changed = _git("status", "--porcelain").splitlines()
    if changed:
        raise SweepError(
            f"{len(changed)} uncommitted change(s), the first is {changed[0].strip()!r}: "
            "a record names the commit that made it, so sweep from a clean worktree (git worktree add)"
        )
    return _git("rev-parse", "HEAD").strip()


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join((getattr(error, "stderr", None) or str(error)).split())
        raise SweepError(f"recording needs a git checkout with a commit: git {arguments[0]} said {reason!r}") from None


# Points


def run_points(name: str, keys: Sequence[str], points_dir: Path) -> None:
    """Runs the points, one after the other, but for those that this commit has run. Raises SweepError, DataError."""
    commit = clean_commit()
    for key in keys:
        path = points_dir / f"{key}.json"
        if (_finished(path, key) or {}).get("commit") != commit:
            write_by_rename(path, canonical(run_point(name, key)) + "\n")


def run_point(name: str, key: str, sweeps: Path = SWEEPS) -> Json:
    """Runs one point on one thread and returns its line. Raises SweepError, DataError."""
    commit = clean_commit()
    sweep = read_sweep(sweeps / f"{name}.yml")
    point = sweep.points().get(key)
    if point is None:
        raise SweepError(f"sweep {name!r} has no point {key!r}: `sweep keys {name}` lists those that are missing")
    import torch

    torch.set_num_threads(1)
    started = time.perf_counter()
    values, dataset, shape = evaluate(point)
    return {
        "sweep": name,
        "key": key,
        "point": point,
        "values": values,
        "dataset": dataset,
        "profile": sweep.profile,
        "versions": versions(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "commit": commit,
        "duration_s": round(time.perf_counter() - started, 1),
        "canary": {"shape": list(shape), "scores": canary(point, shape)},
    }


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    import torch

    packages = {name: version(name) for name in ("numpy", "scikit-learn")}
    return {"python": sys.version.split()[0], "torch": str(torch.__version__), **packages}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.sweep", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="print the keys that results/recorded/NAME.jsonl lacks, one a line")
    keys.add_argument("name")
    points = commands.add_parser("points", help="run points, each unless this commit has, into POINTS_DIR/KEY.json")
    points.add_argument("name")
    points.add_argument("points_dir", type=Path)
    points.add_argument("keys", nargs="+", metavar="key")
    add = commands.add_parser("append", help="add finished points (POINTS_DIR/KEY.json) to results/recorded/NAME.jsonl")
    add.add_argument("name")
    add.add_argument("points_dir", type=Path)
    check = commands.add_parser("canaries", help="recompute the canaries of all recorded lines in use")
    check.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "keys":
            print("".join(f"{key}\n" for key in missing_keys(options.name)), end="")
        elif options.command == "points":
            run_points(options.name, options.keys, options.points_dir)
        elif options.command == "append":
            print(f"{append(options.name, options.points_dir)} point(s) appended to {RECORDED / options.name}.jsonl")
        else:
            write_by_rename(options.out, json.dumps(check_canaries(), indent=1, sort_keys=True) + "\n")
    except ValueError as error:  # SweepError and DataError
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
