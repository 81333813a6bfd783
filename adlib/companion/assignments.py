"""Assignments: one master each in notebooks/assignments, from which everything that students and graders get is made.

A master is a notebook in percent format. A tag says what a cell is:

    text       markdown for everybody
    setup      code for everybody; grading runs the master's, whatever a student has made of it. The first one is also
               tagged parameters and sets `student`, which seeds the variant
    question   markdown, name="q1": the task
    solution   code, name="q1": what stands between # BEGIN SOLUTION and # END SOLUTION is the student's to write
    test       code, name="q1-shape", points=1: a check that students see
    hidden     code, name="q1-order", points=2: a check that they do not
    show       code for everybody that uses the answers, such as a figure; grading leaves it out
    wrong      code, name="q1-transposed", caught="q1-order", hint="...": a plausible wrong answer in place of the
               solution, the check that catches it, and words of its message; for instructors and for the tests
    manual     markdown, name="q4", points=3: a written question;  rubric, name="q4": what a good answer holds

A check sees the names of the setup cells and calls the student's functions by their names. In grading these run in
another process, so that only plain values (see `exchange`) go in and come out: a check must not hand over functions or
networks. A setup cell uses no answer.

Masters import `variant`, which seeds what differs from student to student, and `as_numbers`, with which a check begins.

`python -m adlib.companion.assignments try notebooks/assignments/01-geom.py` runs the solution and every wrong answer.
"""

import ast
import contextlib
import hashlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .exchange import NotPlain, decode, encode

KINDS = ("text", "setup", "question", "solution", "test", "hidden", "show", "wrong", "manual", "rubric")
CHECKS = ("test", "hidden")
MARKDOWN = ("text", "question", "manual", "rubric")
NAME = re.compile(r"q\d+(-[a-z0-9-]+)?")
SOLUTION = re.compile(r"^([ \t]*)# BEGIN SOLUTION\n.*?^[ \t]*# END SOLUTION$", re.DOTALL | re.MULTILINE)
VALUE = re.compile(r"^(\w+ = )\(\n[ \t]*# BEGIN SOLUTION\n(?:(?!# END).)*# END SOLUTION\n\)$", re.DOTALL | re.MULTILINE)
MARKS = re.compile(r"^[ \t]*# (BEGIN|END) SOLUTION\n?", re.MULTILINE)


class BadMaster(ValueError):
    """One sentence about a master that breaks the rules above."""


@dataclass(frozen=True)
class Cell:
    """One cell of a master; what does not apply to its kind is empty."""

    kind: str
    source: str
    name: str = ""
    points: int = 0
    caught: str = ""
    hint: str = ""
    is_parameters: bool = False

    @property
    def question(self) -> str:
        """The question that the cell belongs to: q1 for q1-order."""
        return self.name.partition("-")[0]


@dataclass(frozen=True)
class Assignment:
    """A master, read and checked. `cells` are in the order of the file."""

    slug: str
    title: str
    cells: tuple[Cell, ...]

    def of(self, *kinds: str, question: str = "") -> list[Cell]:
        """The cells of some kinds, of one question if it is named."""
        return [c for c in self.cells if c.kind in kinds and (not question or c.question == question)]

    def points(self, question: str = "") -> int:
        """The most that can be had, in a question or in all."""
        return sum(cell.points for cell in self.of(*CHECKS, "manual", question=question))


