"""DROCC: a classifier against negatives that it looks for itself, just off the data (Goyal et al. 2020)."""

import math
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.nn import functional as F

from . import nets
from .detector import TRAINED, Detector

# ---- the shells, and the nearest points in them


def project_to_shell(delta: torch.Tensor, radius: float, gamma: float) -> torch.Tensor:
    """Nearest points to delta (n, d) in the shell radius <= |delta| <= gamma * radius, (n, d) (Algorithm 1, step 3).

    A row of zeros, to which all points of the inner sphere are equally near, goes to that of the first coordinate.
    Raises ValueError unless radius > 0 and gamma >= 1.
    """
    _check_shell(radius, gamma)
    norm = delta.norm(dim=1, keepdim=True)
    first = torch.zeros_like(delta)
    first[:, 0] = radius
    return torch.where(norm > 0, delta * (norm.clamp(radius, gamma * radius) / norm), first)


def project_to_mahalanobis_shell(
    delta: torch.Tensor, sigma: torch.Tensor, radius: float, gamma: float
) -> torch.Tensor:
    """Nearest points, in the Euclidean sense, to delta (n, d) with radius <= |delta|_sigma <= gamma * radius, (n, d).

    |delta|_sigma^2 = sum_j sigma_j delta_j^2, with weights sigma (n, d) of at least 0, one a row above 0. Exact, where
    the paper searches a grid (Proposition 1): the solution is delta_j / (1 + tau sigma_j), its size is monotone in tau,
    and bisection finds the tau that meets the bound. Where a row cannot reach the inner bound so, because delta is 0 on
    its largest weight, what is missing is put on that coordinate (the hard case of trust-region problems).
    Raises ValueError unless radius > 0 and gamma >= 1, and for a row of weights that is negative, 0 or not finite.
    """
    _check_shell(radius, gamma)
    if not (sigma.isfinite().all() and (sigma >= 0).all() and (sigma > 0).any(1).all()):
        raise ValueError("sigma must be finite and at least 0, with a weight above 0 in each row.")
    return _nearest(delta, sigma, radius, gamma)


def _nearest(delta, sigma, radius, gamma):
    x, top = delta.double(), sigma.double().amax(1, keepdim=True)
    weight = sigma.double() / top  # so that the largest of a row is 1, and the bounds are in its units
    low, high = radius / top.sqrt(), gamma * radius / top.sqrt()
    size = _size(x, weight)
    out = torch.where(size < low, _grown(x, weight, low), torch.where(size > high, _shrunk(x, weight, high), x))
    return out.to(delta.dtype)


def _check_shell(radius: float, gamma: float):
    if not radius > 0:
        raise ValueError(f"radius={radius!r} must be above 0.")
    if not gamma >= 1:
        raise ValueError(f"gamma={gamma!r} must be at least 1.")


def _size(x, weight):
    """|x|_weight, (n, 1)."""
    return (weight * x.square()).sum(1, keepdim=True).sqrt()


def _grown(x, weight, low):
    """x / (1 + tau weight) of size `low` with tau = u - 1 in (-1, 0], for rows that are smaller."""

    def at(u):
        return x / (1 - weight + u * weight).clamp_min(1e-300)

    is_top = weight == 1
    on_top = _size(x * is_top, weight)
    start = (on_top / low * (1 - 1e-9)).clamp(1e-12, 1)  # there, the largest weights alone pass the bound
    u = _bisect(lambda u: _size(at(u), weight) > low, start)
    grown = at(u)
    hard = _size(at(start), weight) < low
    rest = torch.where(is_top, 0, x / (1 - weight).clamp_min(1e-300))
    missing = (low.square() - _size(rest, weight).square()).clamp_min(0).sqrt()
    first = (is_top.cumsum(1) == 1) & is_top
    return torch.where(hard, torch.where(first, missing, rest), grown)


def _shrunk(x, weight, high):
    """x / (1 + tau weight) of size `high` with tau = 1 / nu > 0, for rows that are larger."""

    def at(nu):
        return x * (nu / (nu + weight))

    share = (high / _size(x, weight).clamp_min(1e-300)).clamp_max(1 - 1e-16)
    end = share / (1 - share)  # with all weights at 1 the bound is met here, with smaller ones before
    return at(end * _bisect(lambda part: _size(at(end * part), weight) < high, torch.full_like(end, 1e-12)))


def _bisect(still: Callable, start: torch.Tensor, steps: int = 40) -> torch.Tensor:
    """Where `still` ends between start (true there) and 1, by halving the logarithm; (n, 1), on the side of false."""
    low, high = start.log(), torch.zeros_like(start)
    for _ in range(steps):
        middle = (low + high) / 2
        goes_on = still(middle.exp())
        low, high = torch.where(goes_on, middle, low), torch.where(goes_on, high, middle)
    return ((low + high) / 2).exp()


# ---- the search for negatives


