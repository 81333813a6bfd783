"""The floor under every trained detector: the same kind of network, not trained."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from . import nets
from .detector import Detector, as_float
from .energy import whitening


def squared_mahalanobis(features: torch.Tensor, mean: torch.Tensor, whiten: torch.Tensor) -> torch.Tensor:
    """|W (f - mean)|^2 of each row of features (n, f), (n,); W, (f, f), is `whitening` of their covariance."""
    return ((features - mean) @ whiten.T).square().sum(1)


@dataclass(kw_only=True, eq=False, repr=False)
class RandomFeatures(Detector):
    """Squared Mahalanobis distance in the features of an untrained network: what a trained one has to beat.

    The network is that of `DeepSVDD` as it is before the first step. The Mahalanobis distance, since the features of an
    untrained network have scales and correlations that mean nothing, which it takes out; it depends on no number of
    neighbours, and is one mean and one matrix, whatever the number of rows. Nothing is trained: no epochs, no rate.
    Scale the rows yourself.
    """

    ridge: float = 1e-3
    """Added to the diagonal of the covariance, in units of the features' mean variance: there may be fewer rows than
    features, and features that are dead."""
    net: Callable | None = None
    """Factory shape -> module; None: `nets.mlp` for rows, `nets.lenet` for images."""

    _parameter_constraints = Detector._parameter_constraints | {
        "ridge": [Interval(Real, 0, None, closed="neither")],
        "net": [callable, None],
    }

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or (nets.mlp if len(shape) == 1 else nets.lenet))(shape)
        features = nets.features_of(model.net, shape)
        model.register_buffer("mean", torch.zeros(features))
        model.register_buffer("whiten", torch.eye(features))
        return model.to(device)

    @torch.no_grad()
    def _start(self, x):
        self.model_.eval()
        features = torch.cat([self.model_.net(as_float(rows)).double() for rows in x.split(self.chunk)])
        covariance = features.T.cov()
        variance = covariance.diagonal().mean()
        rounding = 16 * torch.finfo(torch.float32).eps  # rows may meet in other orders of summation
        if not variance > rounding**2 * features.square().mean():
            raise ValueError("The network gives all rows of X the same features: every score would be the same.")
        self.model_.mean.copy_(features.mean(0))
        self.model_.whiten.copy_(whitening(covariance / variance, self.ridge) / variance.sqrt())

    def _train(self, x, generator, on_epoch):
        """Nothing: this is the network before training. `on_epoch` is never called."""

    def _score(self, batch):
        return squared_mahalanobis(self.model_.net(batch), self.model_.mean, self.model_.whiten)
