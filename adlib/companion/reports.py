"""What grading leaves behind: a table for the instructor, a report for each student, the written answers to mark.

A report names visible checks and counts hidden ones; it says why a check failed and shows no check and no answer.
"""

import csv
import io
from collections.abc import Iterable

from .assignments import Assignment
from .judge import Checked, Outcome


def files(assignment: Assignment | None, outcomes: list[Outcome]) -> dict[str, str]:
    """{name of a file: its text} for the graded submissions of an assignment, None when it is not known which."""
    texts = {f"reports/{outcome.student}.md": report(assignment, outcome) for outcome in outcomes}
    texts["grades.csv"] = table(assignment, outcomes)
    if assignment and assignment.of("manual"):
        texts["written.md"] = written(assignment, outcomes)
    return texts


def table(assignment: Assignment | None, outcomes: list[Outcome]) -> str:
    """grades.csv: a row per student; `by hand` is what the written answers can add to `total` and `of`."""
    questions = _questions(assignment)
    possible, by_hand = (_automatic(assignment), _by_hand(assignment)) if assignment else (0, 0)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["student", "assignment", *questions, "total", "of", "by hand", "notes"])
    for outcome in outcomes:
        points = [outcome.points(question) for question in questions]
        notes = "; ".join(outcome.notes)
        writer.writerow([outcome.student, outcome.slug, *points, outcome.points(), possible, by_hand, notes])
    return stream.getvalue()


def report(assignment: Assignment | None, outcome: Outcome) -> str:
    """A student's report."""
    lines = [f"# {assignment.title if assignment else outcome.slug}: {outcome.student}", ""]
    if assignment:
        by_hand = f", and {_by_hand(assignment)} to be marked by hand" if _by_hand(assignment) else ""
        lines += [f"**{outcome.points()} of {_automatic(assignment)} points**{by_hand}.", ""]
    if outcome.notes:
        lines += ["What to know about your notebook:", "", *(f"- {note}" for note in outcome.notes), ""]
    for question in _questions(assignment):
        lines += [f"## {question}: {outcome.points(question)} of {_possible(assignment, question)}", ""]
        lines += [*_checks([c for c in outcome.checks if c.question == question]), ""]
    for cell in assignment.of("manual") if assignment else ():
        lines += [f"## {cell.name}: marked by hand, {cell.points} at most", ""]
        lines += [_quoted(outcome.written.get(cell.name, "")), ""]
    if not outcome.confined.get("files", True):
        lines += ["*Graded on a system that could not limit which files the code reads.*", ""]
    return "\n".join(lines)


def written(assignment: Assignment, outcomes: list[Outcome]) -> str:
    """written.md: all answers to each written question, with its rubric, for whoever marks them."""
    lines = [f"# {assignment.title}: written answers", ""]
    rubrics = {cell.name: cell.source for cell in assignment.of("rubric")}
    for cell in assignment.of("manual"):
        lines += [f"## {cell.name}, {cell.points} points", "", cell.source, "", rubrics[cell.name], ""]
        for outcome in outcomes:
            lines += [f"### {outcome.student}", "", _quoted(outcome.written.get(cell.name, "")), ""]
    return "\n".join(lines)


def _checks(checks: list[Checked]) -> Iterable[str]:
    hidden = [check for check in checks if check.kind == "hidden"]
    for check in checks:
        name = check.name
        if check in hidden:
            name = f"hidden check {hidden.index(check) + 1} of {len(hidden)}"
        if check.why:
            yield f"- not passed: {name} (0 of {check.points}): {check.why}"
        else:
            yield f"- passed: {name} ({check.points} of {check.points})"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines()) or "*no answer*"


def _questions(assignment: Assignment | None) -> list[str]:
    return [cell.name for cell in assignment.of("question")] if assignment else []


def _possible(assignment: Assignment | None, question: str) -> int:
    return assignment.points(question) if assignment else 0


def _by_hand(assignment: Assignment) -> int:
    return sum(cell.points for cell in assignment.of("manual"))


def _automatic(assignment: Assignment) -> int:
    return assignment.points() - _by_hand(assignment)
