"""Grades a folder of submissions: `make grade SUBMISSIONS=folder`, or python -m adlib.companion.grading folder.

The folder holds STUDENT.ipynb or STUDENT/any-name.ipynb for each student. What comes out lies under
build/grades/ASSIGNMENT: grades.csv, a report for each student, and written.md with what is marked by hand. Earlier
grades are kept beside it as ASSIGNMENT.1, ASSIGNMENT.2, ..., since somebody may have written marks into them.

Nobody is graded unless the master's own solution gets every point here. What a student's code may do: see `sandbox`.
"""

import argparse
import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import attach, reports, sandbox
from .assignments import Assignment, BadMaster, read
from .handout import MASTERS
from .judge import REFERENCE, Checked, Outcome
from .process import Limits

OUT = Path("build/grades")
UNKNOWN = "unknown"  # the folder of what belongs to no assignment
MARGIN = 120.0  # seconds that a judge may take beside the student's code


class Refusal(Exception):
    """One sentence that says why nobody is graded, and the exit status."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Task:
    """A notebook to grade, or a sentence that says why it cannot be; no path means the reference."""

    student: str
    slug: str
    path: Path | None = None
    why_not: str = ""


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 when everybody was graded."""
    args = _arguments(argv)
    limits = Limits(
        *(seconds * args.patience for seconds in (Limits.call, Limits.cell, Limits.whole)),
        memory=round(args.memory * 1e9),
        network=args.allow_network,
    )
    try:
        grade(args.submissions, args.masters, args.out, args.assignment, limits, args.jobs)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    except KeyboardInterrupt:
        print("interrupted: only the tables named above were written", file=sys.stderr)
        return 130
    return 0


def grade(
    folder: Path, masters: Path = MASTERS, out: Path = OUT, slug: str = "", limits: Limits | None = None, jobs: int = 2
) -> list[Outcome]:
    """Grades all that lies in a folder, writes the reports, and says on stdout how it goes. Raises Refusal."""
    limits = limits or Limits()
    begin = time.monotonic()
    assignments = _assignments(masters, slug)
    tasks = list(_tasks(folder, assignments, slug))
    _check_system(limits)
    wanted = [assignments[name] for name in sorted({task.slug for task in tasks} & set(assignments))]
    possible = sum(not task.why_not for task in tasks)
    with Judges([masters / f"{assignment.slug}.py" for assignment in wanted], limits, min(jobs, possible)) as judges:
        _check_references(wanted, judges)
        outcomes = []
        for outcome in judges.grade(tasks):
            outcomes.append(outcome)
            print(_line(outcome), flush=True)
    outcomes.sort(key=lambda outcome: (outcome.slug, outcome.student))
    for name in sorted({outcome.slug for outcome in outcomes}):
        _write(out / name, assignments.get(name), [outcome for outcome in outcomes if outcome.slug == name])
        print(f"{out / name / 'grades.csv'}")
    if not all(outcome.confined.get("files", True) for outcome in outcomes):
        print("this system cannot limit access to files (no Landlock): the submissions could read what you can")
    lost = sum(not outcome.checks for outcome in outcomes)
    print(f"graded: {len(outcomes) - lost}, impossible to grade: {lost}, in {time.monotonic() - begin:.0f} s")
    return outcomes


class Judges:
    """Processes that grade, each one submission at a time. One that hangs is replaced."""

    def __init__(self, masters: list[Path], limits: Limits, jobs: int) -> None:
        self._masters, self._limits = {path.stem: path for path in masters}, limits
        self._free: queue.SimpleQueue[_Judge] = queue.SimpleQueue()
        self._jobs = max(1, jobs)
        self._all: list[_Judge] = []
        self._is_over = False
        self._scratch = tempfile.TemporaryDirectory(prefix="adlib-grading-", ignore_cleanup_errors=True)

    def __enter__(self) -> "Judges":
        for _ in range(self._jobs):
            self._add()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for judge in self._all:
            judge.close()
        self._scratch.cleanup()

    def grade(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """The outcomes, in the order in which they come."""
        with ThreadPoolExecutor(self._jobs) as pool:
            waiting: list[Future[Outcome]] = [pool.submit(self.one, task) for task in tasks]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.__exit__()  # the threads wait for these
                raise

    def one(self, task: Task) -> Outcome:
        """What a task comes to."""
        if task.why_not:
            return Outcome(task.student, task.slug, notes=[task.why_not])
        judge = self._free.get()
        try:
            reply = judge.ask(
                {
                    "master": str(self._masters[task.slug]),
                    "notebook": str(task.path) if task.path else None,
                    "student": task.student,
                },
                self._limits.whole + MARGIN,
            )
        finally:
            if judge.is_alive:
                self._free.put(judge)
            else:
                self._add()
        if "broken" in reply:
            return Outcome(task.student, task.slug, notes=[reply["broken"]])
        return Outcome(**reply | {"checks": [Checked(**check) for check in reply["checks"]]})

    def _add(self) -> None:
        if self._is_over:
            return
        judge = _Judge(list(self._masters.values()), self._limits, self._scratch.name)
        self._all.append(judge)
        self._free.put(judge)


class _Judge:
    """A `judge` in a process of its own."""

    def __init__(self, masters: list[Path], limits: Limits, scratch: str) -> None:
        command = [sys.executable, "-m", "adlib.companion.judge", json.dumps(asdict(limits)), *map(str, masters)]
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment |= {"TMPDIR": scratch}  # which is removed even when a judge must be killed
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is ours
        )
        self.is_alive = True

    def ask(self, task: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The judge's reply; after so many seconds it is ended."""
        assert self._process.stdin and self._process.stdout
        watch = threading.Timer(seconds, self.close)
        watch.start()
        try:
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError):  # it has ended
            self.close()
            return {"broken": "grading it took too long or ended the grader's process; its points are unknown"}
        finally:
            watch.cancel()

    def close(self) -> None:
        """Ends the process, and with it the student's."""
        self.is_alive = False
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                stream.close()  # type: ignore[union-attr]


