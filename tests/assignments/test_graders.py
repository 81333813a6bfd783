"""One assignment through Otter and nbgrader: reference, blank and a wrong answer; `make test-grading` runs all."""

import subprocess
import sys

import graders
import pytest
from places import MASTERS, MINI
from test_handouts import has_graders

from adlib.companion import handout_nbgrader, handout_otter, handouts
from adlib.companion.assignments import answers as defined
from adlib.companion.assignments import read
from adlib.companion.leaks import leaks, secrets, squash

MASTER = next((path for path in MASTERS if path != MINI), MINI)
pytestmark = has_graders


@pytest.fixture(scope="module")
def assignment():
    return read(MASTER)


@pytest.fixture(scope="module")
def some(assignment):
    """{name: answers} and {name: points}: the reference, nothing, and a wrong answer that a hidden check catches."""
    hidden = {cell.name for cell in assignment.of("hidden")}
    wrong = next(cell.name for cell in assignment.of("wrong") if cell.caught in hidden)
    outcomes = handouts.outcomes_of(MASTER)
    names = ("reference", "blank", wrong)
    answers, expected = graders.cases(assignment), {n: graders.expected(assignment, n, outcomes) for n in names}
    full = sum(cell.points for cell in assignment.of("test", "hidden"))
    assert sum(expected["reference"].values()) == full > sum(expected[wrong].values()) > 0
    assert not any(expected["blank"].values())
    return {name: answers[name] for name in names}, expected


def test_otter_gives_each_question_its_points(assignment, some, tmp_path):
    handout_otter.write(assignment, tmp_path / "otter")
    answers, expected = some
    for name in answers:
        found = graders.otter(tmp_path / "otter", assignment.slug, answers[name], tmp_path / name)
        assert found == expected[name], name


def with_warnings(assignment, answers, expected):
    """The same and a reference whose first function warns; nbgrader takes what stands on stderr for an error."""
    first = assignment.of("solution")[0].name
    name = next(name for name, kind in defined(assignment.of("solution")[0]).items() if kind is not object)
    loud = f"""import warnings

quiet = {name}


def {name}(*args, **kwargs):
    warnings.warn("something was divided by zero", RuntimeWarning)
    return quiet(*args, **kwargs)
"""
    reference = answers["reference"]
    loud = reference | {first: f"{reference[first]}\n\n\n{loud}"}
    return answers | {"loud": loud}, expected | {"loud": expected["reference"]}


def test_nbgrader_gives_each_question_its_points_and_its_feedback_is_words(assignment, some, tmp_path):
    handout_nbgrader.write(assignment, tmp_path)
    answers, expected = with_warnings(assignment, *some)
    assert graders.nbgrader(tmp_path, assignment.slug, answers) == expected
    command = [sys.executable, "-m", "nbgrader", "generate_feedback", assignment.slug]
    environment = handout_nbgrader.environment()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=graders.SECONDS)
    pages = {path.parts[-3]: path for path in tmp_path.glob("feedback/*/*/*.html")}
    assert pages.keys() == answers.keys()
    (wrong,) = (cell for cell in assignment.of("wrong") if cell.name in answers)
    told = squash("".join(handouts.outcomes_of(MASTER)[wrong.name].values()))  # messages are meant to be read
    hidden = {key: what for key, what in secrets([assignment]).items() if " hidden " in what and key not in told}
    assert hidden and leaks(pages.values(), hidden) == []
    assert wrong.hint in pages[wrong.name].read_text(encoding="utf-8")
