"""Shallow detectors: scikit-learn's, behind adlib's contract."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
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


def flat_rows(x: torch.Tensor) -> np.ndarray:
    """x as float64 rows, (n, d); uint8 images come out in [0, 1]."""
    rows = x.flatten(1).cpu().double().numpy()
    return rows / 255 if x.dtype == torch.uint8 else rows
