"""How each data set lies in its files, and how these are read; ``adlib.data`` is what to import.

Several layouts of one set are known where several are in use. Every failure is a DataError that names the file.
"""

from __future__ import annotations

import gzip
import io
import math
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np


class DataError(ValueError):
    """A data set cannot be used; the message is one sentence."""

    __module__ = "adlib.data"  # where it is to be imported from

    def _render_traceback_(self) -> list[str]:  # what IPython shows in place of a traceback
        return [f"{type(self).__name__}: {self}"]


class DataNotFound(DataError):
    """The data set is not at hand, and nothing is wrong but that."""

    __module__ = "adlib.data"


class Parts(NamedTuple):
    """What a reader gives: arrays as they lie in the files, and the names of the classes."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray | None
    y_test: np.ndarray | None
    classes: Iterable[str]
    extra: dict[str, np.ndarray] = {}


class Layout(NamedTuple):
    """One way in which a set lies in a folder: its files, what it is to be called, and its reader."""

    files: tuple[str, ...]
    label: str
    exact: bool
    read: Callable[[str, list[Path]], Parts]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Any failure of a parser becomes one sentence that names the file: which type it has depends on the damage."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read, it may be truncated or damaged: {text}") from error


def _idx(path: Path) -> np.ndarray:
    """The uint8 array of an idx file (MNIST's format), gzipped or not."""
    with _reading(path):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if raw[:3] != b"\0\0\x08":
            raise ValueError("it is not an idx file of bytes")
        shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4).tolist()
        body = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])
        if body.size != math.prod(shape):
            raise ValueError(f"{body.size} bytes follow a header that announces {math.prod(shape)}")
        return body.reshape(shape)


