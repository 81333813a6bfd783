"""The format of masters: what is read, what is complained about, and what students get."""

import json
import re

import graders
import matrix
import pytest
from places import MASTERS, MINI, ROOT

from adlib.companion import handout
from adlib.companion.assignments import BadMaster, answers, attempt, read, solved, stub, variant
from adlib.companion.judge import reference


def edited(tmp_path, *changes):
    text = MINI.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "90-mini.py"
    path.write_text(text)
    return path


COMPLAINTS = {
    'name="q3-value" points=2': ('name="q3-value"', "hidden q3-value has 0 points"),
    '# %% tags=["hidden"] name="q3-value"': ('# %% tags=["test"] name="q3-value"', "q3 has no hidden check"),
    "# # A miniature": ("# A miniature", "the first cell must begin with a title"),
    'tags=["setup", "parameters"]': ('tags=["setup"]', "exactly one cell, the first setup, is tagged parameters"),
    'tags=["show"]': ('tags=["shown"]', "is tagged ['shown']"),
    'caught="q3-value" hint="twice"': ('caught="q3-values" hint="twice"', "q3-same must name the check"),
    'name="q3-same"': ('name="q3-square"', "q3-square is there twice"),
    'tags=["wrong"] name="q3-same" caught="q3-value" hint="twice"': ('tags=["show"]', "q3 has 1 wrong answers"),
    'tags=["rubric"] name="q4"': ('tags=["rubric"] name="q5"', "each manual question has one rubric"),
    'tags=["question"] name="q2"': ('tags=["question"] name="q7"', "each question has one solution, in the same order"),
    "# BEGIN SOLUTION\ntwice": ("twice", "q3 has no # BEGIN SOLUTION"),
    "twice = 2 * scale\n# END": ("print(2)\n# END", "q3 defines no function and no value"),
    'name="q4" points=3': ('name="q4" points=3 colour="red"', "has ['colour']"),
    '[markdown] tags=["manual"]': ('tags=["manual"]', "manual, is code"),
}


@pytest.mark.parametrize("old", COMPLAINTS)
def test_a_broken_master_is_told_in_a_sentence(tmp_path, old):
    new, words = COMPLAINTS[old]
    with pytest.raises(BadMaster, match=re.escape(words)):
        read(edited(tmp_path, (old, new)))


def test_a_master_is_read(mini):
    assert (mini.slug, mini.title, mini.points(), mini.points("q1")) == ("90-mini", "A miniature", 12, 4)
    assert [cell.name for cell in mini.of("hidden", question="q1")] == ["q1-many", "q1-count"]
    (cell,) = mini.of("solution", question="q1")
    assert list(answers(cell)) == ["squares", "count"]


def test_a_variant_depends_on_assignment_and_student_alone():
    def numbers(slug, student):
        return list(variant(slug, student).integers(0, 10**9, 3))

    assert numbers("a", "Ada ") == numbers("a", "ada") != numbers("a", "bob")
    assert numbers("a", "ada") != numbers("b", "ada")


def test_the_solution_passes_here_too(master):
    assert not any(attempt(master).values())


def test_students_get_no_secret(master):
    notebook = json.dumps(handout.plain(master, "ada"))
    stubs = [stub(cell.source) for cell in master.of("solution")]
    shown = "\n".join(stubs + [c.source for c in master.of("text", "setup", "question", "test", "show", "manual")])
    lines = {
        line.strip()
        for cell in master.of("solution", "hidden", "wrong", "rubric")
        for line in cell.source.splitlines()
        if "SOLUTION" not in line
    }
    secrets = [line for line in lines if len(line) > 12 and line not in shown]
    assert secrets
    assert [line for line in secrets if json.dumps(line)[1:-1] in notebook] == []
    names = [cell.name for cell in master.of("hidden", "wrong")]
    assert [name for name in names if f'"{name}"' in notebook] == []


def test_students_find_their_name_and_blanks(mini):
    sources = [cell.source for cell in handout.plain(mini, "ada").cells]
    assert "student: str = 'ada'  # your name or number" in sources
    assert sum("...  # your code here" in source for source in sources) == 3
    assert any(source.endswith("*4 points*") for source in sources)


def test_the_reference_is_the_solution(mini):
    code = "\n".join(cell.source for cell in reference(mini).cells)
    assert "np.multiply(x, x)" in code and "SOLUTION" not in code


def test_what_an_answer_defines_before_it_raises_counts(mini):
    (cell,) = mini.of("solution", question="q1")
    names = [check.name for check in mini.of("test", "hidden", question="q1")]
    late = attempt(mini, {"q1": solved(cell.source) + "\nraise ValueError('too late')"})
    assert [late[name] for name in names] == [""] * len(names)
    early = attempt(mini, {"q1": "raise ValueError('too early')"})
    assert all("too early" in early[name] for name in names)


def test_the_recorded_matrix_is_of_these_masters_and_both_graders_agree():
    recorded = json.loads((ROOT / matrix.OUT).read_text(encoding="utf-8"))["assignments"]
    assert list(recorded) == sorted(path.stem for path in MASTERS if path != MINI), "make test-grading"
    for slug, cases in recorded.items():
        assignment = read(ROOT / "notebooks" / "assignments" / f"{slug}.py")
        asked = [cell.name for cell in assignment.of("question")]
        full = {q: sum(cell.points for cell in assignment.of("test", "hidden", question=q)) for q in asked}
        assert list(cases) == list(graders.cases(assignment)), "make test-grading"
        assert cases["reference"]["checks"] == matrix.in_order(full)
        assert [name for name, got in cases.items() if not got["checks"] == got["otter"] == got["nbgrader"]] == []
