"""`make assignments`: from each master all that an instructor needs, under build/assignments/SLUG.

    plain/SLUG.ipynb         for students, needs adlib and Matplotlib alone
    plain/ID/SLUG.ipynb      the same with the student's own variant, for each line of STUDENTS=ids.txt
    solution/SLUG.ipynb      with solutions and rubrics
    otter/                   student/SLUG.ipynb, SLUG-autograder.zip for Gradescope and `otter run`
    nbgrader/                source, release, gradebook.db, nbgrader_config.py
    instructor.md            checks, common errors, rubrics, and what never to hand out

Nothing is written unless the solution passes, each wrong answer is caught as the master says, and no student file holds
a secret.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import handout, handout_instructor, handout_nbgrader, handout_otter
from .assignments import Assignment, BadMaster, attempt, is_caught, read
from .handout_otter import PACKAGE
from .leaks import leaks, secrets

OUT = Path("build/assignments")
SECONDS = 900  # for a master's solution and all its wrong answers
ID = re.compile(r"[A-Za-z0-9][\w.@+-]*", re.ASCII)
Outcomes = dict[str, dict[str, str]]


class Refusal(Exception):
    """One sentence that says why nothing was made."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.handouts", description=__doc__.split("\n")[0])
    parser.add_argument("--assignment", default="", help="only this one, such as 01-geom")
    parser.add_argument("--students", type=Path, help="a file with one student id a line")
    parser.add_argument("--masters", type=Path, default=handout.MASTERS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    try:
        students = read_ids(options.students) if options.students else []
        paths = _masters(options.masters, options.assignment)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 2
    with ThreadPoolExecutor(2) as pool:  # the work is done in other processes
        complaints = list(pool.map(lambda path: _make_or_complain(path, options.out, students), paths))
    return 1 if any(complaints) else 0


def read_ids(path: Path) -> list[str]:
    """The ids of a file, one a line; each names a folder and seeds a variant. Raises Refusal."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path}: {getattr(error, 'strerror', None) or 'is not a text file'}") from error
    ids: list[str] = []
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        if not ID.fullmatch(name):
            raise Refusal(f"{path}, line {number}: {name!r} is no id; letters, digits and . _ @ + - are allowed")
        if name.lower() in (known.lower() for known in ids):
            raise Refusal(f"{path}, line {number}: {name} is there twice (capitals make no difference)")
        ids.append(name)
    if not ids:
        raise Refusal(f"{path}: there is no id in it")
    return ids


def make(path: Path, out: Path, students: Sequence[str] = ()) -> str:
    """Writes out/SLUG, which appears by rename; returns one line about it. Raises Refusal, BadMaster."""
    assignment = read(path)
    outcomes = outcomes_of(path)
    if complaints := _unlike_the_master(assignment, outcomes):
        raise Refusal(f"{path.name}: {'; '.join(complaints)}")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{assignment.slug}-", dir=out) as temporary:
        new = Path(temporary, assignment.slug)
        try:
            _fill(new, assignment, outcomes, students)
        except subprocess.SubprocessError as error:
            last = (getattr(error, "stderr", "") or "").strip().rpartition("\n")[2]
            raise Refusal(f"{path.name}: {error} {last}".strip()) from error
        if found := leaks(student_files(new), _secrets(assignment)):
            raise Refusal(f"{path.name}: {found[0].removeprefix(f'{new}/')}")
        old = out / assignment.slug
        if (old / "nbgrader" / "submitted").exists():
            raise Refusal(f"{old} holds submissions: move it away first")
        shutil.rmtree(old, ignore_errors=True)
        new.rename(old)
    wrong = len(assignment.of("wrong"))
    return f"{assignment.slug}: {assignment.points()} points, {wrong} wrong answers caught, {out / assignment.slug}"


def student_files(folder: Path) -> list[Path]:
    """What students may get, of all that was made."""
    parts = (folder / "plain", folder / "otter" / "student", folder / "nbgrader" / "release")
    return sorted(path for part in parts for path in part.rglob("*") if path.is_file())


def _fill(new: Path, assignment: Assignment, outcomes: Outcomes, students: Sequence[str]) -> None:
    name = f"{assignment.slug}.ipynb"
    handout.write_notebook(new / "plain" / name, handout.plain(assignment))
    for student in students:
        handout.write_notebook(new / "plain" / student / name, handout.plain(assignment, student))
    handout.write_notebook(new / "solution" / name, handout.plain(assignment, with_solution=True))
    handout_otter.write(assignment, new / "otter")
    handout_nbgrader.write(assignment, new / "nbgrader")
    (new / "instructor.md").write_text(handout_instructor.page(assignment, outcomes), encoding="utf-8")


def _secrets(assignment: Assignment) -> dict[str, str]:
    package = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    return secrets([assignment], also_open=package)


def _unlike_the_master(assignment: Assignment, outcomes: Outcomes) -> list[str]:
    """What the solution or a wrong answer gets that the master does not say."""
    found = [f"the solution fails {name}: {why}" for name, why in outcomes[""].items() if why]
    for cell in assignment.of("wrong"):
        if not is_caught(cell, outcomes[cell.name]):
            first = next((name for name, why in outcomes[cell.name].items() if why), "")
            meant = f"by {cell.caught} with {cell.hint!r}"
            found.append(f"{cell.name} should be caught {meant}, not by {first or 'nothing'}")
    return found


def outcomes_of(path: Path) -> Outcomes:
    """What the solution ("") and each wrong answer get, in a process of its own: a master closes modules for itself."""
    command = [sys.executable, "-c", "from adlib.companion.handouts import _print_outcomes as run; run()", str(path)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Refusal(f"{path.name}: its answers took more than {SECONDS} seconds") from error
    if run.returncode:
        raise Refusal(f"{path.name}: {run.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(run.stdout)


def _print_outcomes() -> None:
    assignment = read(sys.argv[1])
    outcomes = {"": attempt(assignment)}
    outcomes |= {c.name: attempt(assignment, {c.question: c.source}) for c in assignment.of("wrong")}
    print(json.dumps(outcomes))


def _masters(folder: Path, slug: str) -> list[Path]:
    paths = sorted(folder.glob("*.py"))
    if not paths:
        raise Refusal(f"there is no assignment in {folder}")
    if slug and slug not in (path.stem for path in paths):
        raise Refusal(f"ASSIGNMENT={slug}: must be one of {', '.join(path.stem for path in paths)}")
    return [path for path in paths if slug in ("", path.stem)]


def _make_or_complain(path: Path, out: Path, students: Sequence[str]) -> str:
    """Prints the line about one assignment; returns the complaint, if there is one."""
    try:
        print(make(path, out, students), flush=True)
    except (Refusal, BadMaster) as error:
        print(error, file=sys.stderr, flush=True)
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