def ascend(
    net: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    delta: torch.Tensor,
    steps: int,
    step: float,
    radius: float,
    gamma: float,
    project_every: int = 1,
    sigma: torch.Tensor | None = None,
) -> torch.Tensor:
    """delta, the shape of x (n, ...), after `steps` of ascent on the logit net(x + delta) (n,) (Algorithm 1).

    Each step has length `step` and the direction of the gradient. That of the paper's loss, softplus(logit), is the
    same but vanishes in float32 where the logit is very negative. Where the logit's own vanishes, delta stays.
    After every `project_every` steps, delta moves to the nearest point of the shell, with weights sigma (n, d) to that
    of Section 4. The paper projects after each; steps that are left over are not projected, as in its code.
    `steps=0` only projects: random points of the shell.
    """

    def project(flat):
        if sigma is None:
            return project_to_shell(flat, radius, gamma)
        return _nearest(flat, sigma, radius, gamma)  # no check, for which a GPU would have to wait

    flat = delta.detach().flatten(1)
    if steps == 0:
        flat = project(flat)
    for i in range(1, steps + 1):
        with torch.enable_grad():
            flat.requires_grad_(True)
            (gradient,) = torch.autograd.grad(net(x + flat.view_as(x)).sum(), flat)
        flat = flat.detach() + step * F.normalize(gradient, dim=1)
        if i % project_every == 0:
            flat = project(flat)
    return flat.view_as(x)


