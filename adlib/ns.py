"""Novelty normalization: an autoencoder, a score read off its code, min-max scaling in the loss (Wu et al. 2021)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from . import nets
from .autoencoder import check_autoencoder, squared_error
from .detector import TRAINED, Detector

# ---- formulas


def minmax_normalize(s: torch.Tensor, detach: bool) -> torch.Tensor:
    """Scores s (n,) of a batch on [0, 1], (n,) (Eq. 6): the smallest becomes 0, the largest 1; all 0 if they are equal.

    With `detach`, minimum and maximum are constants for the gradient. Without it the gradient also runs through them;
    then its sum over the batch is 0, because adding a constant to all scores changes nothing.
    """
    low, high = s.min(), s.max()
    if detach:
        low, high = low.detach(), high.detach()
    return (s - low) / _width(low, high)


def _width(low, high):
    """high - low, or 1 where that is 0."""
    return torch.where(high > low, high - low, 1)


def l0_count(weights: Iterable[torch.Tensor]) -> torch.Tensor:
    """How many entries of the weights are not 0, that is, at least 1e-10 in size, () (below Eq. 3). It has no gradient.

    The paper counts the parameters "less than 1e-10" and calls them non-zero; taken here for a slip.
    """
    return torch.stack([(w.abs() >= 1e-10).sum() for w in weights]).sum().float()


_TEMPERATURE, _LOW, _HIGH = 2 / 3, -0.1, 1.1  # of the hard-concrete distribution (Louizos et al. 2018, Section 4)


def hard_concrete(log_alpha: torch.Tensor, u: torch.Tensor | None) -> torch.Tensor:
    """Gates in [0, 1] for weights, the shape of log_alpha (Louizos et al. 2018, Eq. 10 and 11).

    u: uniform draws in (0, 1) of that shape; None: the gates for testing, without noise (Eq. 13).
    """
    s = log_alpha if u is None else (u.log() - (1 - u).log() + log_alpha) / _TEMPERATURE
    return (s.sigmoid() * (_HIGH - _LOW) + _LOW).clamp(0, 1)


def expected_l0(log_alphas: Iterable[torch.Tensor]) -> torch.Tensor:
    """Expected number of gates that are not 0, () (Louizos et al. 2018, Eq. 12); this one has a gradient."""
    shift = _TEMPERATURE * float(np.log(-_LOW / _HIGH))
    return torch.stack([(log_alpha - shift).sigmoid().sum() for log_alpha in log_alphas]).sum()


# ---- the detector


@dataclass(kw_only=True, eq=False, repr=False)
class NoveltyNormalization(Detector):
    """Reconstruction error and learned novelty score, min-max scaled over the batch in training (Wu et al. 2021).

    No code of the authors is known, so what the paper leaves open is ours; each such setting says so. In testing, the
    score goes through one affine map (none for `normalize="none"`), with the minimum and maximum averaged over all
    training batches: no image's score depends on the images beside it. Images lie in [0, 1].
    """

    lam1: float = 0.5
    """Share of the novelty score, the rest is the reconstruction error's (Section 4.2)."""
    lam2: float = 1e-5
    """Weight of the L0 term (Section 4.2)."""
    use_ns: bool = True
    """With the novelty scoring module; without it, the score is the reconstruction error alone."""
    normalize: str = "detached"
    """Eq. 6 in training: "detached", "through" (the gradient runs through minimum and maximum) or "none". Open."""
    l0: str = "count"
    """"count" (below Eq. 3; no gradient) or "hard-concrete", gates with a differentiable expectation; ours."""
    error: str = "mse"
    """"mse", as the text below Eq. 1 says, or "norm", the L2 norm of Eq. 1 itself, hundreds of times as large."""
    net: Callable | None = None
    """Factory shape -> module with `encode`, images -> (n, z), and `decode`; None: `nets.lenet_autoencoder`."""
    epochs: int = 60
    """Open. The learning rate falls to a tenth every 30 (Section 4.2, where "steps" are taken for epochs)."""
    batch_size: int = 128
    """Open."""
    lr: float = 1e-3
    """Adam's default; the paper's "decays at a learning rate of 0.1" names no start."""
    weight_decay: float = 0.0
    """None named."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    image_only = True
    scored_by = ("lam1", "use_ns", "l0", "error", "normalize")
    chunk = 128
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "lam1": [Interval(Real, 0, 1, closed="both")],
            "lam2": [Interval(Real, 0, 1, closed="both")],
            "use_ns": ["boolean"],
            "normalize": [StrOptions({"none", "detached", "through"})],
            "l0": [StrOptions({"count", "hard-concrete"})],
            "error": [StrOptions({"mse", "norm"})],
        }
    )

    def parts(self, X) -> tuple[np.ndarray, np.ndarray]:
        """(reconstruction error, novelty score) of each row of X, (n,) float64 each; without the module, novelty 0."""
        check_is_fitted(self)
        x = self._check(X, reset=False)
        with torch.no_grad():
            both = [torch.stack(self._parts(rows))[:, :n].double().cpu() for rows, n in self._chunks(x)]
        error, novelty = torch.cat(both, 1).numpy()
        return error, novelty

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or nets.lenet_autoencoder)(shape)
        z = check_autoencoder(model.net, shape)
        if self.use_ns:
            hidden = (z // 2,) if shape[0] == 1 else (z // 2, z // 4)  # two or three layers (Section 4.2), widths open
            model.scorer = nets.MLP(z, (*hidden, 1), bias=True)
            if self.l0 == "hard-concrete":
                shapes = [layer.weight.shape for layer in model.scorer.layers]
                model.log_alpha = nn.ParameterList(torch.full(size, 2.0) for size in shapes)  # P(gate > 0) = 0.97
        for name in ("low", "high", "batches"):
            model.register_buffer(name, torch.zeros(()))
        return model.to(device, memory_format=torch.channels_last)

    def _lr(self, epoch):
        return self.lr * 0.1 ** (epoch // 30)

    def _draw(self, x, index, generator):
        gated = self.use_ns and self.l0 == "hard-concrete"
        shapes = [log_alpha.shape for log_alpha in self.model_.log_alpha] if gated else []
        noise = [torch.rand(size, generator=generator, device=x.device).clamp(1e-6, 1 - 1e-6) for size in shapes]
        return super()._draw(x, index, generator), noise

    def _loss(self, batch):
        images, noise = batch
        s = self._combined(*self._parts(images, noise))
        self._note_extremes(s.detach())
        if self.normalize != "none":
            s = minmax_normalize(s, detach=self.normalize == "detached")
        loss = s.mean()
        return loss - self.lam2 * self._l0() if self.use_ns else loss  # Eq. 4; inside Eq. 6 the L0 term would cancel

    def _score(self, batch):
        s = self._combined(*self._parts(batch))  # Eq. 5
        if self.normalize == "none":
            return s
        return (s - self.model_.low) / _width(self.model_.low, self.model_.high)

    def _parts(self, images: torch.Tensor, noise: Sequence[torch.Tensor] = ()) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruction error (Eq. 1) and novelty score (Eq. 2) of images, (n,) each."""
        images = images.contiguous(memory_format=torch.channels_last)
        code = self.model_.net.encode(images)
        error = squared_error(images, self.model_.net.decode(code).float()).mean((1, 2))
        if self.error == "norm":
            error = (error * images[0].numel()).clamp_min(1e-12).sqrt()  # whose slope is infinite at 0
        novelty = self._novelty(code, noise) if self.use_ns else torch.zeros_like(error)
        return error, novelty

    def _novelty(self, code, noise):
        scorer, weights = self.model_.scorer, {}
        if self.l0 == "hard-concrete":
            for i, log_alpha in enumerate(self.model_.log_alpha):
                gates = hard_concrete(log_alpha, noise[i] if noise else None)
                weights[f"layers.{i}.weight"] = scorer.layers[i].weight * gates
        return torch.func.functional_call(scorer, weights, code).float().squeeze(1).sigmoid()

    def _combined(self, error, novelty):
        """Eq. 7."""
        return (1 - self.lam1) * error + self.lam1 * novelty if self.use_ns else error

    def _l0(self):
        if self.l0 == "hard-concrete":
            return expected_l0(self.model_.log_alpha)
        return l0_count(layer.weight for layer in self.model_.scorer.layers)

    @torch.no_grad()
    def _note_extremes(self, s):
        """Take the batch's extremes into their running means, which testing uses."""
        model = self.model_
        model.batches += 1
        model.low += (s.min() - model.low) / model.batches
        model.high += (s.max() - model.high) / model.batches