def _assignments(masters: Path, slug: str) -> dict[str, Assignment]:
    """The masters by their slugs; the one that is named, if any."""
    paths = sorted(masters.glob("*.py"))
    if not paths:
        raise Refusal(f"there is no master in {masters}")
    if slug and slug not in {path.stem for path in paths}:
        raise Refusal(f"there is no assignment {slug!r} (there are: {', '.join(path.stem for path in paths)})", 2)
    try:
        return {path.stem: read(path) for path in paths if slug in ("", path.stem)}
    except BadMaster as error:
        raise Refusal(f"nobody is graded: {error}") from None


def _tasks(folder: Path, assignments: dict[str, Assignment], slug: str) -> Iterator[Task]:
    """A task for each student and assignment in the folder."""
    if not folder.is_dir():
        raise Refusal(f"{folder} is not a folder", 2)
    handed: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            inside = (p for p in path.rglob("*.ipynb") if "/." not in f"/{p.relative_to(path)}")
            handed.setdefault(_printable(path.name), []).extend(sorted(inside))
        elif path.suffix == ".ipynb" or path.is_symlink():
            handed.setdefault(_printable(path.stem), []).append(path)
    if not handed:
        raise Refusal(f"{folder} holds no submission: STUDENT.ipynb, or STUDENT/any-name.ipynb, is expected", 2)
    tasks = [task for student, paths in handed.items() for task in _of_student(student, paths, assignments, slug)]
    slugs = {task.slug for task in tasks} - {""}
    only = slugs.pop() if len(slugs) == 1 else slug or UNKNOWN
    for task in tasks:
        yield task if task.slug else Task(task.student, only, task.path, task.why_not)


def _printable(name: str) -> str:
    """A student's name as it can be written everywhere: Unicode, and short enough for a file's name."""
    return name.encode("utf-8", "replace").decode()[:60]


def _of_student(student: str, paths: list[Path], assignments: dict[str, Assignment], slug: str) -> Iterator[Task]:
    """The tasks of one student; an empty slug where it is not known what the notebook answers."""
    if not paths:
        yield Task(student, "", why_not="there is no notebook in the folder")
    found: dict[str, list[Path]] = {}
    for path in paths:
        try:
            if path.is_symlink() or not path.is_file():  # to the solution, perhaps, or to somebody else's
                raise attach.Unreadable(f"{_printable(path.name)} is a link or a special file, and is not read")
            notebook = attach.read(path)
            name = slug or attach.which(notebook, assignments.values()).slug
        except attach.Unreadable as error:
            yield Task(student, "", path, str(error))
        else:
            found.setdefault(name, []).append(path)
    for name, those in found.items():
        several = f"there are {len(those)} notebooks ({', '.join(path.name for path in those)}): hand in one"
        yield Task(student, name, those[0], several if len(those) > 1 else "")


def _check_system(limits: Limits) -> None:
    """Refuses when the system cannot cut the network, unless that was allowed."""
    if sys.platform != "linux":
        raise Refusal("grading needs Linux: a virtual machine or WSL will do", 2)
    if not limits.network and not sandbox.granted()["network"]:
        raise Refusal(
            "this system does not let us cut the network for the students' code, so nobody is graded; "
            "to grade with the network open, add --allow-network (make grade ALLOW_NETWORK=1)",
            2,
        )


def _check_references(assignments: list[Assignment], judges: Judges) -> None:
    """Refuses when a master's own solution does not get every point."""
    for outcome in judges.grade(Task(REFERENCE, assignment.slug) for assignment in assignments):
        failed = [check for check in outcome.checks if check.why]
        if failed or not outcome.checks:
            why = f"fails {failed[0].name}: {failed[0].why}" if failed else "; ".join(outcome.notes)
            raise Refusal(f"nobody is graded: the solution of {outcome.slug} itself {why}")
        print(f"{outcome.slug}: the solution gets {outcome.points()} of {outcome.possible()}, as it must", flush=True)


def _line(outcome: Outcome) -> str:
    """What the console says about a student."""
    what = f"{outcome.points()} of {outcome.possible()}" if outcome.checks else "0: " + "; ".join(outcome.notes)
    return f"{outcome.student:<20} {outcome.slug:<20} {what}"


def _write(folder: Path, assignment: Assignment | None, outcomes: list[Outcome]) -> None:
    """The reports, complete or not at all: a new folder takes the place of the last one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new.chmod(0o755)
        for name, text in reports.files(assignment, outcomes).items():
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_text(text, encoding="utf-8")
        if folder.is_dir():
            places = (folder.with_name(f"{folder.name}.{number}") for number in itertools.count(1))
            folder.rename(next(place for place in places if not place.exists()))
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.grading", description="Grade submissions.")
    parser.add_argument("submissions", type=Path, help="a folder with STUDENT.ipynb or STUDENT/any-name.ipynb")
    parser.add_argument("--assignment", default="", help="for example 01-geom, where the notebooks do not say it")
    parser.add_argument("--allow-network", action="store_true", help="do not cut the network")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="submissions at a time")
    parser.add_argument("--patience", type=float, default=1.0, help="a factor for all time limits")
    parser.add_argument("--memory", type=float, default=Limits.memory / 1e9, help="GB for a submission")
    parser.add_argument("--masters", type=Path, default=MASTERS)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
