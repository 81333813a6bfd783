"""A variational autoencoder: the score is minus a bound on the log-likelihood (Kingma & Welling 2014)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from . import nets
from .autoencoder import check_autoencoder, to_network
from .detector import TRAINED, Detector

# ---- formulas; n rows, z numbers in a code


def kl_to_standard_normal(mean: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, diag(exp(log_var))) | N(0, I)) of each row, (n,); both are (n, z) (Appendix B)."""
    return (mean.square() + log_var.exp() - 1 - log_var).sum(1) / 2


def gaussian_nll(x: torch.Tensor, drawn: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """-log N(x | drawn, variance I) of each row, (n,): x and drawn are (n, ...), variance is () (Appendix C.2)."""
    square = (x - drawn).flatten(1).square()
    return (square / variance + torch.log(2 * math.pi * variance)).sum(1) / 2


# ---- the detector


@dataclass(kw_only=True, eq=False, repr=False)
class VAE(Detector):
    """Negative evidence lower bound of a variational autoencoder (Kingma & Welling 2014, Eq. 3), in nats.

    Training draws one code a row from the posterior (Eq. 7 with L = 1). The score draws none: it is the reconstruction
    from the posterior's mean plus the KL term, so that a row always has the same score. It can be negative, being minus
    the log of a density. Two linear layers on the autoencoder's code give the posterior's mean and log-variance.
    Images are seen as by `Autoencoder`. Scale rows yourself.
    """

    sigma: float | None = None
    """Standard deviation of what the decoder draws, the same for all columns or pixels. It weighs the reconstruction
    against the KL term. None: learned, as in Appendix C.2, where each pixel has its own."""
    net: Callable | None = None
    """Factory shape -> module with `encode`, X -> (n, z), and `decode`, back; None: `nets.mlp_autoencoder` for rows,
    `nets.dcae` for images. Ours; the paper has one hidden layer."""
    epochs: int = 200
    """Ours, that of `Autoencoder`."""
    batch_size: int = 100
    """M of Section 2.3."""
    lr: float = 1e-3
    """Adam; ours, the paper has Adagrad."""
    weight_decay: float = 0.0
    """Ours; the paper has a weak prior on the weights."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    scored_by = ("sigma",)
    chunk = 128
    least_variance = 1e-4  # of the learned sigma: without it, rows that can be drawn exactly have no best one
    widest = 10.0  # a log-variance stays within +-10, or far rows would have an infinite score
    _parameter_constraints = (
        Detector._parameter_constraints | TRAINED | {"sigma": [Interval(Real, 0, None, closed="neither"), None]}
    )

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or (nets.mlp_autoencoder if len(shape) == 1 else nets.dcae))(shape)
        code = check_autoencoder(model.net, shape)
        model.mean, model.log_var = nn.Linear(code, code), nn.Linear(code, code)
        model.log_sigma = nn.Parameter(torch.zeros(()))
        return model.to(device, memory_format=torch.channels_last)

    def _posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of the code of rows that are as the network sees them, both (n, z)."""
        code = self.model_.net.encode(x)
        return self.model_.mean(code).float(), self.model_.log_var(code).float().clamp(-self.widest, self.widest)

    def _bound(self, x, mean, log_var, code) -> torch.Tensor:
        """Minus the evidence lower bound at the code (n, z), (n,)."""
        drawn = self.model_.net.decode(code).float()
        return gaussian_nll(x, drawn, self._variance()) + kl_to_standard_normal(mean, log_var)

    def _variance(self) -> torch.Tensor:
        if self.sigma is not None:
            return torch.full_like(self.model_.log_sigma, self.sigma**2)
        return (2 * self.model_.log_sigma).exp() + self.least_variance

    def _draw(self, x, index, generator):
        rows = super()._draw(x, index, generator)
        return rows, torch.randn(len(rows), self.model_.mean.out_features, generator=generator, device=rows.device)

    def _loss(self, batch):
        rows, noise = batch
        x = to_network(rows, self.model_.net)
        mean, log_var = self._posterior(x)
        return self._bound(x, mean, log_var, mean + (log_var / 2).exp() * noise).mean()

    def _score(self, batch):
        x = to_network(batch, self.model_.net)
        mean, log_var = self._posterior(x)
        return self._bound(x, mean, log_var, mean)
