"""Which data a chapter runs on: the paper's set where it is at hand, else scikit-learn's digits. And what to say."""

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


def generated(label: str, x: np.ndarray) -> data.Dataset:
    """Generated rows x (n, d) as a data set, for a chapter's receipt: its fingerprint is that of these rows."""
    y = np.zeros(len(x), np.int64)
    arrays = {"x_train": x, "y_train": y, "x_test": x[:0], "y_test": y[:0]}
    return data.Dataset("generated", label, True, data.digest(arrays), ("normal",), **arrays)
