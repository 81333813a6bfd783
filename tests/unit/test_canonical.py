"""Is an executed notebook whole, and do equal runs give equal notebooks."""

import copy

import pytest

from adlib.companion import canonical, receipt
from adlib.companion.canonical import BadRun

RECEIPT = {"schema": 1, "at": "at 0x7f"}


def code(source, count=1, outputs=(), tags=(), **metadata):
    return {"cell_type": "code", "id": "x", "source": source, "execution_count": count, "outputs": list(outputs),
            "metadata": {"tags": list(tags), **metadata}}  # fmt: skip


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def shown(data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def executed():
    return {
        "metadata": {"papermill": {"duration": 1.0}, "language_info": {"name": "python", "version": "3.11.7"}},
        "cells": [
            code("x = 1", tags=["parameters"], papermill={"start_time": "t"}, execution={"a": 1}),
            {"cell_type": "markdown", "id": "y", "source": "words", "metadata": {"papermill": {}}},
            code("", None),
            code("# Parameters\nx = 2", 2, tags=["injected-parameters"], papermill={"start_time": "t"}),
            code("print(x)", 3, [stream("2\n")], papermill={"start_time": "t"}),
            code("record()", 4, [shown({receipt.MIME: RECEIPT})], papermill={"start_time": None}),
        ],
    }


def test_a_whole_notebook_passes():
    canonical.check(executed())


@pytest.mark.parametrize(
    "cell, sentence",
    [
        (code("f()", 3, [{"output_type": "error", "ename": "ValueError", "evalue": "\nno\nway", "traceback": []}]),
         "cell 3: ValueError: no"),
        (code("f()", 3, [{"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []}]),
         "cell 3: KeyError: (no message)"),
        (code("f()", 3, [stream("careful\nnow", "stderr")]), "cell 3 wrote to stderr: careful"),
        (code("f()", None), "cell 3 was not run"),
        (code("f()", 3, tags=["parameters"]), "2 cells are tagged `parameters`, expected exactly one"),
        (code("f()", 3, [shown({receipt.MIME: {"schema": 1}})]),
         "the notebook holds 2 results outputs, expected one (receipt.record in the last cell)"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(cell, sentence):
    nb = executed()
    nb["cells"][4] = cell
    with pytest.raises(BadRun) as caught:
        canonical.check(nb)
    assert str(caught.value) == sentence


def test_an_error_is_named_before_the_cells_that_it_kept_from_running():
    nb = executed()
    nb["cells"][0]["execution_count"] = None
    nb["cells"][4]["outputs"] = [{"output_type": "error", "ename": "E", "evalue": "m", "traceback": []}]
    with pytest.raises(BadRun, match="^cell 3: E: m$"):
        canonical.check(nb)


def test_the_last_started_cell():
    nb = executed()
    assert canonical.last_started(nb) == 3  # empty cells do not count, nor does the one that never began
    for cell in nb["cells"]:
        cell["metadata"].pop("papermill", None)
    assert canonical.last_started(nb) is None


def test_two_runs_that_differ_in_times_ids_and_addresses_become_equal():
    one = executed()
    one["cells"][4]["outputs"] = [
        stream("a <object at 0x7f01>\n"), stream("b\n"),
        shown({"text/html": '<style>#T_ab123_row0 {}</style><table id="T_ab123"></table><table id="T_00fff"></table>',
               "text/plain": "<Styler at 0x7F99>", "image/png": "at 0x7f"}),
    ]  # fmt: skip
    two = copy.deepcopy(one)
    two["metadata"] = {"papermill": {"duration": 9.0}, "language_info": {"name": "python", "version": "3.11.9"}}
    for number, cell in enumerate(two["cells"]):
        cell["id"] = f"other{number}"
        cell["metadata"]["papermill"] = {"duration": number}
    two["cells"][4]["outputs"] = [
        stream("a <object at 0x99>\nb\n"),
        shown({"text/html": '<style>#T_99999_row0 {}</style><table id="T_99999"></table><table id="T_12345"></table>',
               "text/plain": "<Styler at 0x1>", "image/png": "at 0x7f"}),
    ]  # fmt: skip
    canonical.canonicalise(one)
    canonical.canonicalise(two)
    assert one == two
    html = one["cells"][4]["outputs"][1]["data"]["text/html"]
    assert html == '<style>#T_00000_row0 {}</style><table id="T_00000"></table><table id="T_00001"></table>'


def test_what_readers_see_stays_and_the_injected_cell_is_folded():
    nb = executed()
    nb["cells"][4]["outputs"] = [stream("T_shirt at 0\n"), stream("oops", "stderr"), stream("T_abcde in text\n")]
    before = copy.deepcopy(nb["cells"][4]["outputs"])
    canonical.canonicalise(nb)
    assert nb["cells"][4]["outputs"] == before
    assert nb["cells"][3]["metadata"]["tags"] == ["injected-parameters", "hide-input"]
    assert nb["cells"][0]["metadata"] == {"tags": ["parameters"]}
    assert nb["cells"][5]["outputs"][0]["data"][receipt.MIME] == {"schema": 1, "at": "at 0x7f"}
    assert [cell["id"] for cell in nb["cells"]] == ["c000", "c001", "c002", "c003", "c004", "c005"]
