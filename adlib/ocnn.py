"""OC-NN: the objective of a one-class SVM on top of a network with one hidden layer (Chalapathy et al. 2018)."""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn
from torch.nn import functional as F

from . import nets
from .detector import TRAINED, Detector, as_float

# ---- formulas; scores keep the paper's sign: larger is normal


def nu_quantile(scores: torch.Tensor, nu: float) -> torch.Tensor:
    """The smallest r that minimises `ocnn_objective` for scores (n,), (): the ceil(n nu)-th smallest (Theorem 1).

    Where n nu is a whole number, every r from there to the next larger score is a minimiser. The quantile that NumPy
    and torch interpolate is none in general. Raises ValueError unless 0 < nu < 1.
    """
    if not 0 < nu < 1:
        raise ValueError(f"nu={nu!r} must be between 0 and 1, both excluded.")
    k = math.ceil(round(len(scores) * nu, 9))  # 100 * 0.07 is 7, not 7.000000000000001
    return scores.kthvalue(max(1, k)).values


def ocnn_objective(r: torch.Tensor, scores: torch.Tensor, nu: float) -> torch.Tensor:
    """mean(max(0, r - scores)) / nu - r for scores (n,) and r of any shape, the shape of r (Eq. 5)."""
    return (r[..., None] - scores).clamp_min(0).mean(-1) / nu - r


class OneHidden(nn.Module):
    """Scores <w, g(V x)> of features (n, d), (n,) (Section 3.1); without biases, as in the paper."""

    activations = {"linear": nn.Identity, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}

    def __init__(self, d: int, hidden: int, activation: str):
        super().__init__()
        self.v = nn.Linear(d, hidden, bias=False)
        self.w = nn.Linear(hidden, 1, bias=False)
        self.g = self.activations[activation]()

    def forward(self, x):
        return self.w(self.g(self.v(x))).squeeze(1)

    def penalty(self):
        """(|w|^2 + |V|^2) / 2, the first terms of Eq. 3."""
        return (self.w.weight.square().sum() + self.v.weight.square().sum()) / 2


class RandomCosine(nn.Module):
    """Scores <w, g(x)> of features (n, d), (n,), with fixed random g_j(x) = sqrt(2 / h) cos(<v_j, x> / s + b_j).

    <g(x), g(y)> approximates the Gaussian kernel exp(-|x - y|^2 / (2 s^2)) (Rahimi and Recht 2007); only w is trained.
    """

    def __init__(self, d: int, hidden: int):
        super().__init__()
        self.register_buffer("v", torch.randn(hidden, d))
        self.register_buffer("b", 2 * math.pi * torch.rand(hidden))
        self.register_buffer("bandwidth", torch.ones(()))
        self.w = nn.Linear(hidden, 1, bias=False)

    def forward(self, x):
        g = torch.cos(F.linear(x, self.v) / self.bandwidth + self.b)
        return self.w(math.sqrt(2 / len(self.b)) * g).squeeze(1)

    def penalty(self):
        """|w|^2 / 2."""
        return self.w.weight.square().sum() / 2


# ---- the detector