def influence(net: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Weights |d net(x) / d x_j| of the coordinates of x (n, ...), (n, d) (Section 4), scaled to a mean of 1 in a row.

    The scale is that of the authors' code; with it a radius means the same as without weights. Rows without a gradient
    get equal weights.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(net(x).sum(), x)
    size = gradient.flatten(1).abs()
    mean = size.mean(1, keepdim=True)
    return torch.where(mean > 0, size / mean, 1)


# ---- the detectors


@dataclass(kw_only=True, eq=False, repr=False)
class DROCC(Detector):
    """A classifier of the data against negatives in a shell around each row (Goyal et al. 2020, Algorithm 1).

    Scale the columns of rows to mean 0 and standard deviation 1 first: the default radius means such data. Images in
    [0, 1] become (x - 0.5) / 0.25, close to the fixed means and deviations of the paper's code for CIFAR-10. The
    anomaly score is minus the classifier's logit.
    """

    radius: float | None = None
    """Inner radius of the shell; None: sqrt(d) / 2 (Section 5.1)."""
    gamma: float = 2.0
    """Outer over inner radius; 2, and 1 for images (Section 5.1)."""
    mu: float = 1.0
    """Weight of the negatives; the paper tunes it in {0.5, 1}. 0: none are made."""
    ascent_steps: int = 50
    """Steps of the search for negatives, of the paper's code; 0: random points of the shell."""
    ascent_step: float = 0.01
    """Length of a step; the paper tunes it in {0.1, 0.01}."""
    project_every: int = 1
    """Steps between two projections to the shell: 1 in Algorithm 1, 10 in its code (5 for DROCC-LF)."""
    batchnorm_tracks_negatives: bool = False
    """Let batch norm's running statistics, used in scoring, follow each forward pass of the negatives, as its code."""
    one_batch: bool = False
    """Rows, outliers and negatives in one forward pass, where batch norm scales all alike; in its code negatives pass
    alone, and chapter 5 shows what that does."""
    warmup_epochs: int = 0
    """Epochs without negatives at the start (Algorithm 1: n_0 steps, no value given)."""
    net: Callable | None = None
    """Factory shape -> module giving features, made a logit by a leaky ReLU and one unit. None: `nets.mlp_128` for rows
    (one hidden layer, Section 5.1.1), `nets.lenet` for images."""
    epochs: int = 100
    """As in its code; the paper is silent."""
    batch_size: int = 128
    """The paper is silent."""
    lr: float = 1e-3
    """Adam; the paper tunes it in {0.01, 0.0001}."""
    weight_decay: float = 0.0
    """The paper's lambda, which it tunes and does not give; its code has none."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "radius": [Interval(Real, 0, None, closed="neither"), None],
            "gamma": [Interval(Real, 1, None, closed="left")],
            "mu": [Interval(Real, 0, None, closed="left")],
            "ascent_steps": [Interval(Integral, 0, None, closed="left")],
            "ascent_step": [Interval(Real, 0, None, closed="neither")],
            "project_every": [Interval(Integral, 1, None, closed="left")],
            "batchnorm_tracks_negatives": ["boolean"],
            "one_batch": ["boolean"],
            "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        }
    )

    def logit(self, x: torch.Tensor) -> torch.Tensor:
        """The classifier's output for float rows x (n, ...) on the device, (n,), with gradient; larger is normal.

        Images are those that the network sees, (x - 0.5) / 0.25.
        """
        return self.model_(laid_out(x)).squeeze(1)

    def _check_settings(self, x):
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} leaves none of epochs={self.epochs} for negatives.")
        if self.mu and 0 < self.ascent_steps < self.project_every:
            steps, every = f"ascent_steps={self.ascent_steps}", f"project_every={self.project_every}"
            raise ValueError(f"{steps} is less than {every}: no negative would end in the shell.")
        reach = self.ascent_steps * self.ascent_step / self._shell(x)
        if self.mu and 0 < reach < 0.05:
            warnings.warn(
                f"The ascent moves a negative by at most {reach:.2g} of the radius: it changes next to nothing. "
                "Raise ascent_step, or take ascent_steps=0, which is much faster.",
                stacklevel=3,
            )

    def _shell(self, x: torch.Tensor) -> float:
        return math.sqrt(x[0].numel()) / 2 if self.radius is None else self.radius

    def _build(self, shape, device):
        body = (self.net or (nets.mlp_128 if len(shape) == 1 else nets.lenet))(shape)
        model = nn.Sequential(body, nn.LeakyReLU(), nn.Linear(nets.features_of(body, shape), 1))
        return model.to(device, memory_format=torch.channels_last) if len(shape) == 3 else model.to(device)

    def _draw(self, x, index, generator):
        rows = to_network(super()._draw(x, index, generator))
        if not self.mu or (self.warmup_epochs and len(self.history_) < self.warmup_epochs):
            return rows, None
        noise = torch.randn(rows.shape, generator=generator, device=rows.device)
        return rows, rows + self._search(rows, noise)

    def _search(self, rows, noise):
        shell = self._shell(rows), self.gamma
        with self._frozen(), torch.autocast(rows.device.type, torch.bfloat16, enabled=self.amp):
            weights = self._weights(rows)
            return ascend(
                self.logit, rows, noise, self.ascent_steps, self.ascent_step, *shell, self.project_every, weights
            )

    def _weights(self, rows) -> torch.Tensor | None:
        """Weights of the coordinates in the distance that makes the shell, (n, d); None: all alike."""
        return None

    @contextmanager
    def _frozen(self):
        """The weights without gradients, and batch norm without memory unless it is to track negatives."""
        weights = [weight for weight in self.model_.parameters() if weight.requires_grad]
        norms = self._norms()
        for weight in weights:
            weight.requires_grad_(False)
        for norm in norms:
            norm.track_running_stats = False
        try:
            yield
        finally:
            for weight in weights:
                weight.requires_grad_(True)
            for norm in norms:
                norm.track_running_stats = True

    def _norms(self):
        """The batch norms that must not learn from negatives."""
        if self.batchnorm_tracks_negatives:
            return []
        norms = [m for m in self.model_.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        return [norm for norm in norms if norm.track_running_stats]

    def _loss(self, batch):
        rows, negatives = batch
        return self._loss_of(rows, None, negatives)

    def _loss_of(self, rows, outliers, negatives):
        kinds = [x for x in (rows, outliers, negatives if self.one_batch else None) if x is not None]
        logits = list(self.logit(torch.cat(kinds)).split([len(x) for x in kinds]))
        loss = F.softplus(-logits.pop(0)).mean()
        if outliers is not None:
            loss = loss + F.softplus(logits.pop(0)).mean()
        if negatives is None:
            return loss
        logit = logits.pop() if self.one_batch else self._logit_apart(negatives)
        return loss + self.mu * F.softplus(logit).mean()

    def _logit_apart(self, negatives):
        # what batch norm would remember goes into copies
        memory = {name: buffer.clone() for name, buffer in self.model_.named_buffers()} if self._norms() else {}
        return torch.func.functional_call(self.model_, memory, laid_out(negatives)).squeeze(1)

    def _score(self, batch):
        return -self.logit(to_network(batch))


@dataclass(kw_only=True, eq=False, repr=False)
class DROCCOE(DROCC):
    """DROCC with outlier exposure (Goyal et al. 2020, Section 4): its loss plus the cross-entropy of given outliers.

    `fit(X, outliers=...)`: each step draws as many outliers as rows. Without outliers it is DROCC. With `mu=0` it is
    the plain binary classifier that Section 5.2 compares with.
    """

    takes_outliers = True

    def _draw(self, x, index, generator):
        rows, negatives = super()._draw(x, index, generator)
        outliers = self._draw_outliers(len(rows), generator)
        return rows, negatives, outliers if outliers is None else to_network(outliers)

    def _loss(self, batch):
        rows, negatives, outliers = batch
        return self._loss_of(rows, outliers, negatives)


@dataclass(kw_only=True, eq=False, repr=False)
class DROCCLF(DROCCOE):
    """DROCC for limited negatives (Goyal et al. 2020, Eq. 2): DROCC-OE with shells in a learned Mahalanobis distance.

    A coordinate weighs as much as the logit depends on it, row by row and step by step (the paper: epoch by epoch), so
    that negatives move freely along coordinates that do not matter. Negatives are made around normal rows alone.
    Without outliers the weights are learned from the generated negatives only.
    """

    project_every: int = 5
    """As in its code; each projection is a search of one dimension, and the paper projects after each step."""

    def _weights(self, rows):
        return influence(self.logit, rows)


def to_network(x: torch.Tensor) -> torch.Tensor:
    """Images (n, c, h, w) in [0, 1] as the network sees them, about standardised; rows (n, d) as they are."""
    return (x - 0.5) / 0.25 if x.ndim == 4 else x


def laid_out(x: torch.Tensor) -> torch.Tensor:
    """Images (n, c, h, w) in the memory format of the network; rows (n, d) as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
