"""Submissions through Otter and nbgrader, as an instructor runs them: points for each question."""

import copy
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from adlib.companion import handout_nbgrader
from adlib.companion.assignments import CHECKS, Assignment, solved

SECONDS = 300  # for one call of a grader; Otter has no limit of its own
Points = dict[str, int]  # of each coded question


def submission(notebook: Any, answers: Mapping[str, str]) -> Any:
    """A student's notebook with {question: code} written into its answer cells."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        told = cell.metadata.get("adlib", {})
        if told.get("kind") == "solution" and told["id"].removesuffix("-answer") in answers:
            cell.source = answers[told["id"].removesuffix("-answer")]
    return made


def cases(assignment: Assignment) -> dict[str, dict[str, str]]:
    """{name: answers}: the reference, nothing at all, and each wrong answer in the reference's place."""
    reference = {cell.name: solved(cell.source) for cell in assignment.of("solution")}
    wrong = {cell.name: reference | {cell.question: cell.source} for cell in assignment.of("wrong")}
    return {"reference": reference, "blank": {}, **wrong}


def expected(assignment: Assignment, name: str, outcomes: Mapping[str, Mapping[str, str]]) -> Points:
    """What a case must get by the checks alone; `outcomes` are those of handouts.outcomes_of."""
    found = {"blank": {}, "reference": outcomes[""], **outcomes}[name]
    asked = [cell.name for cell in assignment.of("question")]
    return {q: sum(c.points for c in assignment.of(*CHECKS, question=q) if found.get(c.name) == "") for q in asked}


def otter(handout: Path, slug: str, answers: Mapping[str, str], work: Path) -> Points:
    """Points of one submission by `otter run`."""
    work.mkdir(parents=True)
    student = nbformat.read(handout / "student" / f"{slug}.ipynb", as_version=4)
    nbformat.write(submission(student, answers), work / f"{slug}.ipynb")
    archive = handout / f"{slug}-autograder.zip"
    _run([sys.executable, "-m", "otter", "run", "-a", str(archive), "-o", ".", f"{slug}.ipynb"], work)
    results = json.loads((work / "results.json").read_text(encoding="utf-8"))
    return {test["name"]: test["score"] for test in results["tests"] if test["name"].startswith("q")}


def nbgrader(course: Path, slug: str, submissions: Mapping[str, Mapping[str, str]]) -> dict[str, Points]:
    """{name: points} of submissions by one `nbgrader autograde`; `course` is the folder that was generated."""
    from nbgrader.api import Gradebook

    release = nbformat.read(course / "release" / slug / f"{slug}.ipynb", as_version=4)
    for name, answers in submissions.items():
        folder = course / "submitted" / name / slug
        folder.mkdir(parents=True)
        nbformat.write(submission(release, answers), folder / f"{slug}.ipynb")
    _run([sys.executable, "-m", "nbgrader", "autograde", slug, "--create"], course)
    with Gradebook(f"sqlite:///{course.resolve()}/gradebook.db") as book:
        return {name: _points(book.find_submission_notebook(slug, slug, name)) for name in submissions}


def _points(notebook: Any) -> Points:
    points: Points = {}
    for grade in notebook.grades:
        if grade.cell.cell_type == "code":
            question = grade.cell.name.partition("-")[0]
            points[question] = points.get(question, 0) + grade.score
    return points


def _run(command: list[str], folder: Path) -> None:
    environment = handout_nbgrader.environment()
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stdout + run.stderr