def variant(slug: str, student: str) -> Any:
    """A `numpy.random.Generator` that depends on the assignment and the student's name alone: it seeds the variant."""
    import numpy as np

    digest = hashlib.sha256(f"{slug}/{student.strip().lower()}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def as_numbers(value: Any, shape: tuple[int, ...], what: str) -> Any:
    """An answer as an array of floats, for the checks of a master; AssertionError with one sentence if it is not one.

    `what` names the answer, "`project` of three rows". The shape () stands for one number.
    """
    import numpy as np

    wanted = f"numbers of shape {shape}" if shape else "one number"
    if value is None or value is ...:
        raise AssertionError(f"{what} has no answer yet, should be {wanted}")
    try:
        array = np.asarray(value)
        is_numbers = array.dtype.kind in "biuf"
    except ValueError:  # rows of different lengths
        is_numbers = False
    if not is_numbers:
        raise AssertionError(f"{what} should be {wanted}, not a {type(value).__name__} like this")
    if array.shape != shape:
        raise AssertionError(f"{what} should be {wanted}, has the shape {array.shape}")
    return array.astype(float)


def read(path: str | Path) -> Assignment:
    """The assignment of a master. Raises BadMaster with one sentence, OSError."""
    import jupytext

    path = Path(path)
    cells = tuple(_cell(path.name, number, cell) for number, cell in enumerate(jupytext.read(path).cells, 1))
    title = re.match(r"# (.+)", cells[0].source) if cells else None
    if title is None:
        raise BadMaster(f"{path.name}: the first cell must begin with a title, '# ...'")
    assignment = Assignment(path.stem, title[1], cells)
    for complaint in _complaints(assignment):
        raise BadMaster(f"{path.name}: {complaint}")
    return assignment


def stub(source: str) -> str:
    """A solution's source as students get it: `...` in place of each part between the marks.

    A value whose marks are all that its parentheses hold, `name = (...)`, is blank without them.
    """
    return SOLUTION.sub(r"\1...  # your code here", VALUE.sub(r"\1...  # your code here", source))


def solved(source: str) -> str:
    """A solution's source without the marks."""
    return MARKS.sub("", source)


def answers(cell: Cell) -> dict[str, type]:
    """{name: Callable or object} for what a solution cell defines at its top level: functions, or values."""
    found: dict[str, type] = {}
    for node in ast.parse(cell.source).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = Callable  # type: ignore[assignment]
        elif isinstance(node, ast.Assign):
            found |= {target.id: object for target in node.targets if isinstance(target, ast.Name)}
    return found


def attempt(assignment: Assignment, replaced: dict[str, str] | None = None) -> dict[str, str]:
    """{name of a check: "" or why it failed} for the solution, with some questions answered by other code.

    All in this process, for trusted code: the quick look for authors. What checks see has gone through `exchange`.
    """
    replaced = replaced or {}
    space: dict[str, Any] = {"__name__": "__main__"}
    outcome: dict[str, str] = {}
    broken: dict[str, str] = {}
    with _quiet(), _reopened():
        for cell in assignment.of("setup", "solution", *([] if replaced else ["show"]), *CHECKS):
            if cell.kind in ("setup", "show"):
                exec(compile(cell.source, cell.kind, "exec"), space)
            elif cell.kind == "solution":
                try:
                    exec(compile(replaced.get(cell.name, solved(cell.source)), cell.name, "exec"), space)
                    space |= _sent(cell, space)
                except Exception as error:  # an answer may do anything
                    broken[cell.name] = _why(error)
            else:
                why = _failure(cell, _seen(assignment, space))  # what a broken answer has defined first still counts
                outcome[cell.name] = why and broken.get(cell.question, why)
    return outcome


def _sent(cell: Cell, space: dict[str, Any]) -> dict[str, Any]:
    """The values that a solution cell defines, sent through `exchange`. Raises NotPlain."""
    names = [name for name, kind in answers(cell).items() if kind is object and name in space]
    return {name: decode(encode(space[name])) for name in names}


def is_caught(wrong: Cell, outcome: dict[str, str]) -> bool:
    """Whether the first check that a wrong answer fails is the one that the master names, with words of its hint."""
    first = next((name for name, why in outcome.items() if why), "")
    return first == wrong.caught and wrong.hint in outcome[first]


def _seen(assignment: Assignment, space: dict[str, Any]) -> dict[str, Any]:
    """The namespace as a check sees it: what functions take and give goes through `exchange`."""
    defined = {name: kind for cell in assignment.of("solution") for name, kind in answers(cell).items()}
    functions = [name for name, kind in defined.items() if kind is Callable and name in space]
    return space | {name: _remote(space[name]) for name in functions}


def _remote(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        sent = [decode(encode(arg)) for arg in args], {key: decode(encode(arg)) for key, arg in kwargs.items()}
        return decode(encode(function(*sent[0], **sent[1])))

    return call


def _failure(check: Cell, space: dict[str, Any]) -> str:
    try:
        exec(compile(check.source, check.name, "exec"), space)
    except Exception as error:  # of the student's code, mostly
        return _why(error)
    return ""


def _why(error: Exception) -> str:
    """What went wrong: the sentence of a check or of `exchange`, or the error with its name."""
    return str(error) if isinstance(error, AssertionError | NotPlain) else f"{type(error).__name__}: {error}"


def _cell(file: str, number: int, cell: Any) -> Cell:
    meta = dict(cell.metadata)
    tags = meta.pop("tags", [])
    kinds = [tag for tag in tags if tag in KINDS]
    if len(kinds) != 1 or set(tags) - {*kinds, "parameters", "hide-input"}:
        raise BadMaster(f"{file}: cell {number} is tagged {tags}, one of {', '.join(KINDS)} is allowed")
    known = {"name", "points", "caught", "hint"}
    if unknown := set(meta) - known - {"lines_to_next_cell"}:
        raise BadMaster(f"{file}: cell {number} has {sorted(unknown)}; allowed are {', '.join(sorted(known))}")
    if (cell.cell_type == "markdown") != (kinds[0] in MARKDOWN):
        raise BadMaster(f"{file}: cell {number}, {kinds[0]}, is {cell.cell_type}")
    fields = {key: meta[key] for key in known if key in meta}
    return Cell(kinds[0], cell.source, is_parameters="parameters" in tags, **fields)


def _complaints(assignment: Assignment) -> Iterator[str]:
    cells = assignment.cells
    parameters = [cell for cell in cells if cell.is_parameters]
    if len(parameters) != 1 or parameters[0] != assignment.of("setup")[0]:
        yield "exactly one cell, the first setup, is tagged parameters"
    for cell in cells:
        if cell.kind in ("text", "setup", "show"):
            if cell.name or cell.points:
                yield f"a {cell.kind} cell has neither name nor points"
        elif not NAME.fullmatch(cell.name) or ("-" in cell.name) != (cell.kind in (*CHECKS, "wrong")):
            yield f"{cell.kind} is called {cell.name!r}: questions are q1, q2, ..., checks and wrong answers q1-words"
        if (cell.points > 0) != (cell.kind in (*CHECKS, "manual")):
            yield f"{cell.kind} {cell.name} has {cell.points} points"
    for kinds in (("question", "manual"), ("solution",), ("rubric",), (*CHECKS, "wrong")):
        names = [cell.name for cell in assignment.of(*kinds)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{name} is there twice as {' or '.join(kinds)}"
    asked = [cell.name for cell in assignment.of("question")]
    if asked != [cell.name for cell in assignment.of("solution")]:
        yield "each question has one solution, in the same order"
    if {c.name for c in assignment.of("manual")} != {c.name for c in assignment.of("rubric")}:
        yield "each manual question has one rubric"
    for name in asked:
        checks = [cell.name for cell in assignment.of(*CHECKS, question=name)]
        wrong = assignment.of("wrong", question=name)
        if not assignment.of("hidden", question=name):
            yield f"{name} has no hidden check"
        if len(wrong) < 2:
            yield f"{name} has {len(wrong)} wrong answers, at least 2 are needed"
        for cell in wrong:
            if cell.caught not in checks or not cell.hint:
                yield f"{cell.name} must name the check that catches it and words of its hint"
    for cell in assignment.of("solution"):
        if stub(cell.source) == cell.source:
            yield f"{cell.name} has no # BEGIN SOLUTION ... # END SOLUTION"
        if not answers(cell):
            yield f"{cell.name} defines no function and no value"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Figures are made and closed unseen; what is printed is lost."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    with contextlib.redirect_stdout(io.StringIO()):
        yield
    plt.close("all")


@contextlib.contextmanager
def _reopened() -> Iterator[None]:
    """A setup may close a module to the student, `sys.modules[...] = None`: afterwards it is as it was before."""
    before = dict(sys.modules)
    try:
        yield
    finally:
        for name in [name for name, module in sys.modules.items() if module is None]:
            if name in before:
                sys.modules[name] = before[name]
            else:
                del sys.modules[name]


def _try(path: str) -> int:
    """Prints what the solution and each wrong answer get; 0 when all is as the master says."""
    assignment = read(path)
    points = {cell.name: cell.points for cell in assignment.of(*CHECKS)}
    failed = {name: why for name, why in attempt(assignment).items() if why}
    for name, why in failed.items():
        print(f"the solution fails {name}: {why}")
    bad = len(failed)
    for wrong in assignment.of("wrong"):
        outcome = {name: why for name, why in attempt(assignment, {wrong.question: wrong.source}).items() if why}
        first = next(iter(outcome), "")
        as_meant = is_caught(wrong, outcome)
        bad += not as_meant
        lost = sum(points[name] for name in outcome)
        why = f"{first}: {outcome[first]}" if first else "nothing catches it"
        print(f"{'ok ' if as_meant else 'NOT'} {wrong.name}: loses {lost} points; {why}")
    return 1 if bad else 0


if __name__ == "__main__":
    arguments = SimpleNamespace(command=sys.argv[1:2], paths=sys.argv[2:])
    if arguments.command != ["try"] or not arguments.paths:
        sys.exit("usage: python -m adlib.companion.assignments try MASTER.py ...")
    sys.exit(max(_try(path) for path in arguments.paths))
