"""Baselines chosen with hindsight: what a paper reports when it picks settings by the test AUROC. Always an oracle."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# golan2018, Section 5.1
NU = tuple(round(0.1 * i, 1) for i in range(1, 10))
GAMMA = tuple(2.0**i for i in range(-7, 3))


class Best(NamedTuple):
    """The best settings of a grid and what they reach on the very data that chose them."""

    auroc: float
    nu: float
    gamma: float


def ocsvm_in_hindsight(
    x_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    nu: Sequence[float] = NU,
    gamma: Sequence[float] = GAMMA,
) -> Best:
    """The best test AUROC of an RBF one-class SVM over nu x gamma (Golan & El-Yaniv 2018, Section 5.1).

    Rows are flattened; uint8 images are scaled to [-1, 1], as gamma is on that scale in the paper.
    """
    from sklearn.metrics.pairwise import euclidean_distances
    from sklearn.svm import OneClassSVM

    from adlib.metrics import auroc

    train, test = _rows(x_train), _rows(x_test)
    distances = [euclidean_distances(x, train, squared=True) for x in (train, test)]  # once for the whole grid
    tried = []
    for width in gamma:
        kernels = [np.exp(-width * d) for d in distances]
        for share in nu:
            svm = OneClassSVM(kernel="precomputed", nu=share).fit(kernels[0])
            tried.append(Best(auroc(y_test, -svm.score_samples(kernels[1])), share, width))
    return max(tried)


def _rows(x: np.ndarray) -> np.ndarray:
    rows = x.reshape(len(x), -1).astype(np.float64)
    return rows / 127.5 - 1 if x.dtype == np.uint8 else rows
