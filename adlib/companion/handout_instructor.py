"""The instructor's page of an assignment: what each check tests, common errors, rubrics. Never a part of the site."""

import ast
from collections.abc import Iterator, Mapping

from .assignments import CHECKS, Assignment, Cell, solved
from .handout import minutes
from .pages import count

Outcome = Mapping[str, str]  # {name of a check: "" or why it failed}
SECRET = (
    "**Hand out** `plain/`, or `otter/student/`, or `nbgrader/release/`.\n\n"
    "**Keep to yourself** what holds solutions or hidden checks: this page, `solution/`, the master in "
    "`notebooks/assignments/`; Otter's `*-autograder.zip` and its `results.json`; nbgrader's `source/`, `autograded/` "
    "and `gradebook.db`. nbgrader's feedback may be handed out with the `nbgrader_config.py` beside it, which leaves "
    "out the code of hidden checks; with nbgrader's own settings it may not."
)


def page(assignment: Assignment, wrong: Mapping[str, Outcome]) -> str:
    """The page as Markdown; `wrong` holds what each wrong answer gets."""
    parts = [f"# {assignment.title}: for instructors", _purpose(assignment), SECRET, "## Points", _table(assignment)]
    for question in assignment.of("question"):
        parts += [f"## {question.name}: {_heading(question)}", *_checks(assignment, question.name), "### Solution"]
        parts += [_code(solved(cell.source)) for cell in assignment.of("solution", question=question.name)]
        parts += ["### Common errors", *_errors(assignment, question.name, wrong)]
    for question in assignment.of("manual"):
        (rubric,) = assignment.of("rubric", question=question.name)
        parts += [f"## {question.name}: marked by hand, {count(question.points, 'point')}", question.source]
        parts += ["### Rubric and model answer", rubric.source]
    return "\n\n".join(parts) + "\n"


def _purpose(assignment: Assignment) -> str:
    """The first paragraph below the title, and the time."""
    paragraphs = assignment.cells[0].source.split("\n\n")
    time = minutes(assignment)
    about = f"{count(assignment.points(), 'point')}" + (f", {time} minutes." if time else ".")
    return "\n\n".join([*paragraphs[1:], about])


def _table(assignment: Assignment) -> str:
    rows = ["| Question | Points | Visible | Hidden | By hand |", "|---|---:|---:|---:|---:|"]
    for cell in assignment.of("question", "manual"):
        kinds = ("test", "hidden", "manual")
        parts = [sum(c.points for c in assignment.of(kind, question=cell.name)) for kind in kinds]
        rows.append(f"| {cell.name}: {_heading(cell)} | {sum(parts)} | {' | '.join(str(n or '') for n in parts)} |")
    return "\n".join([*rows, f"| All | {assignment.points()} | | | |"])


def _heading(cell: Cell) -> str:
    """The first line of a question's text, without marks."""
    return cell.source.partition("\n")[0].strip("#* ").partition(": ")[2] or cell.source.partition("\n")[0].strip("#* ")


def _checks(assignment: Assignment, question: str) -> Iterator[str]:
    for check in assignment.of(*CHECKS, question=question):
        seen = "visible" if check.kind == "test" else "hidden"
        said = "\n".join(f"- {message}" for message in _messages(check))
        worth = count(check.points, "point")
        yield f"**{check.name}** ({seen}, {worth}). What a student may read when it fails:\n\n{said}"


def _messages(check: Cell) -> list[str]:
    """The messages of a check's assertions, in its order, each once; names in braces stand for values."""
    found = [node.msg for node in ast.walk(ast.parse(check.source)) if isinstance(node, ast.Assert) and node.msg]
    texts = [
        message.value if isinstance(message, ast.Constant) else f"`{ast.unparse(message)}`"
        for message in sorted(found, key=lambda node: node.lineno)
    ]
    return list(dict.fromkeys(texts)) or ["the error of the line that failed"]


def _errors(assignment: Assignment, question: str, wrong: Mapping[str, Outcome]) -> Iterator[str]:
    points = {cell.name: cell.points for cell in assignment.of(*CHECKS)}
    for cell in assignment.of("wrong", question=question):
        failed = {name: why for name, why in wrong[cell.name].items() if why}
        lost = sum(points[name] for name in failed)
        also = [name for name in failed if name != cell.caught]
        more = f" (and {', '.join(also)})" if also else ""
        yield f"**{cell.name}** loses {count(lost, 'point')}. Caught by {cell.caught}{more}; the student reads:"
        yield f"> {failed[cell.caught]}"
        yield _code(cell.source)


def _code(source: str) -> str:
    return f"```python\n{source.strip()}\n```"
