"""Energies: of a Gaussian mixture behind an autoencoder (DAGMM), and of a network (DSEBM)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn
from torch.nn import functional as F

from . import nets
from .autoencoder import check_autoencoder, to_network
from .detector import TRAINED, Detector

# ---- formulas of DAGMM; n rows, z numbers in a row's representation, k components


def whitening(covariance: torch.Tensor, jitter: float) -> torch.Tensor:
    """The inverse W of the Cholesky factor of covariance + jitter I, both (..., z, z): W^T W is the inverse covariance.

    NaN where there is none, so that a loss made of it is not finite and the training ends with an error.
    """
    eye = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    factor, failed = torch.linalg.cholesky_ex(covariance + jitter * eye)
    factor = torch.where((failed == 0)[..., None, None], factor, math.nan)
    return torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)


def gaussian_mixture(z: torch.Tensor, membership: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """phi (k,), mu (k, z) and Sigma (k, z, z) of representations (n, z) with memberships (n, k) (Eq. 5)."""
    total = membership.sum(0).clamp_min(torch.finfo(z.dtype).tiny)  # a component may be empty
    mean = membership.T @ z / total[:, None]
    off = z[:, None] - mean  # (n, k, z)
    covariance = torch.einsum("nk,nki,nkj->kij", membership, off, off) / total[:, None, None]
    return membership.mean(0), mean, covariance


def sample_energy(z: torch.Tensor, phi: torch.Tensor, mean: torch.Tensor, whiten: torch.Tensor) -> torch.Tensor:
    """E(z) = -log sum_k phi_k N(z | mu_k, Sigma_k) of each row of z, (n,); `whiten` is that of Sigma (Eq. 6)."""
    off = z[:, None] - mean  # (n, k, z)
    square = (off[:, :, None] * whiten).sum(3).square().sum(2)  # (n, k)
    log_root_det = -whiten.diagonal(dim1=1, dim2=2).log().sum(1)
    log_phi = phi.clamp_min(torch.finfo(phi.dtype).tiny).log()
    return -(log_phi - square / 2 - log_root_det - z.shape[1] / 2 * math.log(2 * math.pi)).logsumexp(1)


def reconstruction_features(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """|x - drawn| / |x| and the cosine of x and drawn for each row, (n, 2); both are (n, ...) (Section 3.2)."""
    x, drawn = x.flatten(1), drawn.flatten(1)
    norm = x.square().sum(1).clamp_min(1e-6).sqrt()  # a row of zeros has no direction
    distance = (x - drawn).square().sum(1).clamp_min(1e-12).sqrt() / norm  # the root has no slope at 0
    cosine = (x * drawn).sum(1) / (norm * drawn.square().sum(1).clamp_min(1e-6).sqrt())
    return torch.stack([distance, cosine], 1)


# ---- formulas of DSEBM


def energy(net: Callable, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """E(x) = |x - b'|^2 / 2 - sum_j softplus(net(x)_j) of each row of x (n, ...), (n,) (Zhai 2016, Section 3)."""
    return (x - bias).flatten(1).square().sum(1) / 2 - F.softplus(net(x)).sum(1)


