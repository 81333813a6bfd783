"""Parameters of a chapter: good values pass, each bad one ends in one sentence."""

from typing import Annotated, Literal

import pytest
import torch
from pydantic import Field, ValidationError, model_validator

from adlib.companion.params import BadParameters, ChapterParams


class Params(ChapterParams):
    dataset: Literal["auto", "mnist"]
    digit: Annotated[int, Field(ge=0, le=9, strict=True)]
    other: Annotated[int, Field(ge=0, le=9, strict=True)]
    rate: float
    seeds: list[int]
    flip: bool

    @model_validator(mode="after")
    def _different(self):
        if self.digit == self.other:
            raise ValueError("digit and other must be different")
        return self


GOOD = {
    "dataset": "auto", "digit": 3, "other": 8, "rate": 0.5, "seeds": [0, 1], "flip": True,
    "threads": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(autouse=True)
def torch_as_before():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def test_good_parameters_come_back_and_other_names_of_the_notebook_do_not_matter():
    params = Params.from_notebook(GOOD | {"something": 1, "In": ["", "digit: int = 3"]})
    assert params.model_dump() == GOOD
    with pytest.raises(ValidationError):
        params.digit = 4


def test_threads_and_determinism_are_set():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    Params.from_notebook(GOOD | {"threads": 2})
    assert torch.get_num_threads() == 2 and torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("has_cuda, device", [(False, "cpu"), (True, "cuda")])
def test_auto_is_resolved(monkeypatch, has_cuda, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert Params.from_notebook(GOOD | {"device": "auto"}).device == device


def test_what_a_command_line_makes_of_numbers_is_understood():
    params = Params.from_notebook(GOOD | {"rate": "1e-3", "flip": "false"})
    assert (params.rate, params.flip) == (0.001, False)


@pytest.mark.parametrize(
    "bad, sentence",
    [
        ({"digit": 12}, "digit=12: Input should be less than or equal to 9"),
        ({"digit": "abc"}, "digit='abc': Input should be a valid integer"),
        ({"digit": True}, "digit=True: Input should be a number, not a boolean"),
        ({"rate": False}, "rate=False: Input should be a number, not a boolean"),
        ({"rate": float("nan")}, "rate=nan: Input should be a finite number"),
        ({"seeds": "[1, 2]"},
         "seeds='[1, 2]': Input should be a valid list (papermill takes lists as -y 'seeds: [1, 2]')"),
        ({"dataset": "nosuch"}, "dataset='nosuch': Input should be 'auto' or 'mnist'"),
        ({"device": "tpu"}, "device='tpu': Input should be 'auto', 'cpu' or 'cuda'"),
        ({"digit": 8}, "digit and other must be different"),
        ({"threads": 0}, "threads=0: Input should be greater than or equal to 1"),
        ({"digit": 12, "threads": 0}, "threads=0: Input should be greater than or equal to 1; "
                                      "digit=12: Input should be less than or equal to 9"),
        ({"In": ["# Parameters\ndigitt = 3\n"]}, "unknown parameter 'digitt' (did you mean 'digit'?)"),
        ({"In": ["x = 1", "# Parameters\ndigit = 3\nzzz = 3\n"]},
         "unknown parameter 'zzz' (known are threads, device, dataset, digit, other, rate, seeds, flip)"),
    ],
)  # fmt: skip
def test_a_bad_parameter_ends_in_one_sentence(bad, sentence):
    with pytest.raises(BadParameters) as caught:
        Params.from_notebook(GOOD | bad)
    assert str(caught.value) == sentence
    assert caught.value._render_traceback_() == [f"BadParameters: {sentence}"]


def test_a_name_that_the_cell_lacks():
    with pytest.raises(BadParameters, match="^rate: the parameters cell does not set it$"):
        Params.from_notebook({name: value for name, value in GOOD.items() if name != "rate"})


def test_cuda_without_a_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadParameters, match="^device='cuda': no CUDA device can be used here, choose 'cpu' or 'auto'$"):
        Params.from_notebook(GOOD | {"device": "cuda"})


def test_check_refuses_unknown_names():
    with pytest.raises(BadParameters, match="unknown parameter 'seed' .did you mean 'seeds'"):
        Params.check(GOOD | {"seed": 1})
