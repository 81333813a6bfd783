"""What students get, made from a master: notebooks that hold no solution, no hidden check and no wrong answer.

Every cell carries `metadata["adlib"] = {"id": ..., "kind": ...}`, by which grading finds an answer again. This notebook
needs adlib and Matplotlib alone; handout_otter and handout_nbgrader make those of two graders from it.

`python -m adlib.companion.handout OUT` writes the notebook of every master, and assignments.json, for the book.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from .assignments import Assignment, BadMaster, Cell, read, solved, stub

MASTERS = Path("notebooks/assignments")
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
ANSWER = "*Your answer, in a few sentences:*"


def plain(assignment: Assignment, student: str = "", with_solution: bool = False) -> Any:
    """The notebook of a student, which needs adlib and Matplotlib alone, as an nbformat node; or the solution's."""
    from nbformat.v4 import new_notebook

    cells = []
    for number, cell in enumerate(assignment.cells):
        if cell.kind in ("hidden", "wrong") or (cell.kind == "rubric" and not with_solution):
            continue
        cells += _student_cells(assignment, cell, f"{cell.kind}-{number:02d}", student, with_solution)
    return new_notebook(cells=cells, metadata=KERNEL | {"adlib": {"assignment": assignment.slug}})


def _student_cells(assignment: Assignment, cell: Cell, place: str, student: str, with_solution: bool) -> list[Any]:
    from nbformat.v4 import new_code_cell, new_markdown_cell

    def made(new: Any, kind: str, source: str) -> Any:
        name = f"{cell.name}-answer" if kind in ("solution", "written") else cell.name or place
        tags = {"tags": ["parameters"]} if cell.is_parameters else {}
        return new(source, id=f"{kind}-{name}"[:64], metadata={"adlib": {"id": name, "kind": kind}} | tags)

    if cell.kind == "solution":
        return [made(new_code_cell, cell.kind, solved(cell.source) if with_solution else stub(cell.source))]
    if cell.is_parameters:
        return [made(new_code_cell, cell.kind, _for_student(cell.source, student))]
    if cell.kind in ("setup", "show", "test"):
        return [made(new_code_cell, cell.kind, cell.source)]
    if cell.kind == "question":
        heading = f"{cell.source}\n\n*{_points(assignment.points(cell.name))}*"
        return [made(new_markdown_cell, cell.kind, heading)]
    if cell.kind == "manual":
        asked = made(new_markdown_cell, cell.kind, f"{cell.source}\n\n*{_points(cell.points)}, marked by hand*")
        return [asked] if with_solution else [asked, made(new_markdown_cell, "written", ANSWER)]
    return [made(new_markdown_cell, cell.kind, cell.source)]


def _for_student(parameters: str, student: str) -> str:
    """The parameters cell with the student's name in it."""
    if not student:
        return parameters
    return "\n".join(
        f"student: str = {student!r}{_comment(line)}" if line.startswith("student:") else line
        for line in parameters.splitlines()
    )


def _comment(line: str) -> str:
    return f"  #{line.partition('#')[2]}" if "#" in line else ""


def _points(points: int) -> str:
    return f"{points} point" if points == 1 else f"{points} points"


def minutes(assignment: Assignment) -> str:
    """What the text says about the time, such as "60 to 90"; "" if it says nothing."""
    found = re.search(r"(\d+(?:(?: to |[-–])\d+)?) minutes", "\n".join(cell.source for cell in assignment.of("text")))
    return found[1] if found else ""


def write(folder: Path, masters: list[Path]) -> None:
    """Writes the student notebook of each master, and assignments.json with what the book's table shows."""
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for assignment in map(read, masters):
        write_notebook(folder / f"{assignment.slug}.ipynb", plain(assignment))
        told.append({
            "slug": assignment.slug,
            "title": assignment.title,
            "coded": len(assignment.of("question")),
            "written": len(assignment.of("manual")),
            "points": assignment.points(),
            "minutes": minutes(assignment),
        })
    (folder / "assignments.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def write_notebook(path: Path, notebook: Any) -> None:
    """Writes a notebook, and the folders above it."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]), sorted(MASTERS.glob("*.py")))
    except BadMaster as bad:
        sys.exit(str(bad))
