"""What `make assignments` writes: what students get holds no secret, what graders get holds all."""

import importlib.util
import json
import os
import shutil

import nbformat
import pytest
from places import MASTERS, TINY

from adlib.companion import handout, handout_instructor, handouts
from adlib.companion.assignments import read
from adlib.companion.leaks import leaks, secrets, squash

has_graders = pytest.mark.skipif(
    "ADLIB_REQUIRE_GRADERS" not in os.environ
    and (importlib.util.find_spec("otter") is None or importlib.util.find_spec("nbgrader") is None),
    reason="Otter and nbgrader are not installed: pip install -c constraints.txt -e .[grading]",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The mini assignment's folder, with the variants of two students."""
    out = tmp_path_factory.mktemp("assignments")
    ids = out / "ids.txt"
    ids.write_text("ada\n\nBob-2\n")
    assert handouts.main(["--masters", str(TINY.parent), "--out", str(out), "--students", str(ids)]) == 0
    return out / "99-mini"


@has_graders
def test_all_files_are_there(made):
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert files == {
        "instructor.md",
        "solution/99-mini.ipynb",
        "plain/99-mini.ipynb",
        "plain/ada/99-mini.ipynb",
        "plain/Bob-2/99-mini.ipynb",
        "otter/99-mini-autograder.zip",
        "otter/student/99-mini.ipynb",
        "nbgrader/nbgrader_config.py",
        "nbgrader/gradebook.db",
        "nbgrader/source/99-mini/99-mini.ipynb",
        "nbgrader/release/99-mini/99-mini.ipynb",
    }


@has_graders
def test_no_student_file_holds_a_secret_and_each_other_file_does(made):
    wanted = secrets([read(TINY)])
    assert leaks(handouts.student_files(made), wanted) == []
    for name in ("solution/99-mini.ipynb", "otter/99-mini-autograder.zip", "nbgrader/source/99-mini/99-mini.ipynb"):
        assert leaks([made / name], wanted), name
    assert leaks([made / "instructor.md"], wanted)


@has_graders
@pytest.mark.parametrize("name", ["plain", "otter/student", "nbgrader/release/99-mini"])
def test_answers_are_found_again_by_their_ids_in_every_student_file(made, name):
    notebook = nbformat.read(made / name / "99-mini.ipynb", as_version=4)
    assert notebook.metadata["adlib"] == {"assignment": "99-mini"}
    found = {cell.metadata["adlib"]["id"]: cell for cell in notebook.cells if "adlib" in cell.metadata}
    assert found["q1-answer"].source.splitlines()[2].strip().startswith("...")
    assert found["q2-answer"].source == handout.ANSWER
    assert "parameters" in found["setup-01"].metadata["tags"]


@has_graders
def test_a_student_has_the_own_id_in_the_notebook(made):
    for name in ("ada", "Bob-2"):
        notebook = nbformat.read(made / "plain" / name / "99-mini.ipynb", as_version=4)
        (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        assert parameters.source == f"student: str = '{name}'  # your name or number"


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_the_plain_notebook_of_each_master_holds_no_secret(master, tmp_path):
    assignment = read(master)
    wanted = secrets([assignment])
    kinds = {what.split()[1] for what in wanted.values()}
    assert kinds == {"solution", "hidden", "wrong", "rubric"}, "each kind needs a line that gives it away"
    handout.write_notebook(tmp_path / "plain.ipynb", handout.plain(assignment))
    assert leaks([tmp_path / "plain.ipynb"], wanted) == []
    handout.write_notebook(tmp_path / "solution.ipynb", handout.plain(assignment, with_solution=True))
    assert leaks([tmp_path / "solution.ipynb"], wanted)


@pytest.mark.parametrize(
    "name, text",
    [
        ("page.html", "<b>return</b> <span>numpy</span>.<b>multi</b>ply(x,\n x) &#43; unheard_of"),
        ("searchindex.js", 'Search.setIndex({"alltitles": {"return numpy.multiply(x, x) + unheard_of": 1}})'),
        ("note.ipynb", json.dumps({"cells": [{"source": ["return numpy.multi", "ply(x, x) + unheard_of"]}]})),
        ("test.json", json.dumps({"code": ">>> return numpy.multiply(\n... x, x) + unheard_of"})),
    ],
)
def test_a_line_is_found_in_whatever_dress(tmp_path, name, text):
    wanted = {squash("return numpy.multiply(x, x) + unheard_of"): "the line"}
    (tmp_path / name).write_text(text)
    assert leaks([tmp_path / name], wanted) == [f"{tmp_path / name} holds the line"]
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, name)
    assert leaks([tmp_path / "all.zip"], wanted) == [f"{tmp_path / 'all.zip'}/{name} holds the line"]


def test_a_line_that_students_see_anyway_is_no_secret():
    assignment, line = read(TINY), "return product_of_two_equals"
    assert squash(line) in secrets([assignment])
    assert squash(line) not in secrets([assignment], also_open=f"x = 1\n{line}\n")


def test_the_instructors_page_says_what_catches_which_error():
    assignment = read(TINY)
    page = handout_instructor.page(assignment, handouts.outcomes_of(TINY))
    assert "| q1: Square. | 3 | 1 | 2 |  |" in page and "| All | 5 |" in page
    assert "**q1-array** (hidden, 2 points)" in page and "- arrays are squared element by element" in page
    assert "**q1-double** loses 2 points. Caught by q1-array; the student reads:\n\n> arrays are squared" in page
    assert "**q1-none** loses 3 points. Caught by q1-two (and q1-array)" in page
    assert page.endswith("### Rubric and model answer\n\nBecause it follows from the definition of squares.\n")


@pytest.mark.parametrize(
    "ids, sentence",
    [
        ("ada\nb/c\n", "ids.txt, line 2: 'b/c' is no id; letters, digits and . _ @ + - are allowed"),
        ("ada\n..\n", "ids.txt, line 2: '..' is no id"),
        ("ada\nADA\n", "ids.txt, line 2: ADA is there twice"),
        ("\n", "ids.txt: there is no id in it"),
        (None, "ids.txt: No such file or directory"),
    ],
)
def test_bad_ids_are_refused_in_one_sentence(tmp_path, capsys, ids, sentence):
    if ids is not None:
        (tmp_path / "ids.txt").write_text(ids)
    arguments = ["--masters", str(TINY.parent), "--out", str(tmp_path / "out"), "--students", str(tmp_path / "ids.txt")]
    assert handouts.main(arguments) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1 and not (tmp_path / "out").exists()


def test_an_unknown_assignment_is_refused_in_one_sentence(capsys):
    assert handouts.main(["--masters", str(TINY.parent), "--assignment", "01-goem"]) == 2
    assert capsys.readouterr().err == "ASSIGNMENT=01-goem: must be one of 99-mini\n"


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("= x * x", "= 2 * x", "99-mini.py: the solution fails q1-array: arrays are squared"),
        ('caught="q1-array"', 'caught="q1-two"', "q1-double should be caught by q1-two with 'element by"),
        ("import numpy as np", "import numpie as np", "99-mini.py: ModuleNotFoundError: No module named 'numpie'"),
        ("points=1", "points=0", "99-mini.py: test q1-two has 0 points"),
    ],
)
def test_a_master_that_does_not_keep_its_word_makes_nothing(tmp_path, capsys, old, new, sentence):
    text = TINY.read_text()
    assert text.count(old) == 1
    (tmp_path / "99-mini.py").write_text(text.replace(old, new))
    assert handouts.main(["--masters", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1 and not list(tmp_path.glob("out/9*"))


def test_the_book_is_told_what_each_assignment_holds(tmp_path):
    handout.write(tmp_path / "new", [TINY])
    (told,) = json.loads((tmp_path / "new" / "assignments.json").read_text())
    assert told == {"slug": "99-mini", "title": "Mini", "coded": 1, "written": 1, "points": 5, "minutes": "5 to 10"}
    assert nbformat.read(tmp_path / "new" / "99-mini.ipynb", as_version=4).cells
