"""An assignment for Otter: the student's notebook, and the autograder for Gradescope and for `otter run`.

Otter's tests are of its exception-based kind: among its doctests, a student's `print` fails a test, and a failing test
shows all of its lines.
"""

import ast
import builtins
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from .assignments import CHECKS, Assignment, Cell
from .handout import plain, write_notebook

PACKAGE = Path(__file__).resolve().parents[1]
SECONDS = 300  # a limit on `otter assign`, which has none of its own


def master(assignment: Assignment) -> Any:
    """The notebook that `otter assign` reads: the plain one, with Otter's marks in raw cells."""
    from nbformat.v4 import new_markdown_cell, new_raw_cell

    solutions = {f"{cell.name}-answer": cell for cell in assignment.of("solution")}
    rubrics = {f"{cell.name}-answer": cell for cell in assignment.of("rubric")}
    notebook = plain(assignment)
    cells = [_raw("ASSIGNMENT CONFIG", _config(assignment))]
    for node in notebook.cells:
        name, kind = node.metadata["adlib"]["id"], node.metadata["adlib"]["kind"]
        if kind == "question":
            cells += [_raw("BEGIN QUESTION", {"name": name}), node]
        elif kind == "solution":
            node.source = solutions[name].source
            cells += [_raw("BEGIN SOLUTION"), node, _raw("END SOLUTION"), _raw("BEGIN TESTS")]
            cells += [_test(check) for check in assignment.of(*CHECKS, question=solutions[name].name)]
            cells += [_raw("END TESTS"), _raw("END QUESTION")]
        elif kind == "manual":
            points = assignment.points(name)
            cells += [_raw("BEGIN QUESTION", {"name": name, "manual": True, "points": points}), node]
        elif kind == "written":
            cells += [_raw("BEGIN PROMPT"), node, _raw("END PROMPT")]
            cells += [_raw("BEGIN SOLUTION"), new_markdown_cell(rubrics[name].source), _raw("END SOLUTION")]
            cells += [new_raw_cell("# END QUESTION")]
        elif kind != "test":  # those stand among Otter's tests
            cells.append(node)
    notebook.cells = cells
    return notebook


def write(assignment: Assignment, folder: Path) -> None:
    """Writes student/SLUG.ipynb and SLUG-autograder.zip. Raises subprocess.SubprocessError when Otter fails."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        source, dist = Path(temporary, f"{assignment.slug}.ipynb"), Path(temporary, "dist")
        write_notebook(source, master(assignment))
        ignored = shutil.ignore_patterns("__pycache__", "tables", "*.yml")
        shutil.copytree(PACKAGE, source.parent / PACKAGE.name, ignore=ignored)
        command = [sys.executable, "-m", "otter", "assign", "--no-run-tests", "--no-pdfs", source.name, dist.name]
        environment = {**os.environ, "TMPDIR": temporary}  # Otter leaves files in it
        run = subprocess.run(
            command, cwd=temporary, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        if run.returncode:
            raise subprocess.CalledProcessError(run.returncode, command, run.stdout, run.stderr)
        (made,) = dist.glob("autograder/*-autograder_*.zip")  # its name holds the time
        shutil.copyfile(made, folder / f"{assignment.slug}-autograder.zip")
        shutil.copytree(dist / "student", folder / "student")


def _raw(mark: str, config: dict[str, Any] | None = None) -> Any:
    from nbformat.v4 import new_raw_cell

    return new_raw_cell(f"# {mark}\n{yaml.safe_dump(config, sort_keys=False) if config else ''}".rstrip())


def _config(assignment: Assignment) -> dict[str, Any]:
    return {
        "name": assignment.slug,
        "init_cell": True,
        "check_all_cell": False,
        "export_cell": {"pdf": False, "run_tests": True},
        "generate": {"pdf": False, "show_stdout": False, "show_hidden": False},
        "solutions_pdf": False,
        "template_pdf": False,
        "tests": {"ok_format": False},
        "python_version": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "requirements": _requirements(assignment),  # for Gradescope's image; `otter run` takes what is here
        "autograder_files": [PACKAGE.name],
    }


def _requirements(assignment: Assignment) -> list[str]:
    """The distributions that setup and figures import, as they are here, and torch without CUDA."""
    imported = {"numpy", "safetensors", "sklearn", "torch"}  # what adlib itself needs
    for cell in assignment.of("setup", "show", *CHECKS):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    known = metadata.packages_distributions()
    names = {known[name][0] for name in imported - {PACKAGE.name} if name in known}
    pins = [f"{name}=={metadata.version(name).partition('+')[0]}" for name in sorted(names)]
    return ["--extra-index-url https://download.pytorch.org/whl/cpu", *pins]


def _test(check: Cell) -> Any:
    """A check as Otter wants it: a function whose parameters are the names that it needs from the notebook."""
    from nbformat.v4 import new_code_cell

    config = {"points": check.points, "hidden": check.kind == "hidden"}
    body = ast.parse(check.source).body
    needed = {node.id for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Name)}
    names = ast.arguments([], [ast.arg(name) for name in sorted(needed - set(dir(builtins)))], None, [], [], None, [])
    function = ast.FunctionDef(re.sub(r"\W", "_", check.name), names, body, [])
    code = ast.unparse(ast.fix_missing_locations(function))
    return new_code_cell(f'""" # BEGIN TEST CONFIG\n{yaml.safe_dump(config)}""" # END TEST CONFIG\n{code}')