def energy_slope(net: Callable, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The gradient of `energy` with respect to x, in the shape of x; rows must not meet in net, as in batch norm."""
    return torch.func.grad(lambda rows: energy(net, rows, bias).sum())(x)


# ---- the detectors


@dataclass(kw_only=True, eq=False, repr=False)
class DAGMM(Detector):
    """Energy under a Gaussian mixture of an autoencoder's code and of how well it draws the row (Zong et al. 2018).

    A row's representation is its code, its relative distance from what is drawn and their cosine (Section 3.2). Another
    network says to which component it belongs; these memberships give the mixture (Eq. 5). Training makes the squared
    error, the energy (Eq. 6) and the inverse diagonals of the covariances small together (Eq. 7), with the mixture of
    each batch. After training the mixture is that of all training rows, and stays: a row's energy does not depend on
    what it is scored with. No dropout in the other network, which the paper has.

    Deep but fragile: the energy can be lowered by squeezing the codes together, against which the last term of Eq. 7
    alone stands. Images are seen as by `Autoencoder`. Scale rows yourself.
    """

    components: int = 4
    """Of the mixture; 4 for KDDCUP and 2 for the small tables (Section 4.3); GEOM's code takes 3 for images."""
    energy_weight: float = 0.1
    """lambda_1 (Section 4.3); GEOM's code takes 0.01."""
    diagonal_weight: float = 0.005
    """lambda_2 (Section 4.3); GEOM's code takes 0.0005."""
    jitter: float = 1e-3
    """Added to the diagonals of the covariances, without which they become singular; 1e-3 on average in GEOM's code."""
    hidden: int = 10
    """Tanh units of the network that gives the memberships (Section 4.3)."""
    net: Callable | None = None
    """Factory shape -> module with `encode`, X -> (n, z), and `decode`, back; None: `nets.mlp_autoencoder_2` for rows,
    `nets.lenet_autoencoder_5` for images. Short codes: 1 or 2 numbers in the paper, 5 in GEOM's code."""
    epochs: int = 200
    """200 for KDDCUP (Section 4.3) and for GEOM's images; far more, 10,000 and 20,000, for the paper's small tables."""
    batch_size: int = 128
    """128 for Arrhythmia (Section 4.3), 1024 for the larger tables. A batch must fill the components."""
    lr: float = 1e-3
    """Adam's default, as in GEOM's code; the paper has 1e-4."""
    weight_decay: float = 0.0
    """None named."""
    amp: bool = False
    """Forward passes of the training in bfloat16, but for the mixture."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    chunk = 128
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "components": [Interval(Integral, 1, None, closed="left")],
            "energy_weight": [Interval(Real, 0, None, closed="left")],
            "diagonal_weight": [Interval(Real, 0, None, closed="left")],
            "jitter": [Interval(Real, 0, None, closed="neither")],
            "hidden": [Interval(Integral, 1, None, closed="left")],
        }
    )

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or (nets.mlp_autoencoder_2 if len(shape) == 1 else nets.lenet_autoencoder_5))(shape)
        z, k = check_autoencoder(model.net, shape) + 2, self.components
        model.estimate = nn.Sequential(nn.Linear(z, self.hidden), nn.Tanh(), nn.Linear(self.hidden, k))
        model.register_buffer("phi", torch.full((k,), 1 / k))
        model.register_buffer("mean", torch.zeros(k, z))
        model.register_buffer("whiten", torch.eye(z).repeat(k, 1, 1))
        return model.to(device, memory_format=torch.channels_last)

    def _represent(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Representation (n, z), membership (n, k) and squared error (n,) of float rows."""
        x = to_network(batch, self.model_.net)
        code = self.model_.net.encode(x)
        drawn = self.model_.net.decode(code).float()
        z = torch.cat([code.float(), reconstruction_features(x, drawn)], 1)
        return z, self.model_.estimate(z).float().softmax(1), (x - drawn).square().flatten(1).sum(1)

    def _loss(self, batch):
        z, membership, error = self._represent(batch)
        with torch.autocast(z.device.type, enabled=False):  # bfloat16 has no Cholesky factors
            phi, mean, covariance = gaussian_mixture(z, membership)
            whiten = whitening(covariance, self.jitter)
            energies = sample_energy(z, phi, mean, whiten)
            narrow = (covariance.diagonal(dim1=1, dim2=2) + self.jitter).reciprocal().sum()
        return error.mean() + self.energy_weight * energies.mean() + self.diagonal_weight * narrow

    @torch.no_grad()
    def _training_scores(self, x):
        parts = [[part[:n].double() for part in self._represent(rows)[:2]] for rows, n in self._chunks(x)]
        phi, mean, covariance = gaussian_mixture(*(torch.cat(part) for part in zip(*parts, strict=True)))
        for name, value in (("phi", phi), ("mean", mean), ("whiten", whitening(covariance, self.jitter))):
            getattr(self.model_, name).copy_(value)
        return super()._training_scores(x)

    def _score(self, batch):
        return sample_energy(self._represent(batch)[0], self.model_.phi, self.model_.mean, self.model_.whiten)


@dataclass(kw_only=True, eq=False, repr=False)
class DSEBM(Detector):
    """Deep structured energy-based model (Zhai et al. 2016): a network's energy, learned by denoising.

    The slope of the energy E is a denoiser: x - dE/dx. Training makes |x - (x' - dE/dx(x'))|^2 small, x' = x + noise,
    which is score matching (Section 4). Of the two scores, E is the paper's DSEBM-e and the squared slope |dE/dx|^2,
    which is the error of the denoiser on the row itself, averaged over its numbers, its DSEBM-r (Section 5). E is
    unbounded below, and of use only to compare rows. The network sees images as `Autoencoder`'s does, in [-1, 1].
    Scale rows yourself.
    """

    score_by: str = "energy"
    """"energy" (DSEBM-e) or "reconstruction" (DSEBM-r); may be changed after `fit`. Scikit-learn takes what is
    called `score` for a method."""
    noise: float = 0.5
    """Standard deviation of the noise, in the network's units: 0.5 in GEOM's code."""
    net: Callable | None = None
    """Factory shape -> module X -> (n, f), smooth and without batch norm: its slope is trained. None:
    `nets.softplus_mlp` for rows, `nets.softplus_cnn` for images. Ours; GEOM takes the encoder of its autoencoder."""
    epochs: int = 200
    """GEOM's for all benchmark models (Section 5.3)."""
    batch_size: int = 128
    """As GEOM's (Section 5.3)."""
    lr: float = 1e-3
    """Adam's default, as in GEOM's code."""
    weight_decay: float = 0.0
    """None named."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    scored_by = ("score_by",)
    chunk = 128
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "score_by": [StrOptions({"energy", "reconstruction"})],
            "noise": [Interval(Real, 0, None, closed="neither")],
        }
    )

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or (nets.softplus_mlp if len(shape) == 1 else nets.softplus_cnn))(shape)
        nets.features_of(model.net, shape)
        model.bias = nn.Parameter(torch.zeros(shape))
        return model.to(device, memory_format=torch.channels_last)

    def _draw(self, x, index, generator):
        rows = to_network(super()._draw(x, index, generator), self.model_.net)
        return rows, rows + self.noise * torch.randn(rows.shape, generator=generator, device=rows.device)

    def _loss(self, batch):
        rows, noisy = batch
        return (rows - noisy + energy_slope(self.model_.net, noisy, self.model_.bias)).square().mean()

    def _score(self, batch):
        rows = to_network(batch, self.model_.net)
        if self.score_by == "energy":
            return energy(self.model_.net, rows, self.model_.bias)
        return energy_slope(self.model_.net, rows, self.model_.bias).flatten(1).square().mean(1)
