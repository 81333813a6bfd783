"""Shallow detectors: scikit-learn's, behind adlib's contract."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.svm import OneClassSVM
from sklearn.utils._param_validation import Interval, StrOptions

from .detector import Detector


@dataclass(kw_only=True, eq=False, repr=False)
class OCSVM(Detector):
    """One-class support vector machine with an RBF kernel (Schoelkopf et al. 2001); images are flattened."""

    nu: float = 0.1
    """Upper bound on the share of training rows outside, lower bound on the share of support vectors."""
    gamma: str | float = "scale"
    """Kernel width: "scale" (1 / (d var(X))), "auto" (1 / d) or a number."""

    _parameter_constraints = Detector._parameter_constraints | {
        "nu": [Interval(Real, 0, 1, closed="right")],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0, None, closed="neither")],
    }

    def _fit(self, x, on_epoch):
        self.rows_ = x.cpu().clone()  # `save` writes the rows, `load` fits again
        rows = flat_rows(self.rows_)
        self.model_ = OneClassSVM(nu=self.nu, gamma=self.gamma)
        self.model_.random_state = 0  # no parameter of its class: without it, fit draws from NumPy's global generator
        self.model_.fit(rows)
        self._set_offset(-self.model_.score_samples(rows))

    def _scores(self, x):
        return -self.model_.score_samples(flat_rows(x))

    def _state(self):
        return {"rows": self.rows_}

    def _set_state(self, state):
        self._fit(state["rows"], None)


@dataclass(kw_only=True, eq=False, repr=False)
class KDE(Detector):
    """Minus the log of a Gaussian kernel density estimate (Parzen 1962); images are flattened.

    A training row counts its own kernel, so with a small bandwidth `predict` calls more new rows anomalous than `fpr`.
    """

    variance: float | None = None
    """Share of the variance kept in principal components, 0.95 in Ruff et al. (2018, Section 4.1); None: all of it."""
    bandwidth: str | float = "cv"
    """"cv" (of 2^0.5, 2^1, ..., 2^5 the likeliest in 5-fold cross-validation on X, as Ruff et al.) or a number."""

    _parameter_constraints = Detector._parameter_constraints | {
        "variance": [Interval(Real, 0, 1, closed="neither"), None],
        "bandwidth": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
    }

    def _fit(self, x, on_epoch):
        self.rows_ = x.cpu().clone()  # `save` writes the rows, `load` fits again, with the bandwidth found here
        rows = flat_rows(self.rows_)
        self.bandwidth_ = self._best_bandwidth(rows) if self.bandwidth == "cv" else float(self.bandwidth)
        self.model_ = self._density(self.bandwidth_).fit(rows)
        self._set_offset(-self.model_.score_samples(rows))

    def _density(self, bandwidth: float) -> Pipeline:
        pca = "passthrough" if self.variance is None else PCA(self.variance, svd_solver="full")
        return Pipeline([("pca", pca), ("density", KernelDensity(bandwidth=bandwidth))])

    def _best_bandwidth(self, rows: np.ndarray) -> float:
        grid = {"density__bandwidth": 2 ** np.arange(0.5, 5.5, 0.5)}
        search = GridSearchCV(self._density(1.0), grid, cv=min(5, len(rows)), refit=False).fit(rows)
        return float(search.best_params_["density__bandwidth"])

    def _scores(self, x):
        return -self.model_.score_samples(flat_rows(x))

    def _state(self):
        return {"rows": self.rows_}

    def _set_state(self, state):
        self.rows_ = state["rows"]
        self.model_ = self._density(self.bandwidth_).fit(flat_rows(self.rows_))


def flat_rows(x: torch.Tensor) -> np.ndarray:
    """x as float64 rows, (n, d); uint8 images come out in [0, 1]."""
    rows = x.flatten(1).cpu().double().contiguous().numpy()
    return rows / 255 if x.dtype == torch.uint8 else rows
