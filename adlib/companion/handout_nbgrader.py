"""An assignment for nbgrader: a course folder with source, release, gradebook and nbgrader_config.py."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .assignments import CHECKS, Assignment, Cell
from .handout import ANSWER, plain, write_notebook

SECONDS = 300
CONFIG = f'''import os

os.environ["PYTHONWARNINGS"] = "ignore"  # nbgrader gives no points where a check prints a warning
c = get_config()
c.CourseDirectory.course_id = "one-class"
c.ClearSolutions.code_stub = {{"python": "...  # your code here"}}
c.ClearSolutions.text_stub = "{ANSWER}"
c.ExecutePreprocessor.timeout = 60  # seconds for one cell
# Without the next lines, feedback shows the code of hidden checks.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "nbgrader.preprocessors.ClearHiddenTests",
    "adlib.companion.handout_feedback.WordsOnly",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
'''


def source(assignment: Assignment) -> Any:
    """The instructor's notebook: the plain one, with solutions, hidden checks and nbgrader's metadata."""
    from nbformat.v4 import new_code_cell

    solutions = {f"{cell.name}-answer": cell for cell in assignment.of("solution")}
    rubrics = {f"{cell.name}-answer": cell for cell in assignment.of("rubric")}
    notebook = plain(assignment)
    cells = []
    for node in notebook.cells:
        name, kind = node.metadata["adlib"]["id"], node.metadata["adlib"]["kind"]
        if kind == "test":  # those stand below the solution
            continue
        if "parameters" in node.metadata.get("tags", []):
            cells.append(node)  # not locked, or the student's name would be lost
        elif kind == "solution":
            node.source = solutions[name].source
            cells.append(_marked(node, solution=True))
            for check in assignment.of(*CHECKS, question=solutions[name].name):
                info = {"adlib": {"id": check.name, "kind": check.kind}}
                made = new_code_cell(_check(check), id=f"check-{check.name}"[:64], metadata=info)
                cells.append(_marked(made, grade=True, locked=True, points=check.points))
        elif kind == "written":
            question = rubrics[name].name
            node.source = f"### BEGIN SOLUTION\n{rubrics[name].source}\n### END SOLUTION"
            cells.append(_marked(node, grade=True, solution=True, points=assignment.points(question)))
        else:
            cells.append(_marked(node, locked=True))
    notebook.cells = cells
    return notebook


def write(assignment: Assignment, folder: Path) -> None:
    """Writes the course folder and lets nbgrader make the release. Raises subprocess.SubprocessError when it fails."""
    write_notebook(folder / "source" / assignment.slug / f"{assignment.slug}.ipynb", source(assignment))
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", assignment.slug, "--create", "--force"]
    run = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=SECONDS)
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, command, run.stdout, run.stderr)


def environment() -> dict[str, str]:
    """What nbgrader must be called with: it looks for a program of its own, alembic, on the PATH."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def _check(check: Cell) -> str:
    """A hidden check becomes a function, so that its names meet no other's."""
    if check.kind == "test":
        return check.source
    name = re.sub(r"\W", "_", check.name)
    arguments = ast.arguments([], [], None, [], [], None, [])
    code = ast.unparse(ast.fix_missing_locations(ast.FunctionDef(name, arguments, ast.parse(check.source).body, [])))
    return f"# Checked when this is graded.\n### BEGIN HIDDEN TESTS\n{code}\n{name}()\n### END HIDDEN TESTS"


def _marked(node: Any, points: int | None = None, **flags: bool) -> Any:
    """The cell with nbgrader's metadata; its id is a name, not a random one."""
    told = {"grade": False, "solution": False, "locked": False, "task": False, **flags}
    node.metadata["nbgrader"] = {"schema_version": 3, "grade_id": node.metadata["adlib"]["id"], **told}
    if points is not None:
        node.metadata["nbgrader"]["points"] = points
    return node
