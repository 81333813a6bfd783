"""Plain values survive the way between two processes; nothing else gets through."""

import base64
import io
import json
import math

import numpy as np
import pytest
import torch

from adlib.companion.exchange import NotPlain, decode, encode

PLAIN = [None, True, 3, -2.5, "text", [1, [2.0, "x"]], (1, (2,)), {"a": 1, (1, 2): [3]}, [], (), {}, math.inf, 10**30]


def sent(value):
    return decode(json.loads(json.dumps(encode(value))))


@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_plain_values_arrive_as_they_were(value):
    assert sent(value) == value and type(sent(value)) is type(value)


def test_not_a_number_arrives():
    assert math.isnan(sent(math.nan))


def test_a_blank_arrives_as_a_blank():
    assert sent((..., 1)) == (..., 1)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_arrays_and_tensors_arrive_with_dtype_and_shape(kind):
    array = np.arange(6).reshape(2, 3).astype(kind)
    assert sent(array).dtype == array.dtype and np.array_equal(sent(array), array)
    tensor = torch.from_numpy(array).T  # not contiguous
    assert torch.equal(sent(tensor), tensor) and sent(tensor).dtype == tensor.dtype
    assert sent(torch.tensor(1.5, requires_grad=True)).shape == ()


def test_numpys_numbers_arrive_as_arrays_without_axes():
    assert sent(np.float32(2)).shape == () and sent(np.bool_(True)).dtype == bool


class Anything:
    def __eq__(self, other):
        return True

    def __array__(self, *args, **kwargs):
        return np.zeros(3)

    __hash__ = None


class Number(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


ARRAYS = [np.array([None]), np.array(["x"]), np.array([1j])]


@pytest.mark.parametrize(
    "value",
    [Anything(), Number(1), len, {1, 2}, 1j, b"x", [Anything()], *ARRAYS],
    ids=lambda value: type(value).__name__,
)
def test_nothing_else_is_sent(value):
    with pytest.raises(NotPlain):
        encode(value)


def test_an_array_of_a_lying_class_arrives_as_its_numbers():
    class Liar(np.ndarray):
        def __eq__(self, other):
            return True

    arrived = sent(np.zeros(2).view(Liar))
    assert type(arrived) is np.ndarray and not (arrived == 1).any()


def test_endless_lists_are_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(NotPlain, match="nested more than"):
        encode(endless)


def npy(array, **kwargs):
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    "value",
    [
        {"array": npy(np.array([print], dtype=object), allow_pickle=True)},
        {"array": npy(np.array(["x"]))},
        {"array": "!!"},
        {"array": base64.b64encode(b"PK\x03\x04").decode()},
        {"array": 3},
        {"float": "1"},
        {"list": {}},
        {"unknown": 1},
        {"list": [], "tuple": []},
        [1],
    ],
    ids=str,
)
def test_what_encode_never_makes_is_refused(value):
    with pytest.raises(NotPlain):
        decode(value)
