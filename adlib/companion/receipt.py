"""A chapter's results as one JSON output inside the executed notebook, so that the notebook is its own receipt."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from .params import ChapterParams

MIME = "application/vnd.adlib.results+json"  # must end in +json, or nbformat refuses an object as payload
SCHEMA = 1


class DatasetLike(Protocol):
    """What a receipt keeps of a data set: `adlib.data.Dataset` has these."""

    label: str
    exact: bool
    fingerprint: str


def record(chapter: str, params: ChapterParams, dataset: DatasetLike, values: Mapping[str, Iterable[float]]) -> None:
    """Displays the receipt of this run.

    `values` maps a lower_snake_case key to one finite number a seed. Raises ValueError.
    """
    from IPython.display import display

    display({MIME: make(chapter, params, dataset, values)}, raw=True)


def make(
    chapter: str, params: ChapterParams, dataset: DatasetLike, values: Mapping[str, Iterable[float]]
) -> dict[str, Any]:
    """{schema, chapter, params, dataset: {label, exact, fingerprint}, values: {key: {mean, per_seed}}}."""
    return {
        "schema": SCHEMA,
        "chapter": chapter,
        "params": params.model_dump(mode="json"),
        "dataset": {"label": dataset.label, "exact": bool(dataset.exact), "fingerprint": dataset.fingerprint},
        "values": {key: _value(key, per_seed) for key, per_seed in values.items()},
    }


def _value(key: str, per_seed: Iterable[float]) -> dict[str, Any]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", key):
        raise ValueError(f"results key {key!r}: write it in lower_snake_case")
    numbers = [float(v) for v in per_seed]
    if not numbers:
        raise ValueError(f"results key {key!r} has no values: give one number a seed")
    if not all(math.isfinite(v) for v in numbers):
        raise ValueError(f"results key {key!r} holds {numbers}: every value must be a finite number")
    return {"mean": math.fsum(numbers) / len(numbers), "per_seed": numbers}


def read(notebook: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """The receipt in an executed notebook, given as its path or as a dict.

    Raises ValueError unless there is exactly one.
    """
    name = "the notebook" if isinstance(notebook, Mapping) else str(notebook)
    nb = notebook if isinstance(notebook, Mapping) else json.loads(Path(notebook).read_text(encoding="utf-8"))
    outputs = [output for cell in nb["cells"] for output in cell.get("outputs", [])]
    found = [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
    if len(found) != 1:
        raise ValueError(f"{name} holds {len(found)} results outputs, expected one (receipt.record in the last cell)")
    if found[0].get("schema") != SCHEMA:
        raise ValueError(f"{name} has a results output of schema {found[0].get('schema')!r}, expected {SCHEMA}")
    return found[0]
