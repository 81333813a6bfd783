"""What a student has handed in, put back into the frame of its master, whatever has become of the notebook.

Answers are found by the ids of their cells. A cell that was copied or split counts with all its parts, in order. A cell
of the student's own belongs to the answer above it, or comes before all. An answer whose cell has lost its id is found
by the names that it defines. Cells that are the master's (setup, tests, figures) are left out: grading has its own.
So are the cells that Otter has put in.
"""

import ast
import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import handout
from .assignments import Assignment, answers, stub

LARGEST = 100 * 2**20  # bytes of a notebook
STUDENT = re.compile(r"^student\b[^=\n]*=\s*(['\"])(.*?)\1.*$", re.MULTILINE)
OTTER = re.compile(r"#.*|import otter|grader = otter\.Notebook\(.*\)|grader\.(check|export)\(.*\)|")  # a line


class Unreadable(ValueError):
    """One sentence about a file that cannot be graded."""


@dataclass(frozen=True)
class Handed:
    """A cell as it was handed in; `id` is empty where it has none."""

    number: int
    kind: str
    source: str
    id: str = ""


@dataclass(frozen=True)
class Notebook:
    """A notebook as it was handed in; `slug` is the assignment that it names, or empty."""

    cells: tuple[Handed, ...]
    slug: str = ""


@dataclass(frozen=True)
class Part:
    """Code of an answer; `own` says that the cell was the student's idea."""

    source: str
    number: int
    own: bool


