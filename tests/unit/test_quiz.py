"""What a quiz may hold, and the one line that says what is wrong with another."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "book/_ext/exercises.py"


@pytest.fixture(scope="module")
def exercises():
    for needed in ("sphinx", "sphinx_exercise"):
        pytest.importorskip(needed)
    spec = importlib.util.spec_from_file_location("exercises", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = """
- question: Is $x^2$ even?
  answers:
    - text: Yes
      right: true
      why: The sign goes.
    - text: 0.5
      why: That is no answer.
"""


def test_words_need_no_quotes(exercises):
    (question,) = exercises.read_quiz(GOOD)
    assert [(a["text"], a["right"]) for a in question["answers"]] == [("Yes", True), ("0.5", False)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GOOD, "", "must be a list of questions"),
        (GOOD, "question: Is it?", "must be a list of questions"),
        (GOOD, "- Is it?", "question 1: must have answers and question, not be 'Is it?'"),
        (GOOD, "- question: [", "no YAML"),
        ("The sign goes.", "The sign: goes.", "no YAML: mapping values are not allowed here in line 6"),
        ("      right: true\n", "", "question 1 (Is $x^2$ even?): no answer is right"),
        ("text: 0.5", "text: 0.5\n      right: true", "question 1 (Is $x^2$ even?): every answer is right"),
        ("right: true", "right: perhaps", "question 1 (Is $x^2$ even?), answer a: right must be true or false"),
        ("      why: That is no answer.\n", "", "question 1 (Is $x^2$ even?), answer b: why is missing"),
        ("why: That is no answer.", "why:", "answer b: why must be words, not ''"),
        ("why: That is", "because: That is", "answer b: why is missing"),
        ("  answers:", "  hint: no\n  answers:", "question 1: 'hint' is unknown; it may have answers, question"),
        ("  answers:", "  replies:", "question 1: answers is missing"),
        ("question: Is $x^2$ even?", "question: [a, b]", "question 1: question must be words, not ['a', 'b']"),
    ],
)
def test_a_malformed_quiz_is_one_clear_line(exercises, old, new, said):
    assert old in GOOD
    with pytest.raises(exercises.Malformed) as error:
        exercises.read_quiz(GOOD.replace(old, new))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_one_answer_is_no_choice(exercises):
    with pytest.raises(exercises.Malformed, match="answers must be a list of two or more"):
        exercises.read_quiz("- question: Which?\n  answers: [{text: a, why: b, right: true}]")
