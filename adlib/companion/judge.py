"""Grades one submission: a student's code runs in a process of its own, the master's checks here, on plain values.

A check calls a student's function through a stand-in that sends the arguments to that process and takes a plain value
back, so nothing that the student has patched there, and no object of theirs, ever meets a check.

`python -m adlib.companion.judge` grades what it is asked on stdin, a line of JSON each, and answers on stdout.
"""

import ast
import builtins
import contextlib
import io
import json
import os
import re
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import attach, handout, sandbox
from .assignments import CHECKS, Assignment, Cell, answers, read
from .attach import Part, Submission
from .exchange import NotPlain, decode, encode
from .process import Ended, Limits, Nursery, Process, TooLong

REFERENCE = "reference"  # the name under which the solution is graded
MEMORY = 8 * 10**9  # bytes that a check may use here
CHANCES = 2  # how often a function may take too long or end its process before it is not called any more
NO_MEMORY = re.compile(r"can't allocate memory|bad_alloc|Unable to allocate|Cannot allocate memory")


@dataclass(frozen=True)
class Checked:
    """What a check came to: `why` is empty when it passed."""

    name: str
    question: str
    kind: str
    points: int
    why: str = ""


@dataclass
class Outcome:
    """A graded submission, or the sentence that says why it could not be."""

    student: str
    slug: str = ""
    checks: list[Checked] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    confined: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0

    def points(self, question: str = "") -> int:
        """The points of the checks that passed, of a question or of all."""
        return sum(c.points for c in self.checks if not c.why and question in ("", c.question))

    def possible(self, question: str = "") -> int:
        """The points that the checks give at most."""
        return sum(c.points for c in self.checks if question in ("", c.question))


class Verdict(BaseException):
    """A check has failed, for the reason in this sentence; not an Exception, so that no check swallows it."""


class Raised(Exception):
    """A student's function raised; the class raised here is derived from Python's own one, too."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show it in quotes


class Broken(RuntimeError):
    """One sentence about an assignment that cannot be graded here at all."""


def grade(assignment: Assignment, notebook: attach.Notebook, student: str, nursery: Nursery, limits: Limits) -> Outcome:
    """What a notebook is worth. Raises Broken when the master's own cells fail."""
    begin = time.monotonic()
    submission = attach.attach(assignment, notebook, student)
    outcome = _graded(assignment, submission, student, nursery, limits)
    if submission.is_blank:
        outcome.notes.insert(0, "nothing is answered yet: write your code in place of each `...` and hand it in again")
    elif student != REFERENCE and any(check.why for check in outcome.checks):
        own = _graded(assignment, attach.attach(assignment, reference(assignment), student), student, nursery, limits)
        for check in own.checks:
            if check.why:
                outcome.notes.append(f"{check.question}: with these numbers the solution fails, too: mark it by hand")
    outcome.seconds = round(time.monotonic() - begin, 1)
    return outcome


def _graded(assignment: Assignment, submission: Submission, student: str, nursery: Nursery, limits: Limits) -> Outcome:
    outcome = Outcome(student, assignment.slug, written=submission.written)
    space = _setup(assignment, student)
    with tempfile.TemporaryDirectory(prefix="adlib-", ignore_cleanup_errors=True) as folder:
        with Runner(assignment, student, nursery, Path(folder), limits) as runner:
            outcome.confined = runner.confined
            outcome.checks = list(_checks(assignment, submission, runner, space))
    outcome.notes = [*submission.notes, *runner.notes]
    return outcome


def reference(assignment: Assignment) -> attach.Notebook:
    """The master's own solution, as if it had been handed in."""
    return attach.parse(handout.plain(assignment, with_solution=True))