@dataclass
class Submission:
    """Answers by question, the student's code before them, written answers, and what had to be repaired."""

    before: list[Part] = field(default_factory=list)
    answers: dict[str, list[Part]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    is_blank: bool = False


def read(path: Path) -> Notebook:
    """The notebook in a file. Raises Unreadable."""
    try:
        if path.stat().st_size > LARGEST:
            raise Unreadable(f"{path.name} is larger than {LARGEST // 2**20} MB: clear its outputs")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not a notebook, or was damaged on its way") from None
    if not text.strip():
        raise Unreadable(f"{path.name} is empty")
    try:
        return parse(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreadable(f"{path.name} is not a notebook, or was damaged on its way") from None


def parse(content: Any) -> Notebook:
    """The notebook in a file's JSON, or a notebook's node. Raises one of several errors when it is none."""
    cells = []
    for number, cell in enumerate(content["cells"], 1):
        source = cell.get("source", "")
        source = source if isinstance(source, str) else "".join(source)
        cells.append(Handed(number, str(cell["cell_type"]), source, _mark(cell, "id")))
    return Notebook(tuple(cells), _mark(content, "assignment"))


def which(notebook: Notebook, assignments: Iterable[Assignment]) -> Assignment:
    """The assignment that a notebook names, else the one whose names it defines. Raises Unreadable."""
    known = {assignment.slug: assignment for assignment in assignments}
    if notebook.slug in known:
        return known[notebook.slug]
    found = {slug: _resemblance(notebook, assignment) for slug, assignment in known.items()}
    best = max(found, key=lambda slug: found[slug], default="")
    if not best or not found[best]:
        named = f"is of the assignment {notebook.slug!r}, which" if notebook.slug else "names no assignment and"
        raise Unreadable(f"the notebook {named} is none of {', '.join(known) or 'ours: there are none'}")
    return known[best]


def attach(assignment: Assignment, notebook: Notebook, student: str) -> Submission:
    """The notebook's cells, each where it belongs in the assignment."""
    ours = {cell.metadata["adlib"]["id"]: cell for cell in handout.plain(assignment).cells}
    kinds = {name: cell.metadata["adlib"]["kind"] for name, cell in ours.items()}
    names = {cell.name: set(answers(cell)) for cell in assignment.of("solution")}
    blank = {cell.name: _plain(stub(cell.source)) for cell in assignment.of("solution")}
    submission = Submission(answers={name: [] for name in names})
    from_otter = {cell.number for cell in notebook.cells if _is_otters(cell.source)}
    cells = _marked((cell for cell in notebook.cells if cell.number not in from_otter), ours)
    cells = _found(cells, names, blank, kinds, submission.notes)
    question = written = ""
    for cell in cells:
        kind = kinds.get(cell.id, "")
        if kind in ("manual", "written"):
            written = cell.id.removesuffix("-answer")
        elif kind or cell.kind == "code":
            written = ""
        if kind == "written" or (not kind and written):
            text = cell.source.replace(handout.ANSWER, "").strip()
            submission.written[written] = f"{submission.written.get(written, '')}\n\n{text}".strip()
        elif kind == "solution":
            question = cell.id.removesuffix("-answer")
            if cell.kind == "code":
                submission.answers[question].append(Part(cell.source, cell.number, own=False))
            else:
                submission.notes.append(f"{question}: cell {cell.number} was turned into text, and is not run")
        elif not kind and cell.kind == "code" and cell.source.strip():
            place = submission.answers[question] if question else submission.before
            place.append(Part(cell.source, cell.number, own=True))
    _tidy(submission, blank)
    _remark(submission, cells, ours, kinds, names, student, has_otter=bool(from_otter))
    return submission


def _marked(cells: Iterable[Handed], ours: dict[str, Any]) -> list[Handed]:
    """The cells, an id that the master has not taken away, and an id given to what is the master's word for word."""
    known = {_plain(cell.source): name for name, cell in ours.items()}
    return [
        cell if cell.id in ours else Handed(cell.number, cell.kind, cell.source, known.get(_plain(cell.source), ""))
        for cell in cells
    ]


def _found(
    cells: list[Handed], names: dict[str, set[str]], blank: dict[str, str], kinds: dict[str, str], notes: list[str]
) -> list[Handed]:
    """The cells, with the id of an answer where one that is missing was found by the names that it must define."""
    cells = list(cells)
    for question, wanted in names.items():
        mark = f"{question}-answer"
        filled = [c for c in cells if c.id == mark and _plain(c.source) != blank[question]]
        missing = wanted - {name for cell in filled for name in _defined(cell.source)}
        if not missing:
            continue
        for allowed in ({""}, {"test", "show"}):
            places = [
                place
                for place, cell in enumerate(cells)
                if cell.kind == "code" and kinds.get(cell.id, "") in allowed and missing & _defined(cell.source)
            ]
            for place in places:
                cell = cells[place]
                cells[place] = Handed(cell.number, cell.kind, cell.source, mark)
                listed = " and ".join(f"`{name}`" for name in sorted(missing & _defined(cell.source)))
                notes.append(f"{question}: the answer is cell {cell.number}, found by {listed}")
            if places:
                break
    return cells


def _tidy(submission: Submission, blank: dict[str, str]) -> None:
    """Leaves a blank cell out where the same question has an answer too, and says which answers are blank."""
    everything_blank = not submission.before
    for question, parts in submission.answers.items():
        filled = [part for part in parts if _plain(part.source) not in ("", blank[question])]
        everything_blank = everything_blank and not filled
        if any(not part.own for part in filled):
            submission.answers[question] = filled
    submission.is_blank = everything_blank and not any(submission.written.values())


def _remark(
    submission: Submission,
    cells: list[Handed],
    ours: dict[str, Any],
    kinds: dict[str, str],
    names: dict[str, set[str]],
    student: str,
    has_otter: bool,
) -> None:
    """Adds what a student and an instructor should know about the state of the notebook."""
    notes = submission.notes
    for question, parts in submission.answers.items():
        marked = [part.number for part in parts if not part.own]
        if any(_opens_package(part.source) for part in parts):
            notes.append(f"{question}: its answer imports from adlib or importlib, or uses sys.modules: look at it")
        if len(marked) > 1:
            notes.append(f"{question}: cells {_listed(marked)} are its answer, run one after the other")
        if not parts:
            notes.append(f"{question}: its answer is missing, no cell defines {_listed(sorted(names[question]))}")
    for cell in cells:
        if kinds.get(cell.id) == "setup" and _plain(cell.source) != _plain(ours[cell.id].source):
            notes.append(f"cell {cell.number}, which sets things up, was changed: grading runs the original")
        named = STUDENT.search(cell.source) if kinds.get(cell.id) == "setup" else None
        if named and named[2].strip().lower() != student.strip().lower():
            notes.append(f"the notebook was worked out as {named[2]!r}, but graded with the variant of {student!r}")
    checks = {name for name, kind in kinds.items() if kind == "test"}
    lost = set() if has_otter else checks - {c.id for c in cells}  # Otter keeps the visible checks in files
    changed = {c.id for c in cells if c.id in checks and _plain(c.source) != _plain(ours[c.id].source)}
    for what, those in (("deleted", lost), ("changed", changed)):
        if those:
            notes.append(f"visible checks were {what} ({_listed(sorted(those))}): grading runs the originals")


def _is_otters(source: str) -> bool:
    return "grader" in source and all(OTTER.fullmatch(line.strip()) for line in source.splitlines())


def _opens_package(source: str) -> bool:
    """Whether code imports from adlib, or may reopen what the setup has closed."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [getattr(node, "module", None) or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] in ("adlib", "importlib") for name in names):
                return True
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.modules":
                return True
    return False


def _defined(source: str) -> set[str]:
    """The names that code defines at its top level, also when it is not quite Python."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(re.findall(r"^(?:async\s+)?(?:def|class)\s+(\w+)", source, re.MULTILINE)) | set(
            re.findall(r"^(\w+)\s*(?::[^=\n]+)?=(?!=)", source, re.MULTILINE)
        )
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and _is_stored(item)}
    return found


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _resemblance(notebook: Notebook, assignment: Assignment) -> float:
    """The part of the names that an assignment asks for which the notebook defines."""
    wanted = {name for cell in assignment.of("solution") for name in answers(cell)}
    defined = {name for cell in notebook.cells if cell.kind == "code" for name in _defined(cell.source)}
    return len(wanted & defined) / max(1, len(wanted))


def _plain(source: str) -> str:
    """Source without what does not matter: the student's name, blanks at the ends of lines and of the cell."""
    source = STUDENT.sub("student", source)
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def _mark(thing: Any, key: str) -> str:
    """What we have written into the metadata, or nothing."""
    adlib = (thing.get("metadata") or {}).get("adlib")
    value = adlib.get(key, "") if hasattr(adlib, "get") else ""
    return value if isinstance(value, str) else ""


def _listed(items: Iterable[Any]) -> str:
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}" if most else last
