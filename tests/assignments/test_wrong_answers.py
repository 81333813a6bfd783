"""Each plausible wrong answer of each master is caught by the check that is meant for it, with its hint."""

import dataclasses

import pytest
from cases import marked, solution
from places import MASTERS

from adlib.companion import attach
from adlib.companion.assignments import CHECKS, Assignment, read
from adlib.companion.judge import grade
from adlib.companion.process import Limits

WRONG = [(path, cell.name) for path in MASTERS for cell in read(path).of("wrong")]


def up_to(master: Assignment, question: str) -> Assignment:
    """The master without what comes after a question's checks, and without the checks of others: each costs little."""
    last = max(number for number, cell in enumerate(master.cells) if cell in master.of(*CHECKS, question=question))
    cells = [c for c in master.cells[: last + 1] if c.kind not in CHECKS or c.question == question]
    return dataclasses.replace(master, cells=tuple(cells))


@pytest.mark.parametrize(("file", "name"), WRONG, ids=[f"{path.stem}.{name}" for path, name in WRONG])
def test_a_wrong_answer_is_caught(nursery, file, name):
    question = name.partition("-")[0]
    whole = read(file)
    master = up_to(whole, question)
    (wrong,) = [cell for cell in whole.of("wrong") if cell.name == name]
    notebook = solution(master)
    marked(notebook, f"{question}-answer").source = wrong.source
    outcome = grade(master, attach.parse(notebook), "anonymous", nursery, Limits())
    failed = [check for check in outcome.checks if check.why]
    assert failed and failed[0].name == wrong.caught, outcome
    assert wrong.hint in failed[0].why
