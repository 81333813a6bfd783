"""What the judge says about one submission, where the batch does not show it."""

import pytest
from cases import all_do, marked, solution
from places import MINI

from adlib.companion import attach, judge
from adlib.companion.assignments import read
from adlib.companion.attach import Part
from adlib.companion.judge import Broken, Runner, Verdict, grade
from adlib.companion.process import Limits


def graded(master, notebook, nursery, student="ada", limits=None):
    return grade(master, attach.parse(notebook), student, nursery, limits or Limits())


def handed_in_by(student, master):
    notebook = solution(master)
    marked(notebook, "setup-01").source = f"student: str = {student!r}  # your name or number"
    return notebook


def test_a_check_that_the_solution_fails_for_this_student_is_told(nursery, tmp_path):
    text = MINI.read_text().replace('== 12, "count should', '== 12 + (student == "ada"), "count should')
    (tmp_path / "90-mini.py").write_text(text)
    master = read(tmp_path / "90-mini.py")
    note = "q1: with these numbers the solution fails, too: mark it by hand"
    assert graded(master, handed_in_by("ada", master), nursery, "ada").notes == [note]
    assert graded(master, handed_in_by("bob", master), nursery, "bob").notes == []


def test_a_students_exception_is_of_its_kind_for_a_check(nursery, tmp_path):
    """A check may ask for an error; one of another kind is told."""
    check = "try:\n    count(None)\nexcept ValueError:\n    pass\nelse:\n    assert False, 'None is no array'"
    text = MINI.read_text().replace('assert count(np.ones((3, 4))) == 12, "count should look at all axes"', check)
    (tmp_path / "90-mini.py").write_text(text)
    master = read(tmp_path / "90-mini.py")
    for body, why in (
        ("class Mine(ValueError): pass\nraise Mine('no')", ""),
        ("return 1", "None is no array"),
        ("raise KeyError('x')", "`count` raised KeyError: 'x'"),
        ("return None", "`count` returns nothing yet"),
    ):
        outcome = graded(master, all_do(master, body, "q1"), nursery)
        assert outcome.checks[2].why == why


def test_what_is_left_of_the_time_counts_for_all(nursery, mini):
    notebook = all_do(mini, "import time\ntime.sleep(9)", "q1")
    outcome = graded(mini, notebook, nursery, limits=Limits(call=9, cell=9, whole=1.5))
    assert outcome.points() == 0
    assert outcome.checks[-1].why == "`twice` was not run: all in all your code ran longer than 1.5 s"


def test_a_function_that_was_stopped_twice_is_called_no_more(nursery, mini, tmp_path):
    source = "calls = 0\ndef squares(x):\n    global calls\n    calls += 1\n    while True:\n        pass"
    with Runner(mini, "ada", nursery, tmp_path, Limits(call=0.5)) as runner:
        runner.run(Part(source, 1, own=False), "q1")
        for _ in range(4):
            with pytest.raises(Verdict, match="`squares` ran longer than 0.5 s and was stopped"):
                runner.call("squares", (1,), {})
        assert runner.get("calls") == 2


def test_a_master_whose_setup_fails_is_told(nursery, tmp_path):
    (tmp_path / "90-mini.py").write_text(MINI.read_text().replace("import torch\n", "import torch\nnone\n", 1))
    master = read(tmp_path / "90-mini.py")
    with pytest.raises(Broken, match="a setup cell raised NameError: name 'none' is not defined"):
        graded(master, solution(master), nursery)


def test_what_setup_cells_import_is_found(mini):
    found = judge.modules([mini])
    assert {"numpy", "torch", "adlib.companion.assignments"} <= set(found)