def modules(assignments: Iterable[Assignment]) -> list[str]:
    """What the setup cells import: a nursery that has it spares each submission the time."""
    found = {"matplotlib.pyplot": None}
    for assignment in assignments:
        for cell in assignment.of("setup"):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import):
                    found |= {alias.name: None for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found |= {node.module: None} | {f"{node.module}.{alias.name}": None for alias in node.names}
    return list(found)


# --------------------------------------------------------------------------------------- the student's side, from here


class Runner:
    """A submission's process. When it has died it starts again and repeats what went well."""

    def __init__(self, assignment: Assignment, student: str, nursery: Nursery, folder: Path, limits: Limits) -> None:
        self.notes: list[str] = []
        self.last = ""  # what a function returned last, in words
        self._owner = {name: cell.name for cell in assignment.of("solution") for name in answers(cell)}
        self._trouble: dict[str, str] = {}  # of a question's answer
        self._failures: dict[str, list[str]] = {}  # of a function: why it was stopped, each time
        self._setup = _setup_sources(assignment, student)
        self._done: list[str] = []  # cells that can be repeated
        self._nursery, self._folder, self._limits = nursery, folder, limits
        self._process: Process | None = None
        self._start()
        self._end = time.monotonic() + limits.whole
        self.confined = self._process.confined if self._process else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self._process.close()

    def run(self, part: Part, question: str = "") -> None:
        """Runs a cell of the student's; what goes wrong is kept for the checks of the question."""
        place = question if question and not part.own else f"cell {part.number}"
        reply = self._ask({"run": part.source}, self._limits.cell)
        if "stopped" not in reply:
            self._done.append(part.source)
        if why := self._why(reply):
            self.notes.append(f"{place} {why}")
            if question:
                self._trouble[question] = f"{place} {why}"

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a student's function returns. Raises Verdict or Raised."""
        failures = self._failures.setdefault(name, [])
        if len(failures) >= CHANCES:
            raise Verdict(failures[-1])
        request = {"call": name, "args": encode(list(args)), "kwargs": encode(kwargs)}
        reply = self._ask(request, self._limits.call)
        if "stopped" in reply:
            failures.append(f"`{name}` {reply['stopped']}")
        return self._value(name, reply, f"`{name}` returns", f"`{name}`")

    def get(self, name: str) -> Any:
        """A value that an answer defines. Raises Verdict."""
        return self._value(name, self._ask({"get": name}, self._limits.call), f"`{name}` is", f"reading `{name}`")

    def _value(self, name: str, reply: dict[str, Any], holds: str, subject: str) -> Any:
        if "stopped" in reply:
            raise Verdict(f"`{name}` {reply['stopped']}")
        if "missing" in reply:
            question = self._owner[name]
            why = self._trouble.get(question)
            raise Verdict(f"`{name}` is not defined: " + (why or f"your answer to {question} should define it"))
        if "refused" in reply:
            raise Verdict(f"what `{name}` holds or returns cannot be checked: {str(reply['refused'])[:200]}")
        if "error" in reply:
            raise _raised(subject, reply, self._why(reply))
        try:
            value = decode(reply.get("value"))
        except Exception:  # only a process that has been tampered with sends such a thing
            raise Verdict(f"what `{name}` holds or returns cannot be checked: it arrived damaged") from None
        if _is_blank(value):
            raise Verdict(f"`{name}` returns nothing yet" if "returns" in holds else f"`{name}` has no value yet")
        self.last = f"{holds} {_in_words(value)}"
        return value

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The process's reply; {"stopped": why} where the request had to be stopped or has ended the process."""
        left = self._end - time.monotonic()
        if left <= 0:
            return {"stopped": f"was not run: all in all your code ran longer than {_seconds(self._limits.whole)}"}
        if self._process is None and (why := self._restart()):
            return {"stopped": why}
        assert self._process is not None
        seconds = min(seconds, left)
        try:
            return self._process.ask(request, seconds)
        except TooLong as error:
            if not error.alive:
                self._process = None
            return {"stopped": f"ran longer than {_seconds(seconds)} and was stopped"}
        except Ended as error:
            self._process = None
            return {"stopped": "ended the Python process" + (", perhaps for lack of memory" if error.killed else "")}

    def _restart(self) -> str:
        """A new process in which all has been run that had not to be stopped; why not, if that fails."""
        self._start()
        assert self._process is not None
        for source in self._done:
            try:
                self._process.ask({"run": source}, max(0.1, min(self._limits.cell, self._end - time.monotonic())))
            except (TooLong, Ended):
                self._process.close()
                self._process = None
                return "was not run: what comes before it has ended the Python process"
        return ""

    def _start(self) -> None:
        try:
            self._process = self._nursery.fork(self._folder, self._limits)
            for source in self._setup:
                if why := self._why(self._process.ask({"run": source}, self._limits.whole)):
                    raise Broken(f"a setup cell {why}")
        except (Ended, TooLong):
            raise Broken("the process for a student's code cannot start, or ends in a setup cell") from None

    def _why(self, reply: dict[str, Any]) -> str:
        """What went wrong, as the end of a sentence, or nothing."""
        if "stopped" in reply:
            return reply["stopped"]
        if "error" not in reply:
            return ""
        told = reply["error"] if isinstance(reply["error"], dict) else {}
        error = {key: str(value)[:220] for key, value in told.items()}
        kind, text = error.get("type", "an error"), error.get("text", "")
        line = f" (line {error['line']})" if error.get("line", "0") != "0" else ""
        if error.get("builtin") == "MemoryError" or NO_MEMORY.search(text):
            return f"needed more than {self._limits.memory / 1e9:g} GB of memory"
        if error.get("builtin") == "SyntaxError":
            return f"cannot be read as Python: {text}{line}"
        if "ellipsis" in text.lower():
            return f"is not finished: a `...` is left in it ({text})"
        return f"raised {kind}" + (f": {text}" if text else "")


def _raised(subject: str, reply: dict[str, Any], why: str) -> Raised:
    """What a check sees when a student's function raises: an exception of the same kind as far as Python has it."""
    error = reply["error"]
    own = getattr(builtins, str(error.get("builtin")), None) if isinstance(error, dict) else None
    sentence = f"{subject} {why}"
    if isinstance(own, type) and issubclass(own, Exception):
        with contextlib.suppress(TypeError):  # classes that cannot be mixed or need more arguments
            return type(own.__name__, (Raised, own), {})(sentence)
    return Raised(sentence)


# --------------------------------------------------------------------------------------------- the checks, from here


def _checks(assignment: Assignment, submission: Submission, runner: Runner, space: dict[str, Any]) -> Iterable[Checked]:
    """Question by question: its answer runs, then at once its checks, so that no later cell matters to them."""
    for part in submission.before:
        runner.run(part)
    for question, parts in submission.answers.items():
        for part in parts:
            runner.run(part, question)
        for cell in assignment.of(*CHECKS, question=question):
            yield Checked(cell.name, question, cell.kind, cell.points, _failure(assignment, cell, runner, space))


def _failure(assignment: Assignment, check: Cell, runner: Runner, space: dict[str, Any]) -> str:
    """Why a check fails, in a sentence that shows neither the check nor the answer; nothing when it passes."""
    runner.last = ""
    try:
        seen = space | _seen(assignment, check, runner)
        with _quiet():
            exec(compile(check.source, check.name, "exec"), seen)
    except (Verdict, Raised) as error:
        return str(error)
    except AssertionError as error:
        return str(error) or "this check failed"
    except NotPlain as error:
        return f"this check is broken: {error}"
    except Exception:  # numpy and torch raise many kinds for a shape that does not fit
        return f"the check could not use your answer: {runner.last or 'it has another form than asked for'}"
    return ""


def _seen(assignment: Assignment, check: Cell, runner: Runner) -> dict[str, Any]:
    """What a check sees under the names of the answers: stand-ins for functions, and values as they are now."""
    used = {node.id for node in ast.walk(ast.parse(check.source)) if isinstance(node, ast.Name)}
    seen: dict[str, Any] = {}
    for cell in assignment.of("solution"):
        for name, kind in answers(cell).items():
            if name in used:
                seen[name] = runner.get(name) if kind is object else _stand_in(runner, name)
    return seen


def _stand_in(runner: Runner, name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        return runner.call(name, args, kwargs)

    call.__name__ = name
    return call


def _setup_sources(assignment: Assignment, student: str) -> list[str]:
    """The master's setup, with the student's name after the cell of parameters."""
    sources = []
    for cell in assignment.of("setup"):
        sources += [cell.source, f"student = {student!r}"] if cell.is_parameters else [cell.source]
    return sources


def _setup(assignment: Assignment, student: str) -> dict[str, Any]:
    """The namespace after the master's setup cells, in this process."""
    import matplotlib

    matplotlib.use("agg")
    space: dict[str, Any] = {"__name__": "__main__"}
    for source in _setup_sources(assignment, student):
        try:
            with _quiet():
                exec(compile(source, "setup", "exec"), space)
        except Exception as error:
            raise Broken(f"a setup cell raised {type(error).__name__}: {error}") from None
    return space


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What a master's cell prints, and what it warns of, is lost."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_blank(value: Any) -> bool:
    """Whether this is what a function returns, or a name holds, as long as nobody has written an answer."""
    return value is None or value is ... or (type(value) in (list, tuple) and any(item is ... for item in value))


def _in_words(value: Any) -> str:
    """What a value is, without its numbers."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        kind = "a tensor" if type(value).__module__ == "torch" else "an array"
        return f"{kind} of shape {tuple(shape)}" if len(shape) else f"{kind} of a single number"
    if type(value) in (list, tuple, dict):
        return f"a {type(value).__name__} of length {len(value)}"
    return {bool: "a truth value", int: "a whole number", float: "a number", str: "a text"}.get(type(value), "a value")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


# --------------------------------------------------------------------------------------- as a process of its own


def main() -> None:
    """Answers tasks: {"master", "notebook": a path, or null for the reference, "student"}."""
    limits, replies = Limits(**json.loads(sys.argv[1])), os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sandbox.lower(resource.RLIMIT_DATA, MEMORY)
    masters = [_master(path) for path in sys.argv[2:]]
    nursery = Nursery(modules(masters))
    try:
        for line in sys.stdin:
            task = json.loads(line)
            try:
                assignment = _master(task["master"])
                notebook = attach.read(Path(task["notebook"])) if task["notebook"] else reference(assignment)
                outcome = grade(assignment, notebook, task["student"], nursery, limits)
                reply = asdict(outcome)
            except Exception as error:  # of this submission; the next one is graded all the same
                known = isinstance(error, Broken | attach.Unreadable)
                reply = {"broken": str(error) if known else f"grading it stopped with {type(error).__name__}: {error}"}
            print(json.dumps(reply, ensure_ascii=False), file=replies, flush=True)  # half an emoji becomes a ?
    finally:
        nursery.close()


@cache
def _master(path: str) -> Assignment:
    return read(path)


if __name__ == "__main__":
    main()
