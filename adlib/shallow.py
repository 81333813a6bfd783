"""Shallow detectors: scikit-learn's, behind adlib's contract."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn import ensemble
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.svm import OneClassSVM
from sklearn.utils import check_random_state
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
        self._remember(x)
        self._set_offset(self._scores(self.rows_))

    def _remember(self, x: torch.Tensor):
        self.rows_ = x.cpu().clone()  # `save` writes the rows, `load` fits again
        self.model_ = OneClassSVM(nu=self.nu, gamma=self.gamma)
        self.model_.random_state = 0  # no parameter of its class: without it, fit draws from NumPy's global generator
        self.model_.fit(flat_rows(self.rows_))

    def _scores(self, x):
        return -self.model_.score_samples(flat_rows(x))

    def _state(self):
        return {"rows": self.rows_}

    def _set_state(self, state):
        self._remember(state["rows"])


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


@dataclass(kw_only=True, eq=False, repr=False)
class IsolationForest(Detector):
    """How few random cuts set a row apart, in (0, 1] (Liu et al. 2008, Eq. 2); images are flattened."""

    n_estimators: int = 100
    """Trees; the paper's (Section 4.1)."""
    max_samples: int = 256
    """Rows that a tree is grown on, drawn without replacement; the paper's (Section 4.1). All of X if it has fewer."""

    _parameter_constraints = Detector._parameter_constraints | {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
    }

    def _fit(self, x, on_epoch):
        seed = self.random_state  # an integer means the same forest as in scikit-learn
        self.seed_ = int(seed if isinstance(seed, Integral) else check_random_state(seed).randint(2**31 - 1))
        self._remember(x)
        self._set_offset(self._scores(x))

    def _remember(self, x: torch.Tensor):
        self.rows_ = x.cpu().clone()  # `save` writes the rows, `load` grows the same forest again
        size = min(self.max_samples, len(x))
        self.model_ = ensemble.IsolationForest(
            n_estimators=self.n_estimators, max_samples=size, random_state=self.seed_
        ).fit(flat_rows(self.rows_))

    def _scores(self, x):
        return -self.model_.score_samples(flat_rows(x))

    def _state(self):
        return {"rows": self.rows_}

    def _set_state(self, state):
        self._remember(state["rows"])


@dataclass(kw_only=True, eq=False, repr=False)
class LOF(Detector):
    """Local outlier factor: how much denser a row's neighbours lie than the row (Breunig et al. 2000, Definition 7).

    New rows are compared with the training rows alone. `offset_` comes from the factors of the training rows among the
    others; given to `predict`, a training row finds itself and looks more normal. Images are flattened.
    """

    n_neighbors: int = 20
    """The paper's MinPts, at least 10 (Section 6.2); 20 is scikit-learn's default. All other rows if X has fewer."""

    _parameter_constraints = Detector._parameter_constraints | {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    def _fit(self, x, on_epoch):
        self._remember(x)
        self._set_offset(-self.model_.negative_outlier_factor_)

    def _remember(self, x: torch.Tensor):
        self.rows_ = x.cpu().clone()  # `save` writes the rows, `load` fits again
        neighbors = min(self.n_neighbors, len(x) - 1)
        self.model_ = LocalOutlierFactor(n_neighbors=neighbors, novelty=True).fit(flat_rows(self.rows_))

    def _scores(self, x):
        return -in_blocks(self.model_.score_samples, flat_rows(x))

    def _state(self):
        return {"rows": self.rows_}

    def _set_state(self, state):
        self._remember(state["rows"])


@dataclass(kw_only=True, eq=False, repr=False)
class KNN(Detector):
    """Distance to the k-th nearest training row (Ramaswamy et al. 2000; Gu et al. 2019); images are flattened.

    `offset_` comes from the distances of the training rows to the others: if each found itself, at a distance of 0, new
    rows would be called anomalous far more often than `fpr`. Given to `predict`, a training row does find itself and
    looks more normal; with k = 1 none is anomalous.
    """

    n_neighbors: int = 5
    """k; 5 is scikit-learn's default, 1 the nearest neighbour that Goyal et al. (2020, Table 3) compare with. All other
    rows if X has fewer."""

    _parameter_constraints = Detector._parameter_constraints | {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    def _fit(self, x, on_epoch):
        self._remember(x)
        self._set_offset(self.model_.kneighbors()[0][:, -1])  # called without rows, it leaves each one out

    def _remember(self, x: torch.Tensor):
        self.rows_ = x.cpu().clone()  # `save` writes the rows, `load` fits again
        self.model_ = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(x) - 1)).fit(flat_rows(self.rows_))

    def _scores(self, x):
        return in_blocks(lambda rows: self.model_.kneighbors(rows)[0][:, -1], flat_rows(x))

    def _state(self):
        return {"rows": self.rows_}

    def _set_state(self, state):
        self._remember(state["rows"])


def in_blocks(score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, size: int = 512) -> np.ndarray:
    """score(rows), (n,), in zero-padded blocks of `size` rows: BLAS rounds by the size of what it is given."""
    full = np.concatenate([rows, np.zeros((-len(rows) % size, rows.shape[1]))])
    return np.concatenate([score(block) for block in np.split(full, len(full) // size)])[: len(rows)]


def flat_rows(x: torch.Tensor) -> np.ndarray:
    """x as float64 rows, (n, d); uint8 images come out in [0, 1]."""
    rows = x.flatten(1).cpu().double().contiguous().numpy()
    return rows / 255 if x.dtype == torch.uint8 else rows