@dataclass(kw_only=True, eq=False, repr=False)
class OCNN(Detector):
    """One-class neural network (Chalapathy et al. 2018, Eq. 3 and Algorithm 1); the anomaly score is r - <w, g(V x)>.

    Each epoch trains w and V with r fixed, then sets r to `nu_quantile` of the training scores. It ends before `epochs`
    when that changes the objective no more, or when all scores have become equal; `outcome_` says how it ended:

    - "converged": the objective is within `tol` of itself of where it was ten epochs before.
    - "collapsed": all scores have become equal, as they are where w and V are 0.
    - "runs off": the objective, with the decay of w and V, is below 0 with a linear or ReLU layer. It is homogeneous
      there: with c w, c V and c^2 r for w, V and r it is c^2 times as large, whatever the encoder, so it has no
      minimum, and larger weights are always better.
    - "stopped": none of these, after the last epoch.

    `activation="cosine"` is the variant that works; it is not the paper's. Scale the rows yourself.
    """

    nu: float = 0.1
    """Share of the training rows below r; the paper sets it to the share of anomalies."""
    activation: str = "linear"
    """"linear" (best in Section 4.3), "sigmoid", "relu", or "cosine": a fixed layer of random cosines, and an encoder
    whose weights are fixed; w alone is trained, and batch norms go on to follow the mean and variance of the rows."""
    bandwidth: float | None = None
    """Of the cosines; None: the median distance between training rows. 0.02 in one of the authors' scripts."""
    hidden: int = 32
    """Units of the hidden layer, as in the authors' script for synthetic data; the paper's Table 2 is not readable."""
    encoder: nn.Module | None = None
    """Trained module X -> (n, f), of an autoencoder for example; it is copied, and trained further (Section 4.3),
    but for "cosine"."""
    net: Callable | None = None
    """Factory shape -> untrained module in place of `encoder`. None, without encoder: rows or pixels as they are."""
    epochs: int = 100
    """Open; the authors' script has 100."""
    batch_size: int = 200
    """Section 5.2."""
    lr: float = 1e-3
    """Adam; open."""
    weight_decay: float = 0.0
    """On top of the penalty of Eq. 3, the encoder included; 1e-5 for images in Section 5.2."""
    tol: float = 1e-4
    """Least relative change of the objective over ten epochs that counts; ours, Algorithm 1 says "convergence"."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "nu": [Interval(Real, 0, 1, closed="neither")],
            "activation": [StrOptions({"linear", "sigmoid", "relu", "cosine"})],
            "bandwidth": [Interval(Real, 0, None, closed="neither"), None],
            "hidden": [Interval(Integral, 1, None, closed="left")],
            "encoder": [nn.Module, None],
            "tol": [Interval(Real, 0, None, closed="left")],
        }
    )

    def normality(self, x: torch.Tensor) -> torch.Tensor:
        """<w, g(V x)> for float rows or images in [0, 1] on the device, (n,), with gradient; larger is normal."""
        features = self.model_.encoder(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x)
        return self.model_.head(features)

    def _check_settings(self, x):
        if self.encoder is not None and self.net is not None:
            raise ValueError("encoder and net are both given: the network is one or the other.")
        if round(self.nu * len(x), 9) < 1:
            raise ValueError(f"nu={self.nu} of {len(x)} rows is less than one row: raise nu to 1 / {len(x)} or more.")
        if (x == x[:1]).all():
            raise ValueError("All rows of X are equal: every score would be the same.")

    def _build(self, shape, device):
        model = nn.Module()
        if self.encoder is not None:
            model.encoder = copy.deepcopy(self.encoder).cpu()
        else:
            model.encoder = nn.Flatten() if self.net is None else self.net(shape)
        d = nets.features_of(model.encoder, shape)
        cosine = self.activation == "cosine"
        model.head = RandomCosine(d, self.hidden) if cosine else OneHidden(d, self.hidden, self.activation)
        for weight in model.encoder.parameters():
            weight.requires_grad_(not cosine)
        for name in ("r", "start_spread"):
            model.register_buffer(name, torch.zeros(()))
        return model.to(device, memory_format=torch.channels_last)

    @torch.no_grad()
    def _start(self, x):
        self.model_.eval()
        if self.activation == "cosine":
            self.model_.head.bandwidth.copy_(self.bandwidth or self._typical_distance(x))
        self.model_.start_spread.copy_(self._set_r(x).std())
        self.objectives_ = []

    def _typical_distance(self, x: torch.Tensor) -> torch.Tensor:
        """Median distance between the features of at most 1,000 rows, ()."""
        some = x[:: math.ceil(len(x) / 1000)]
        distances = torch.pdist(self.model_.encoder(as_float(some)))
        if not (distances > 0).any():
            raise ValueError("The encoder gives all rows of X the same features: every score would be the same.")
        return distances[distances > 0].median()

    @torch.no_grad()
    def _set_r(self, x: torch.Tensor) -> torch.Tensor:
        """Minimise Eq. 5; the training scores, (n,)."""
        scores = torch.cat([self.normality(as_float(rows)) for rows in x.split(self.chunk)])
        self.model_.r.copy_(nu_quantile(scores, self.nu))
        return scores

    def _loss(self, batch):
        return self._objective(self.normality(batch))

    def _objective(self, scores):
        return self.model_.head.penalty() + ocnn_objective(self.model_.r, scores, self.nu)

    @torch.no_grad()
    def _end_epoch(self, x):
        scores = self._set_r(x)
        self.objectives_.append(self._objective(scores).item())
        self.outcome_ = self._outcome(scores)
        return self.outcome_ in ("converged", "collapsed")

    def _outcome(self, scores: torch.Tensor) -> str:
        now = self.objectives_[-1]
        decay = self.weight_decay * self.model_.head.penalty()
        if now + decay < 0 and self.activation in ("linear", "relu"):
            return "runs off"
        if scores.std() <= 1e-3 * self.model_.start_spread:
            return "collapsed"
        before = self.objectives_[-11] if len(self.objectives_) > 10 else math.inf
        return "converged" if abs(now - before) <= self.tol * abs(now) else "stopped"

    def _fit(self, x, on_epoch):
        super()._fit(x, on_epoch)
        if self.outcome_ == "collapsed":
            warnings.warn("All scores have become equal, as they are where w and V are 0.", stacklevel=3)
        if self.outcome_ == "runs off":
            warnings.warn(
                f"The objective is {self.objectives_[-1]:.3g}, below 0: with activation={self.activation!r} it has no "
                "minimum: weights grow for as long as the training goes on.",
                stacklevel=3,
            )

    def _score(self, batch):
        return self.model_.r - self.normality(batch)
