"""The receipt that a chapter records and the pipeline reads."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from adlib.companion import receipt
from adlib.companion.params import ChapterParams

PARAMS = ChapterParams(threads=1, device="cpu")
DATA = SimpleNamespace(label="digits", exact=np.True_, fingerprint="abc")


def notebook(*results):
    outputs = [{"output_type": "display_data", "data": {receipt.MIME: r}, "metadata": {}} for r in results]
    stream = {"output_type": "stream", "name": "stdout", "text": "words"}
    return {"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [stream, *outputs]}]}


def test_what_is_recorded_is_json_and_reads_back(tmp_path):
    made = receipt.make("01-a", PARAMS, DATA, {"auroc_8v3": np.array([0.5, 0.75], dtype=np.float32), "n2": [1]})
    assert made == {
        "schema": 1,
        "chapter": "01-a",
        "params": {"threads": 1, "device": "cpu"},
        "dataset": {"label": "digits", "exact": True, "fingerprint": "abc"},
        "values": {"auroc_8v3": {"mean": 0.625, "per_seed": [0.5, 0.75]}, "n2": {"mean": 1.0, "per_seed": [1.0]}},
    }
    path = tmp_path / "01-a.ipynb"
    path.write_text(json.dumps(notebook(made), allow_nan=False))
    assert receipt.read(path) == receipt.read(str(path)) == receipt.read(notebook(made)) == made


def test_record_displays_one_output_with_the_receipt(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append((data, raw)))
    receipt.record("01-a", PARAMS, DATA, {"x": [1.0]})
    assert shown == [({receipt.MIME: receipt.make("01-a", PARAMS, DATA, {"x": [1.0]})}, True)]


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"AUROC": [1.0]}, "results key 'AUROC': write it in lower_snake_case"),
        ({"a__b": [1.0]}, "results key 'a__b': write it in lower_snake_case"),
        ({"a": []}, "results key 'a' has no values: give one number a seed"),
        ({"a": [1.0, float("nan")]}, "results key 'a' holds [1.0, nan]: every value must be a finite number"),
        ({"a": [float("inf")]}, "results key 'a' holds [inf]: every value must be a finite number"),
    ],
)
def test_bad_values_are_refused(values, sentence):
    with pytest.raises(ValueError) as caught:
        receipt.make("01-a", PARAMS, DATA, values)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("count", [0, 2])
def test_there_must_be_exactly_one(count):
    with pytest.raises(ValueError, match=f"holds {count} results outputs, expected one"):
        receipt.read(notebook(*[{"schema": 1}] * count))


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match="schema 2, expected 1"):
        receipt.read(notebook({"schema": 2}))
