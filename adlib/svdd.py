"""Deep SVDD: rows are mapped near one centre, the squared distance to it is the score (Ruff et al. 2018).

One-class and with a soft boundary, and Deep SAD.
"""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from . import nets
from .autoencoder import Autoencoder
from .detector import TRAINED, Detector, as_float


def svdd_center(features: torch.Tensor, margin: float = 0.1) -> torch.Tensor:
    """Mean of features (n, f), pushed at least `margin` away from 0 in every coordinate, (f,).

    A coordinate near 0 can be met by a zero weight for every input. A unit that is dead at the start has a mean of
    exactly 0 and is pushed too.
    """
    center = features.mean(0)
    push = torch.where(center < 0, -margin, margin).to(center)
    return torch.where(center.abs() < margin, push, center)


def squared_distance(features: torch.Tensor, center: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distance of features (n, f) to the centre (f,), (n,)."""
    return (features - center).square().sum(1)


def soft_boundary_loss(square: torch.Tensor, radius2: torch.Tensor, nu: float) -> torch.Tensor:
    """radius2 + mean(max(0, square - radius2)) / nu for squared distances (n,), () (Ruff et al. 2018, Eq. 3)."""
    return radius2 + (square - radius2).clamp_min(0).mean() / nu


def best_radius2(square: torch.Tensor, nu: float) -> torch.Tensor:
    """The smallest R^2 among the squared distances (n,) that minimises `soft_boundary_loss`, ().

    At most nu n rows lie outside it. Where nu n is a whole number, every R^2 from there to the next larger distance is
    a minimiser; a quantile that is interpolated is none in general.
    """
    outside = math.floor(round(len(square) * nu, 9))  # 100 * 0.29 is 29, not 28.999999999999996
    return square.kthvalue(max(1, len(square) - outside)).values


@dataclass(kw_only=True, eq=False, repr=False)
class DeepSVDD(Detector):
    """One-class Deep SVDD (Ruff et al. 2018, Eq. 4): the mean squared distance to a fixed centre, with weight decay.

    The centre is the mean of the network's output before the first of these steps. With `pretrain_epochs` the network
    is then the encoder of an autoencoder that has learned to draw the rows (Section 4.2), else an untrained one.
    Scale the rows yourself.
    """

    pretrain_epochs: int = 0
    """Epochs of the autoencoder; 0: none. Its code: 150 for MNIST, 350 for CIFAR-10. `pretrain_history_` keeps the mean
    losses. The decoder mirrors `nets.mlp` or `nets.lenet`, whatever `net` is, with a linear end."""
    net: Callable | None = None
    """Factory shape -> module without biases; None: `nets.mlp` for rows, `nets.lenet` for images."""
    epochs: int = 50
    """Passes over the data. The paper: 150 and 100 with a pre-trained network."""
    batch_size: int = 200
    """Section 4.2."""
    lr: float = 1e-3
    """Adam; the paper's 1e-4 needs its longer training."""
    weight_decay: float = 1e-6
    """Section 4.2 (lambda)."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    _parameter_constraints = (
        Detector._parameter_constraints | TRAINED | {"pretrain_epochs": [Interval(Integral, 0, None, closed="left")]}
    )

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or (nets.mlp if len(shape) == 1 else nets.lenet))(shape)
        model.register_buffer("center", torch.zeros(nets.features_of(model.net, shape)))
        return model.to(device)

    def _start(self, x):
        if self.pretrain_epochs:
            self._pretrain(x)
        self._set_center(x)

    def _pretrain(self, x):
        """Start from the encoder of an autoencoder that is trained on x with the settings of this detector."""
        names = ("batch_size", "lr", "weight_decay", "random_state", "device", "amp", "compile")
        settings = {name: getattr(self, name) for name in names}

        def around(shape):
            return nets.Mirrored(copy.deepcopy(self.model_.net).cpu(), shape, len(self.model_.center))

        autoencoder = Autoencoder(net=around, epochs=self.pretrain_epochs, **settings).fit(x)
        self.model_.net.load_state_dict(autoencoder.model_.encoder.state_dict())
        self.pretrain_history_ = autoencoder.history_

    @torch.no_grad()
    def _set_center(self, x):
        self.model_.eval()
        features = torch.cat([self.model_.net(as_float(rows)) for rows in x.split(self.chunk)])
        self.model_.center.copy_(svdd_center(features))

    def _loss(self, batch):
        return squared_distance(self.model_.net(batch), self.model_.center).mean()

    def _score(self, batch):
        return squared_distance(self.model_.net(batch), self.model_.center)


@dataclass(kw_only=True, eq=False, repr=False)
class SoftDeepSVDD(DeepSVDD):
    """Soft-boundary Deep SVDD (Ruff et al. 2018, Eq. 3): rows inside a sphere cost nothing, and it is to be small.

    The score is the squared distance minus R^2, above 0 outside. After each epoch R^2 is set to the exact minimiser for
    the distances of all training rows. The paper searches it every k epochs; its code takes a quantile of the last
    batch after each step.
    """

    nu: float = 0.1
    """Share of the training rows outside the sphere, at most; the paper takes the better of 0.1 and 0.01."""
    warmup_epochs: int = 10
    """Epochs at the start with R^2 = 0, that is of one-class Deep SVDD, as in its code; if `epochs` is no larger, all
    are, with a warning."""

    _parameter_constraints = DeepSVDD._parameter_constraints | {
        "nu": [Interval(Real, 0, 1, closed="right")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
    }

    def _check_settings(self, x):
        super()._check_settings(x)
        if self.warmup_epochs >= self.epochs:
            warnings.warn(
                f"warmup_epochs={self.warmup_epochs} leaves none of epochs={self.epochs} for the soft boundary: "
                "this is one-class Deep SVDD.",
                stacklevel=3,
            )

    def _build(self, shape, device):
        model = super()._build(shape, device)
        model.register_buffer("radius2", torch.zeros((), device=device))
        return model

    def _start(self, x):
        super()._start(x)
        self._set_radius(x)

    def _end_epoch(self, x):
        self._set_radius(x)

    @torch.no_grad()
    def _set_radius(self, x):
        square = torch.cat([self._square(rows)[:n] for rows, n in self._chunks(x)])
        self.model_.radius2.copy_(best_radius2(square, self.nu))

    def _square(self, batch):
        return squared_distance(self.model_.net(batch), self.model_.center)

    def _draw(self, x, index, generator):
        radius2 = self.model_.radius2
        warm = self.warmup_epochs and len(self.history_) < self.warmup_epochs
        return super()._draw(x, index, generator), torch.zeros_like(radius2) if warm else radius2

    def _loss(self, batch):
        rows, radius2 = batch
        return soft_boundary_loss(self._square(rows), radius2, self.nu)

    def _score(self, batch):
        return self._square(batch) - self.model_.radius2


@dataclass(kw_only=True, eq=False, repr=False)
class DeepSAD(DeepSVDD):
    """Deep SVDD that pushes known anomalies away from the centre (Ruff et al. 2020, Eq. 7, labelled anomalies only).

    `fit(X, outliers=...)`: with n rows and m outliers, the loss is n / (n + m) times the rows' mean squared distance to
    the centre, plus eta m / (n + m) times the mean of one over that of the outliers. Without outliers it is Deep SVDD.
    The paper draws its batches from both together; here each step draws as many outliers as rows, and the weights keep
    the shares of Eq. 7. The centre is that of Deep SVDD, from the rows alone.
    """

    eta: float = 1.0
    """Weight of the outliers; 1 as in its code."""

    takes_outliers = True
    eps = 1e-6  # added to an outlier's squared distance before it is inverted, as in its code
    _parameter_constraints = DeepSVDD._parameter_constraints | {"eta": [Interval(Real, 0, None, closed="neither")]}

    def _draw(self, x, index, generator):
        rows, outliers = super()._draw(x, index, generator), self._draw_outliers(len(index), generator)
        return rows, outliers, 0.0 if outliers is None else len(self._outliers) / (len(x) + len(self._outliers))

    def _loss(self, batch):
        rows, outliers, share = batch
        if outliers is None:
            return super()._loss(rows)
        features = self.model_.net(torch.cat([rows, outliers]))  # batch norm sees in training what it remembers
        distance = squared_distance(features, self.model_.center)
        near, far = distance[: len(rows)], distance[len(rows) :]
        return (1 - share) * near.mean() + share * self.eta * (far + self.eps).reciprocal().mean()
