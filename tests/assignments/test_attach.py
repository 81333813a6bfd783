"""Damaged notebooks are put back into the frame of their master."""

import copy
import json

import pytest
from cases import marked, solution
from nbformat.v4 import new_code_cell, new_markdown_cell

from adlib.companion import attach, handout
from adlib.companion.attach import Unreadable


def attached(mini, notebook, student="anonymous"):
    return attach.attach(mini, attach.parse(notebook), student)


def sources(submission, question):
    return [part.source.strip() for part in submission.answers[question]]


def test_a_whole_notebook_needs_no_remark(mini):
    submission = attached(mini, solution(mini))
    assert submission.notes == [] and submission.before == [] and not submission.is_blank
    assert sources(submission, "q3") == ["twice = 2 * scale"]


def test_a_blank_notebook_is_blank(mini):
    submission = attached(mini, handout.plain(mini))
    assert submission.is_blank and submission.notes == []
    assert submission.written == {"q4": ""}


def test_one_written_sentence_is_not_blank(mini):
    notebook = handout.plain(mini)
    marked(notebook, "q4-answer").source += "\n\nIt overflows."
    assert not attached(mini, notebook).is_blank


def test_setup_tests_and_figures_are_left_out(mini):
    submission = attached(mini, solution(mini))
    code = [part.source for parts in submission.answers.values() for part in parts]
    assert len(code) == 3 and not any("import torch" in source or "assert" in source for source in code)


def test_a_copied_cell_runs_twice_in_order(mini):
    notebook = solution(mini)
    second = copy.deepcopy(marked(notebook, "q3-answer"))
    second.source = "twice = 4"
    notebook.cells.append(second)
    submission = attached(mini, notebook)
    assert sources(submission, "q3") == ["twice = 2 * scale", "twice = 4"]
    assert "are its answer, run one after the other" in submission.notes[0]


def test_a_blank_copy_does_not_undo_the_answer(mini):
    notebook = solution(mini)
    notebook.cells.append(marked(handout.plain(mini), "q3-answer"))
    assert sources(attached(mini, notebook), "q3") == ["twice = 2 * scale"]


def test_own_cells_belong_to_the_answer_above(mini):
    notebook = solution(mini)
    place = notebook.cells.index(marked(notebook, "q1-answer"))
    notebook.cells.insert(place + 1, new_code_cell("helper = 1"))
    notebook.cells.insert(0, new_code_cell("import math"))
    submission = attached(mini, notebook)
    assert [(part.source, part.own) for part in submission.answers["q1"]][1:] == [("helper = 1", True)]
    assert [part.source for part in submission.before] == ["import math"]


def test_an_answer_without_its_mark_is_found_by_name(mini):
    notebook = solution(mini)
    marked(notebook, "q2-answer").metadata = {}
    submission = attached(mini, notebook)
    assert len(sources(submission, "q2")) == 1
    assert submission.notes == ["q2: the answer is cell 9, found by `softmax`"]


def test_a_name_is_found_in_code_that_is_not_python(mini):
    notebook = solution(mini)
    notebook.cells = [new_code_cell("%matplotlib inline\ndef softmax(scores):\n    return (")]
    assert len(sources(attached(mini, notebook), "q2")) == 1


def test_an_answer_that_is_gone_is_named(mini):
    notebook = solution(mini)
    notebook.cells.remove(marked(notebook, "q2-answer"))
    assert attached(mini, notebook).notes == ["q2: its answer is missing, no cell defines softmax"]


def test_without_any_mark_nothing_of_the_masters_is_run(mini):
    notebook = solution(mini)
    for cell in notebook.cells:
        cell.metadata = {}
    submission = attached(mini, notebook)
    assert submission.before == []
    assert [len(submission.answers[q]) for q in ("q1", "q2", "q3")] == [1, 1, 1]


def test_a_changed_setup_is_told(mini):
    notebook = solution(mini)
    marked(notebook, "setup-02").source += "\nimport math"
    assert attached(mini, notebook).notes == ["cell 3, which sets things up, was changed: grading runs the original"]


def test_another_students_name_is_told_and_ones_own_is_not(mini):
    notebook = solution(mini)
    marked(notebook, "setup-01").source = "student: str = 'Ada'  # your name or number"
    assert attached(mini, notebook, "ada ").notes == []
    (note,) = attached(mini, notebook, "bob").notes
    assert note == "the notebook was worked out as 'Ada', but graded with the variant of 'bob'"
    (note,) = attached(mini, solution(mini), "bob").notes  # a name that was never filled in
    assert note == "the notebook was worked out as 'anonymous', but graded with the variant of 'bob'"


