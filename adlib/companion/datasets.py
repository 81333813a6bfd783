"""Which data a chapter runs on: the paper's set where it is at hand, else scikit-learn's digits. And what to say."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adlib import data


def choose(choice: str, paper_set: str) -> data.Dataset:
    """The data set named ``choice``; for "auto" ``paper_set`` where it is at hand, else "digits".

    Raises DataError; so does "auto" when the paper's set is there but damaged, or $ADLIB_DATA is wrong.
    """
    if choice != "auto":
        return data.load(choice)
    try:
        return data.load(paper_set)
    except data.DataNotFound:
        return data.load("digits")


def draw(available: int, n: int, seed: int) -> np.ndarray:
    """Positions of ``n`` of ``available`` rows, drawn with the seed, ascending; of all if n is 0 or more than that."""
    n = n if 0 < n < available else available
    return np.sort(np.random.default_rng(seed).choice(available, n, replace=False))


def banner(ds: data.Dataset, paper_set: str) -> str:
    """Markdown that says which data this run uses; "" when they are the paper's own."""
    if ds.name == paper_set and ds.exact:
        return ""
    if ds.name == paper_set:
        return (
            f"> **Not the published pixels.** This run uses “{ds.label}” in place of the published {paper_set}. "
            "Its numbers may differ from those on the published data, and every claim below is marked accordingly."
        )
    return (
        f"> **Stand-in data.** This run uses {ds.label}, not {paper_set}, the data of the paper. "
        f"The method is the same, its numbers are not comparable, and it speaks for no claim.{_cure(paper_set)}"
    )


def _cure(paper_set: str) -> str:
    from adlib._fetch import SOURCES

    if paper_set not in SOURCES:
        return ""
    return f" To run on the paper's data: `python -m adlib.data fetch {paper_set}`, then run this notebook again."


def from_folder(path: str | Path, size: int, seed: int = 0) -> data.Dataset:
    """Images in the folders `nominal` and `anomalous` of path, as colour images (n, 3, size, size) uint8.

    Each is resized to exactly that size, nothing is cut off (a watermark in a corner stays). Half of each class, drawn
    with the seed, is the training part. Raises DataError for a folder with fewer than four images.
    """
    from PIL import Image

    kinds = ("nominal", "anomalous")
    parts: dict[str, list[np.ndarray]] = {"x_train": [], "x_test": []}
    for kind in kinds:
        folder = Path(path).expanduser() / kind
        files = sorted(f for f in folder.glob("*") if f.suffix.lower() in IMAGE_FILES)
        if len(files) < 4:
            raise data.DataError(f"{folder} has {len(files)} images ({', '.join(IMAGE_FILES)}): at least 4 are needed")
        images = [np.asarray(Image.open(f).convert("RGB").resize((size, size))) for f in files]
        x = np.stack(images)[np.random.default_rng(seed).permutation(len(files))].transpose(0, 3, 1, 2)
        parts["x_train"].append(x[: len(x) // 2])
        parts["x_test"].append(x[len(x) // 2 :])
    arrays = {name: np.ascontiguousarray(np.concatenate(both)) for name, both in parts.items()}
    arrays |= {f"y_{name[2:]}": np.repeat([0, 1], [len(x) for x in both]) for name, both in parts.items()}
    return data.Dataset("folder", f"images in {Path(path).name}", False, data.digest(arrays), kinds, **arrays)


IMAGE_FILES = (".png", ".jpg", ".jpeg")


def generated(label: str, x: np.ndarray, y: np.ndarray | None = None) -> data.Dataset:
    """Rows x (n, d) that a chapter made, with labels y (n,), None: all normal. Its fingerprint is of the values."""
    y = np.zeros(len(x), np.int64) if y is None else np.asarray(y, np.int64)
    arrays = {"x_train": x, "y_train": y, "x_test": x[:0], "y_test": y[:0]}
    return data.Dataset("generated", label, True, data.digest(arrays), ("normal", "anomaly"), **arrays)


@dataclass(frozen=True)
class Several:
    """What a receipt keeps of several data sets together."""

    label: str
    exact: bool
    fingerprint: str


def together(sets: Sequence[data.Dataset]) -> Several:
    """The data sets of a chapter that runs on more than one, for its receipt."""
    fingerprint = hashlib.sha256(" ".join(ds.fingerprint for ds in sets).encode()).hexdigest()
    return Several(", ".join(ds.label for ds in sets), all(ds.exact for ds in sets), fingerprint)
