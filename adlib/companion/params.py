"""Checked notebook parameters.

The cell after the one tagged `parameters` turns its names into a frozen model, or ends the run in one line.
"""

import ast
import difflib
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

INJECTED = "# Parameters"  # first line of the cell that papermill adds


class BadParameters(ValueError):
    """A parameter is wrong, missing or unknown; Jupyter shows the sentence alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"BadParameters: {self}"]


class ChapterParams(BaseModel):
    """The parameters every chapter has.

    A chapter's own model adds one field a parameter, without defaults: these stand in the notebook's cell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threads: Annotated[int, Field(ge=1, le=256, strict=True)]
    device: Literal["auto", "cpu", "cuda"]

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """The checked parameters in `namespace` (a notebook's `globals()`), with `device` resolved to "cpu" or "cuda".

        Sets the number of torch threads and deterministic algorithms. Raises BadParameters.
        """
        unknown = [name for name in _injected_names(namespace.get("In", [])) if name not in cls.model_fields]
        if unknown:
            raise BadParameters(_unknown(unknown[0], list(cls.model_fields)))
        params = cls.check({name: namespace[name] for name in cls.model_fields if name in namespace})
        return params.model_copy(update={"device": _set_up_torch(params.threads, params.device)})

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Self:
        """The model made from `values`. Raises BadParameters with one sentence that names each bad value."""
        for name, value in values.items():
            if name not in cls.model_fields:
                raise BadParameters(_unknown(name, list(cls.model_fields)))
            # pydantic would take True for the number 1
            if isinstance(value, bool) and cls.model_fields[name].annotation in (int, float):
                raise BadParameters(f"{name}={value}: Input should be a number, not a boolean")
        try:
            return cls(**values)
        except ValidationError as error:
            raise BadParameters("; ".join(_sentence(e) for e in error.errors())) from None


def _injected_names(cells: list[str]) -> list[str]:
    """Names assigned in the cells that papermill injected, among the sources of the cells run so far."""
    trees = [ast.parse(source) for source in cells if source.startswith(INJECTED)]
    return [target.id for tree in trees for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
            if isinstance(target, ast.Name)]


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "known are " + ", ".join(known)
    return f"unknown parameter {name!r} ({hint})"


def _sentence(error: Mapping[str, Any]) -> str:
    """One line from one of pydantic's errors: the name, the value and what is allowed."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{name}: the parameters cell does not set it"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "list_type" and isinstance(error["input"], str):
        message += f" (papermill takes lists as -y '{name}: [1, 2]')"
    return f"{name}={error['input']!r}: {message}" if name else message


def _set_up_torch(threads: int, device: str) -> str:
    """Sets threads and determinism; returns the device to use."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's matrix products are refused
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise BadParameters("device='cuda': no CUDA device can be used here, choose 'cpu' or 'auto'")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    return ("cuda" if has_cuda else "cpu") if device == "auto" else device
