"""A fitted detector as one safetensors file: learned tensors, and settings as JSON. Never pickle."""

import json
import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from sklearn.utils.validation import check_is_fitted

from . import nets
from .detector import Detector, resolve_device

FORMAT = 1


class _OwnNet(Exception):
    """The file needs a factory that only its writer has."""


def save(detector: Detector, path) -> None:
    """Write a fitted detector to the file `path`, whole or not at all.

    Raises ValueError for what is no detector of this package: of a pipeline, save the detector, and the scaler apart.
    """
    kind = type(detector).__name__
    if import_module(__package__).METHODS.get(kind) is not type(detector):
        raise ValueError(f"A {kind} is no detector of adlib: save the detector alone, and what comes before it apart.")
    check_is_fitted(detector)
    settings, tensors = {}, {}
    for name, value in detector.get_params(deep=False).items():
        if name == "net":
            settings[name] = _net_name(value)
        elif isinstance(value, torch.nn.Module):  # an encoder; its weights are part of the state
            settings[name] = "custom"
        elif isinstance(value, torch.Tensor | np.ndarray):
            tensors[f"setting.{name}"] = torch.as_tensor(value)
        elif isinstance(value, np.random.RandomState):
            settings[name] = None
        else:
            settings[name] = value
    learned = {k: list(v) if isinstance(v, tuple | np.ndarray) else v for k, v in detector._learned().items()}
    tensors |= {f"state.{name}": value for name, value in detector._state().items()}
    head = {"format": FORMAT, "method": kind, "settings": settings, "learned": learned}
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent} to save in.")
    text = json.dumps(head, default=lambda value: value.item())  # numbers of NumPy
    content = to_bytes({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, {"adlib": text})
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # the file appears whole or not at all
        part = Path(folder) / "part"
        part.write_bytes(content)
        os.replace(part, path)


def load(path, device: str | None = None, net=None) -> Detector:
    """The fitted detector that `save` wrote; `device` replaces the saved one, `net` is asked for if it was your own.

    Settings that were lists come back as tuples.
    """
    methods = import_module(__package__).METHODS  # at run time: a chapter that loads does not import every method
    path = Path(path)
    head, tensors = _read(path)
    if head.get("format") != FORMAT or head.get("method") not in methods:
        found = f"format {head.get('format')!r}, method {head.get('method')!r}"
        raise ValueError(f"{path}: {found}; this version reads format {FORMAT} and the methods {', '.join(methods)}.")
    try:
        return _restore(methods[head["method"]], head, tensors, device, net)
    except _OwnNet:
        raise ValueError(f"{path}: saved with a network of your own; load(path, net=...) needs its factory.") from None
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path}: what was saved does not fit this {head['method']}: {reason}") from None


def _restore(method: type[Detector], head: dict, tensors: dict[str, torch.Tensor], device, net) -> Detector:
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in head["settings"].items()}
    settings = plain | _part(tensors, "setting.")
    if settings.get("encoder") == "custom":
        settings |= {"encoder": None, "net": "custom"}  # a factory will do to build it
    if net is not None and "net" not in settings:
        raise ValueError(f"{method.__name__} has no network: leave net= out.")
    if "net" in settings:
        settings["net"] = net or _net_of(settings["net"])
    if device is not None:
        settings["device"] = device
    detector = method(**settings)
    detector.device_ = resolve_device(detector.device)
    learned = head["learned"]
    learned["shape_in_"] = tuple(learned["shape_in_"])
    if "feature_names_in_" in learned:
        learned["feature_names_in_"] = np.array(learned["feature_names_in_"], dtype=object)
    for name, value in learned.items():
        setattr(detector, name, value)
    detector._set_state(_part(tensors, "state."))
    return detector


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _read(path: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The JSON head and the tensors of a file that `save` wrote."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; save(detector, path) writes one.")
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {})["adlib"])
            return head, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a file written by adlib.save, or damaged ({type(error).__name__}).") from None


def _net_name(net: Callable | None) -> str | None:
    """How a network factory is written to a file: by name if it is one of adlib.nets."""
    if net is None:
        return None
    return net.__name__ if getattr(nets, getattr(net, "__name__", ""), None) is net else "custom"


def _net_of(name: str | None) -> Callable | None:
    if name == "custom":
        raise _OwnNet
    return name and getattr(nets, name)
