"""An executed notebook: is it whole, and the form in which two equal runs give equal bytes."""

import re
from collections.abc import Mapping
from typing import Any

from . import receipt

TAG = "parameters"


class BadRun(ValueError):
    """A notebook that must not be published; the message is one sentence."""


def code_cells(nb: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The code cells that hold something; the first is cell 1 in our sentences, as in Jupyter's `In [1]`."""
    return [cell for cell in nb["cells"] if cell["cell_type"] == "code" and cell["source"].strip()]


def check_source(nb: Mapping[str, Any]) -> None:
    """Raises BadRun unless exactly one cell is tagged `parameters`.

    Without it papermill puts its values on top, where the defaults overwrite them in silence.
    """
    tagged = sum(TAG in cell["metadata"].get("tags", []) for cell in nb["cells"])
    if tagged != 1:
        raise BadRun(f"{tagged or 'no'} cells are tagged `{TAG}`, expected exactly one")


def check(nb: Mapping[str, Any]) -> None:
    """Raises BadRun unless every cell ran, without error and without a word on stderr, and there is one receipt."""
    cells = list(enumerate(code_cells(nb), start=1))
    for number, cell in cells:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                raise BadRun(f"cell {number}: {output['ename']}: {_first_line(output['evalue'])}")
    for number, cell in cells:
        if cell["execution_count"] is None:  # a dead kernel may leave no other trace
            raise BadRun(f"cell {number} was not run")
    for number, cell in cells:
        for output in cell["outputs"]:
            if output.get("name") == "stderr":
                raise BadRun(f"cell {number} wrote to stderr: {_first_line(output['text'])}")
    check_source(nb)
    try:
        receipt.read(nb)
    except ValueError as error:
        raise BadRun(str(error)) from None


def last_started(nb: Mapping[str, Any]) -> int | None:
    """The number of the last cell that papermill began to run, None when it began none."""
    started = [bool(cell["metadata"].get("papermill", {}).get("start_time")) for cell in code_cells(nb)]
    return max((number for number, yes in enumerate(started, start=1) if yes), default=None)


def canonicalise(nb: Any) -> None:
    """Takes out, in place, what differs between two equal runs, and folds papermill's injected cell."""
    nb["metadata"].pop("papermill", None)
    nb["metadata"].get("language_info", {}).pop("version", None)
    styler_ids: dict[str, str] = {}
    for number, cell in enumerate(nb["cells"]):
        cell["id"] = f"c{number:03d}"
        for key in ("papermill", "execution"):
            cell["metadata"].pop(key, None)
        if "injected-parameters" in (tags := cell["metadata"].get("tags", [])):
            cell["metadata"]["tags"] = [*tags, "hide-input"]
        if cell["cell_type"] == "code":
            cell["outputs"] = _joined(cell["outputs"])
            for output in cell["outputs"]:
                _clean(output, styler_ids)


def _joined(outputs: list[Any]) -> list[Any]:
    """The outputs with neighbouring pieces of one stream joined: where the kernel cuts a stream depends on time."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output["output_type"] == last["output_type"] == "stream" and output["name"] == last["name"]:
            last["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def _clean(output: Any, styler_ids: dict[str, str]) -> None:
    """Replaces addresses in memory, and pandas' random table ids, in the texts of one output."""
    if "text" in output:
        output["text"] = _no_address(output["text"])
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/"):
            content = _no_address(content)
            if kind == "text/html":
                content = re.sub(r"\bT_[0-9a-f]{5}(?![0-9a-zA-Z])", lambda m: _numbered(m[0], styler_ids), content)
            output["data"][kind] = content


def _no_address(text: str) -> str:
    return re.sub(r"\bat 0x[0-9a-fA-F]+", "at 0x0", text)


def _numbered(styler_id: str, seen: dict[str, str]) -> str:
    return seen.setdefault(styler_id, f"T_{len(seen):05d}")


def _first_line(text: str, limit: int = 300) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["(no message)"]
    return lines[0] if len(lines[0]) <= limit else lines[0][:limit] + "..."