def _npz(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file (``keys``, or all), without pickle."""
    with _reading(path), path.open("rb") as file, np.load(file, allow_pickle=False) as z:
        return {k: z[k] for k in keys or z.files}


def _jpegs(path: Path, mode: str = "RGB") -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images (n, c, h, w) of an .npz with JPEG files in ``jpeg`` and their ``offsets`` (n + 1); its other arrays."""
    z = _npz(path)
    with _reading(path):
        from PIL import Image

        data, at = z.pop("jpeg").tobytes(), z.pop("offsets").tolist()
        images = [Image.open(io.BytesIO(data[a:b])).convert(mode) for a, b in zip(at, at[1:], strict=False)]
        x = np.stack([np.asarray(image) for image in images])
        return (x[:, None] if mode == "L" else x.transpose(0, 3, 1, 2)), z


def _read_idx(name: str, paths: list[Path]) -> Parts:
    x_train, y_train, x_test, y_test = map(_idx, paths)
    classes: Sequence[str] = string.digits
    if name == "fashion_mnist":
        classes = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
    elif name == "emnist_letters":  # stored transposed, and labels run from 1
        classes = string.ascii_uppercase
        x_train, x_test = x_train.swapaxes(-1, -2), x_test.swapaxes(-1, -2)
        y_train, y_test = y_train.astype(np.int64) - 1, y_test.astype(np.int64) - 1
    return Parts(x_train[:, None], y_train, x_test[:, None], y_test, classes)


def _read_cifar_batches(name: str, paths: list[Path]) -> Parts:
    folder = paths[0].parent
    with _reading(folder):  # torchvision compares the md5 of every file before it unpickles one
        from torchvision.datasets import CIFAR10

        train, test = (CIFAR10(str(folder.parent), train=t) for t in (True, False))
        x_train, x_test = (d.data.transpose(0, 3, 1, 2) for d in (train, test))
        return Parts(x_train, train.targets, x_test, test.targets, train.classes)


def _read_jpeg_pair(name: str, paths: list[Path]) -> Parts:
    (x_train, train), (x_test, test) = map(_jpegs, paths)
    with _reading(paths[0]):
        return Parts(x_train, train["labels"], x_test, test["labels"], train["class_names"])


def _read_natural_oe(name: str, paths: list[Path]) -> Parts:
    x, z = _jpegs(paths[0])
    with _reading(paths[0]):
        return Parts(x, z["source"], None, None, z["source_names"], {"class_of_image": z["class_of_image"]})


def _read_magnetic_tile(name: str, paths: list[Path]) -> Parts:
    x, z = _jpegs(paths[0], mode="L")
    with _reading(paths[0]):
        masks = np.unpackbits(z["masks_packed"], axis=-1)  # (n, h, w), 1 = defect
        extra = {"masks": masks, "group": z["group"].astype(np.int64), "files": z["files"]}
        return Parts(x, z["labels"], None, None, z["class_names"], extra)


def _read_gtsrb(name: str, paths: list[Path]) -> Parts:
    images = _npz(paths[0], "train_images", "train_labels", "test_images", "test_labels")
    with _reading(paths[0]):
        x_train, x_test = (images[f"{p}_images"].transpose(0, 3, 1, 2) for p in ("train", "test"))
        classes = ["stop" if k == 14 else f"sign {k}" for k in range(43)]
        return Parts(x_train, images["train_labels"], x_test, images["test_labels"], classes)


def _read_mat(name: str, paths: list[Path]) -> Parts:
    with _reading(paths[0]), paths[0].open("rb") as file:
        from scipy.io import loadmat

        mat = loadmat(file, variable_names=["X", "y"])
        return Parts(mat["X"], mat["y"].ravel(), None, None, ("normal", "anomaly"))


def _read_abalone(name: str, paths: list[Path]) -> Parts:
    """As in DROCC (Goyal et al. 2020, Section 5): rings 8, 9, 10 are normal, 3 and 21 anomalies, others left out."""
    with _reading(paths[0]):
        rows = np.loadtxt(paths[0], delimiter=",", converters={0: lambda sex: float("MFI".index(sex))}, ndmin=2)
        rings = rows[:, 8].astype(np.int64)
        used = np.isin(rings, (8, 9, 10, 3, 21))
        anomaly = np.isin(rings[used], (3, 21))
        return Parts(rows[used, :8], anomaly, None, None, ("normal", "anomaly"), {"rings": rings[used]})


def _read_adbench(name: str, paths: list[Path]) -> Parts:
    part = name.partition("/")[2]
    with _reading(paths[0]), paths[0].open("rb") as file, np.load(file, allow_pickle=False) as z:
        if f"{part}_X" in z.files:
            return Parts(z[f"{part}_X"], z[f"{part}_y"], None, None, ("normal", "anomaly"))
        known = ", ".join(k.removesuffix("_X") for k in z.files if k.endswith("_X"))
        raise DataError(f"unknown data set {name!r}: must be adbench/ and one of {known}")


def _read_digits(name: str, paths: list[Path]) -> Parts:
    """8x8 images enlarged to 32x32; the last third of each class is the test part, so that few writers are in both."""
    from sklearn.datasets import load_digits

    small, y = load_digits(return_X_y=True)
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)  # where the centre of a new pixel lies between the old ones
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8)))  # (32, 8): bilinear, a row sums to 1
    x = weights @ (small.reshape(-1, 8, 8) * (255 / 16)) @ weights.T
    x = np.rint(x).astype(np.uint8)[:, None]  # every product above is exact in float64: the same bytes everywhere
    test = np.zeros(len(y), dtype=bool)
    for k in range(10):
        members = np.flatnonzero(y == k)
        test[members[len(members) * 2 // 3 :]] = True
    return Parts(x[~test], y[~test], x[test], y[test], string.digits)


def _idx_files(folder: str, prefix: str = "", test: str = "t10k") -> tuple[str, ...]:
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(f"{folder}/raw/{prefix}{part}-{kind}" for part in ("train", test) for kind in kinds)


_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
_CIFAR_BATCHES = tuple(f"cifar-10-batches-py/{b}" for b in _BATCHES)
_CIFAR_JPEG = ("cifar10/cifar10_jpeg75_train.npz", "cifar10/cifar10_jpeg75_test.npz")
_OE = ("natural_oe/natural_oe32_jpeg75.npz",)
_OE_LABEL = "natural images 32x32 (Imagenette, ImageNet sample, DTD; JPEG-75)"
_IMAGENETTE = ("natural_oe/imagenette64_train.npz", "natural_oe/imagenette64_val.npz")
_TILE = ("magnetic_tile/magnetic_tile_256.npz",)
_GTSRB = ("gtsrb/gtsrb32_stop_signs_plus.npz",)

DIGITS = Layout((), "scikit-learn digits (8x8, bilinear to 32x32)", True, _read_digits)
LAYOUTS: dict[str, tuple[Layout, ...]] = {  # of several, the first that is whole is read
    "mnist": (Layout(_idx_files("MNIST"), "MNIST", True, _read_idx),),
    "fashion_mnist": (Layout(_idx_files("FashionMNIST"), "Fashion-MNIST", True, _read_idx),),
    "emnist_letters": (Layout(_idx_files("EMNIST", "emnist-letters-", "test"), "EMNIST letters", True, _read_idx),),
    "cifar10": (
        Layout(_CIFAR_BATCHES, "CIFAR-10", True, _read_cifar_batches),
        Layout(_CIFAR_JPEG, "CIFAR-10 (JPEG-75)", False, _read_jpeg_pair),
    ),
    "natural_oe32": (Layout(_OE, _OE_LABEL, False, _read_natural_oe),),
    "imagenette64": (Layout(_IMAGENETTE, "Imagenette 64x64 (JPEG-90)", False, _read_jpeg_pair),),
    "magnetic_tile": (Layout(_TILE, "magnetic tile defects 256x256 (JPEG-90)", False, _read_magnetic_tile),),
    "gtsrb": (Layout(_GTSRB, "GTSRB 32x32 (stop signs and a sample)", False, _read_gtsrb),),
    "thyroid": (Layout(("tabular/thyroid.mat",), "ODDS thyroid", True, _read_mat),),
    "arrhythmia": (Layout(("tabular/arrhythmia.mat",), "ODDS arrhythmia", True, _read_mat),),
    "abalone": (Layout(("tabular/abalone.data",), "UCI abalone", True, _read_abalone),),
    "adbench": (Layout(("tabular/adbench_classical20.npz",), "ADBench {}", True, _read_adbench),),
}