def test_lost_and_changed_tests_are_told(mini):
    notebook = solution(mini)
    notebook.cells.remove(marked(notebook, "q1-two"))
    marked(notebook, "q2-sum").source = "pass"
    assert attached(mini, notebook).notes == [
        "visible checks were deleted (q1-two): grading runs the originals",
        "visible checks were changed (q2-sum): grading runs the originals",
    ]


def test_what_otter_puts_in_is_left_out(mini):
    notebook = solution(mini)
    notebook.cells = [c for c in notebook.cells if c.metadata["adlib"]["kind"] != "test"]
    first = '# Initialize Otter\nimport otter\ngrader = otter.Notebook("90-mini.ipynb")'
    last = "# Save your notebook first, then run this cell to export your submission.\ngrader.export(pdf=False)"
    notebook.cells = [new_code_cell(first), *notebook.cells, new_code_cell('grader.check("q1")'), new_code_cell(last)]
    submission = attached(mini, notebook)
    assert submission.notes == [] and submission.before == []
    assert sources(submission, "q3") == ["twice = 2 * scale"]
    notebook.cells.append(new_code_cell('grader.check("q1")\nscale = 0'))  # the student's own, so it is run
    assert sources(attached(mini, notebook), "q3")[-1].endswith("scale = 0")


def test_a_line_of_marks_is_no_riddle(mini):
    notebook = solution(mini)
    marked(notebook, "q3-answer").source += "\n# for the grader\n" + "#" * 60 + "\nx = 1"
    assert attached(mini, notebook).notes == []


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        ("from adlib.geom import simple_score", True),
        ("import adlib.geom as g", True),
        ("import importlib", True),
        ("import sys; del sys.modules['adlib.geom']", True),
        ("import math", False),
        ("net.modules()", False),
    ],
)
def test_an_answer_that_opens_the_package_is_told(mini, line, is_told):
    notebook = solution(mini)
    marked(notebook, "q3-answer").source += f"\n{line}"
    told = ["q3: its answer imports from adlib or importlib, or uses sys.modules: look at it"]
    assert attached(mini, notebook).notes == (told if is_told else [])


def test_a_written_answer_may_go_on_in_further_cells(mini):
    notebook = solution(mini)
    marked(notebook, "q4-answer").source = "One."
    notebook.cells += [new_markdown_cell("Two."), new_code_cell("x = 1"), new_markdown_cell("Not this.")]
    assert attached(mini, notebook).written == {"q4": "One.\n\nTwo."}


def test_a_written_answer_without_its_cell_is_found_below_the_question(mini):
    notebook = solution(mini)
    notebook.cells.remove(marked(notebook, "q4-answer"))
    notebook.cells.append(new_markdown_cell("Here."))
    assert attached(mini, notebook).written == {"q4": "Here."}


def test_sources_may_be_lists_of_lines(mini):
    notebook = json.loads(json.dumps(solution(mini)))
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    assert attached(mini, notebook) == attached(mini, solution(mini))


def test_the_assignment_is_what_the_notebook_names_or_defines(mini):
    notebook = solution(mini)
    assert attach.which(attach.parse(notebook), [mini]) is mini
    notebook.metadata = {}
    assert attach.which(attach.parse(notebook), [mini]) is mini
    notebook.cells = []
    with pytest.raises(Unreadable, match="names no assignment and is none of 90-mini"):
        attach.which(attach.parse(notebook), [mini])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "x.ipynb is empty"),
        (b"\xff\xfe\x00", "is not a notebook, or was damaged"),
        (b'{"cells": [', "is not a notebook, or was damaged"),
        (b'{"worksheets": []}', "is not a notebook, or was damaged"),
        (b'{"cells": [{"source": 5, "cell_type": "code"}]}', "is not a notebook, or was damaged"),
        (b"[" * 10**5, "is not a notebook, or was damaged"),
    ],
)
def test_no_notebook_is_told_in_a_sentence(tmp_path, content, words):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=words):
        attach.read(path)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "x.ipynb"
    with path.open("wb") as file:
        file.truncate(attach.LARGEST + 1)
    with pytest.raises(Unreadable, match="larger than 100 MB: clear its outputs"):
        attach.read(path)


def test_a_mark_of_another_form_is_no_mark():
    cells = [{"cell_type": "code", "source": "", "metadata": {"adlib": mark}} for mark in (3, ["id"], {"id": 4}, None)]
    assert [cell.id for cell in attach.parse({"cells": cells, "metadata": None}).cells] == [""] * 4
