"""Assignments: the stub of an answer, the form of numbers in checks, and values that cannot be sent."""

import numpy as np
import pytest

from adlib.companion.assignments import Assignment, Cell, as_numbers, attempt, stub

FUNCTION = '''def double(x):
    """Twice x."""
    # BEGIN SOLUTION
    return 2 * x
    # END SOLUTION
'''
VALUE = """answer = (
    # BEGIN SOLUTION
    max(
        double(21), 0
    )
    # END SOLUTION
)
"""


def test_a_value_is_blank_without_its_parentheses() -> None:
    more = VALUE.replace("answer", "other")
    blank = "answer = ...  # your code here\nother = ...  # your code here\n"
    assert stub(VALUE + more) == blank


def test_what_stands_around_the_marks_stays() -> None:
    head = FUNCTION.partition("    # BEGIN")[0]
    assert stub(FUNCTION + VALUE) == head + "    ...  # your code here\nanswer = ...  # your code here\n"
    more_in_parentheses = VALUE.replace("\n)", "\n    + 1\n)")
    assert stub(more_in_parentheses) == "answer = (\n    ...  # your code here\n    + 1\n)\n"


@pytest.mark.parametrize("value", [[[1, 2], [3, 4]], ((1, 2), (3, 4)), np.array([[1, 2], [3, 4]], np.float32)])
def test_numbers_of_any_kind_become_floats(value: object) -> None:
    found = as_numbers(value, (2, 2), "it")
    assert found.dtype == float and found.tolist() == [[1, 2], [3, 4]]


def test_a_tensor_and_one_number_are_numbers() -> None:
    torch = pytest.importorskip("torch")
    assert as_numbers(torch.ones(3, dtype=torch.float32), (3,), "it").tolist() == [1, 1, 1]
    assert as_numbers(torch.tensor(True), (), "it") == 1


@pytest.mark.parametrize(
    ("value", "shape", "sentence"),
    [
        (None, (2,), "it has no answer yet, should be numbers of shape (2,)"),
        (..., (), "it has no answer yet, should be one number"),
        ([1, 2, 3], (), "it should be one number, has the shape (3,)"),
        ([[1], [2]], (2,), "it should be numbers of shape (2,), has the shape (2, 1)"),
        ([[1], [1, 2]], (2,), "it should be numbers of shape (2,), not a list like this"),
        (["a", "b"], (2,), "it should be numbers of shape (2,), not a list like this"),
        ({1, 2}, (2,), "it should be numbers of shape (2,), not a set like this"),
    ],
)
def test_one_sentence_for_what_is_not_as_asked(value: object, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        as_numbers(value, shape, "it")
    assert str(caught.value) == sentence


TWO = Assignment(
    "mini",
    "Mini",
    (
        Cell("setup", "student: str = 'anonymous'", is_parameters=True),
        Cell("solution", "value = (\n    # BEGIN SOLUTION\n    3\n    # END SOLUTION\n)", name="q1"),
        Cell("test", "assert value == 3, 'three'", name="q1-three", points=1),
        Cell("solution", FUNCTION, name="q2"),
        Cell("test", "assert double(2) == 4, 'four'", name="q2-four", points=1),
    ),
)


@pytest.mark.parametrize("answer", ["value = {3}", "value = print", "value = [object()]"])
def test_a_value_that_cannot_be_sent_fails_its_own_question(answer: str) -> None:
    outcome = attempt(TWO, {"q1": answer})
    assert "is not a number" in outcome["q1-three"]
    assert outcome["q2-four"] == ""


def test_what_a_function_gives_must_be_plain() -> None:
    outcome = attempt(TWO, {"q2": "def double(x):\n    return {2 * x}"})
    assert outcome == {"q1-three": "", "q2-four": "set is not a number, a text, an array, a tensor, or a list of these"}
