"""RCAE: an autoencoder that learns from rows out of which it has taken what is outlying (Chalapathy et al. 2018)."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import nn

from . import nets
from .autoencoder import check_autoencoder, squared_error, to_network
from .detector import TRAINED, Detector, as_float

# ---- formulas


def shrink(e: torch.Tensor, threshold: float) -> torch.Tensor:
    """e (n, ...) with each row's norm made smaller by `threshold`, or the row 0 if it has less, (n, ...).

    The proximal operator of the l2,1 norm with one group a row: the s that minimises |e - s|^2 / 2 + threshold |s| for
    each row. Raises ValueError for a threshold below 0.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold={threshold!r} must be at least 0.")
    norm = e.flatten(1).norm(dim=1)
    share = (1 - threshold / norm.clamp_min(torch.finfo(e.dtype).tiny)).clamp_min(0)
    return e * share.view(-1, *[1] * (e.ndim - 1))


def root_mean_square(x: torch.Tensor) -> torch.Tensor:
    """Root of the mean square of each row of x (n, ...), (n,)."""
    return x.flatten(1).square().mean(1).sqrt()


# ---- the detector


@dataclass(kw_only=True, eq=False, repr=False)
class RCAE(Detector):
    """Reconstruction error of a robust autoencoder (Chalapathy et al. 2018, Eq. 1, after Zhou & Paffenroth 2017).

    The training rows X are split into L + S, and |L - D(E(L))|^2 + lam |S^T|_{2,1} is made small in turns: epochs on L
    with S fixed, then the S that is best for what the network draws, `shrink(X - D(E(L)), lam / 2)`. S starts at 0. A
    row that is drawn badly loses its surplus error to S and pulls less at the network; `removed_` says how much that is
    in the end. A row that the network has room to learn is not drawn badly, outlier or not. New rows are scored whole.

    The paper names ADMM without its steps; these turns follow Zhou and Paffenroth. Images are seen as by `Autoencoder`.
    Scale rows yourself.
    """

    lam: float = 1.0
    """Weight of S; the paper gives no value. In units that depend on neither the scale nor the number of columns: a row
    is in S if its error is more than lam / 2 times the spread of X, both as root mean squares; the spread is the median
    over the rows of their distance to the mean row. Eq. 1's lam is this times the spread times sqrt(d). Very large: S
    is 0, and this is the plain autoencoder. 0: S takes all that is not drawn, so that after the first turn there is
    hardly an error left to learn from."""
    update_every: int = 10
    """Epochs of a turn, after which S is set anew; ours. With no more `epochs` than these S stays at 0, and this is the
    plain autoencoder, with a warning."""
    net: Callable | None = None
    """Factory shape -> module with `encode`, X -> (n, z), and `decode`, back; None: `nets.mlp_autoencoder` for rows,
    `nets.dcae` for images (Section 5.2)."""
    epochs: int = 100
    """Ours. The paper's plain autoencoder has 250 and 100 more at a tenth of the rate."""
    batch_size: int = 200
    """Section 5.2."""
    lr: float = 1e-3
    """Adam; the paper's 1e-4 needs its longer training."""
    weight_decay: float = 1e-5
    """Section 5.2."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    chunk = 128
    _s = None  # S while `fit` runs, (n, ...); None: 0
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "lam": [Interval(Real, 0, None, closed="left")],
            "update_every": [Interval(Integral, 1, None, closed="left")],
        }
    )

    @property
    def removed_(self) -> np.ndarray:
        """Root mean square of each training row's part in S, in the network's units, (n,) float64; 0: none of it.

        This is the S that is best for the network as it is after `fit`.
        """
        check_is_fitted(self)
        return self.model_.removed.double().cpu().numpy()

    def _check_settings(self, x):
        if self.update_every >= self.epochs:
            warnings.warn(
                f"update_every={self.update_every} leaves none of epochs={self.epochs} for a second turn: this is the "
                "plain autoencoder.",
                stacklevel=3,
            )

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or (nets.mlp_autoencoder if len(shape) == 1 else nets.dcae))(shape)
        check_autoencoder(model.net, shape)
        model.register_buffer("removed", torch.zeros(0))  # as many as there are training rows, in the end
        return model.to(device, memory_format=torch.channels_last)

    def _fit(self, x, on_epoch):
        try:
            super()._fit(x, on_epoch)
        finally:
            self.__dict__.pop("_s", None)

    def _start(self, x):
        rows = to_network(as_float(x), self.model_.net)
        spread = root_mean_square(rows - rows.mean(0)).median()
        self._threshold = self.lam / 2 * spread.item() * math.sqrt(rows[0].numel())

    def _draw(self, x, index, generator):
        return self._left(x, index)

    def _loss(self, left):
        return squared_error(left, self._drawn(left)).mean()

    def _left(self, x, index):
        """The rows of that index of L, as the network sees them."""
        rows = self._seen(x, index)
        return rows if self._s is None else rows - self._s[index]

    def _seen(self, x, index):
        return to_network(as_float(x[index]), self.model_.net)

    def _drawn(self, rows):
        return self.model_.net.decode(self.model_.net.encode(rows))

    def _end_epoch(self, x):
        if len(self.history_) % self.update_every == 0:
            self._s = self._outlying(x)

    @torch.no_grad()
    def _outlying(self, x: torch.Tensor) -> torch.Tensor:
        """The S that is best for what the network draws of L, (n, ...)."""
        parts = torch.arange(len(x), device=x.device).split(self.chunk)
        errors = [self._seen(x, index) - self._drawn(self._left(x, index)) for index in parts]
        return shrink(torch.cat(errors), self._threshold)

    def _training_scores(self, x):
        self.model_.removed = root_mean_square(self._outlying(x))
        return super()._training_scores(x)

    def _score(self, batch):
        rows = to_network(batch, self.model_.net)
        error = squared_error(rows, self._drawn(rows))
        return error if error.ndim == 1 else error.mean((1, 2))

    def _set_state(self, state):
        super()._set_state(state | {"removed": state["removed"][:0]})
        self.model_.removed = state["removed"].to(self.device_)
