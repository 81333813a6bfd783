"""An autoencoder: what it cannot draw again is anomalous; its code feeds a one-class SVM."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import TransformerTags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from . import nets
from .detector import TRAINED, Detector


def squared_error(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Squared error, averaged over dimension 1: of each pixel (n, c, h, w) -> (n, h, w), or row (n, d) -> (n,)."""
    return (drawn - x).square().mean(1)


@dataclass(kw_only=True, eq=False, repr=False)
class Autoencoder(Detector):
    """Reconstruction error of an autoencoder; for images the CAE of Golan & El-Yaniv (2018, Section 5.1).

    The network sees pixels in [-1, 1] (Section 5.2), and errors are in those units: four times the error in [0, 1].
    The output is linear, so that float images outside [0, 1], standardised ones for example, can be learned too.
    A network that names another range in `pixels` sees that: `nets.dcae`, which ends in a sigmoid, sees [0, 1]. With it
    this is the DCAE that Ruff et al. (2018) and Chalapathy et al. (2018) compare with.
    The paper scores the code, not the error: `make_pipeline(Autoencoder(), OCSVM())` is its CAE-OC-SVM.
    Rows are taken as they are; their network is ours. Scale the rows yourself.
    """

    net: Callable | None = None
    """Factory shape -> module with `encode`, X -> (n, z), and `decode`, back; None: `nets.mlp_autoencoder` for rows,
    `nets.dcgan_autoencoder` for images."""
    epochs: int = 200
    """Section 5.3, which gives all benchmark models 200."""
    batch_size: int = 128
    """Section 5.3."""
    lr: float = 1e-3
    """Adam's default, as in Section 5.3."""
    weight_decay: float = 0.0
    """The authors' code has no decay; the paper is silent."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    chunk = 128  # stays in a processor's cache: half as fast again as 512
    _parameter_constraints = Detector._parameter_constraints | TRAINED

    def fit_transform(self, X, y=None) -> np.ndarray:
        """Codes of X after `fit`, (n, z) float64."""
        return self.fit(X).transform(X)

    def transform(self, X) -> np.ndarray:
        """Code of each row of X, (n, z) float64."""
        return self._in_chunks(lambda rows: self.model_.encode(to_network(rows, self.model_)).double(), X)

    def heatmap(self, X) -> np.ndarray:
        """Squared error of each pixel of X, averaged over the channels, (n, h, w) float32; its mean is the score.

        Raises ValueError if the detector was fitted on rows, which have no pixels.
        """
        check_is_fitted(self)
        if len(self.shape_in_) == 1:
            raise ValueError(f"heatmap needs images; this Autoencoder was fitted on rows of shape {self.shape_in_}.")
        return self._in_chunks(lambda rows: self._error(rows).float(), X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags

    @torch.no_grad()
    def _in_chunks(self, function, X) -> np.ndarray:
        check_is_fitted(self)
        x = self._check(X, reset=False)
        return torch.cat([function(rows)[:n].cpu() for rows, n in self._chunks(x)]).numpy()

    def _build(self, shape, device):
        model = (self.net or (nets.mlp_autoencoder if len(shape) == 1 else nets.dcgan_autoencoder))(shape)
        check_autoencoder(model, shape)
        return model.to(device, memory_format=torch.channels_last)

    def _error(self, batch):
        x = to_network(batch, self.model_)
        return squared_error(x, self.model_.decode(self.model_.encode(x)))

    def _loss(self, batch):
        return self._error(batch).mean()

    def _score(self, batch):
        error = self._error(batch)
        return error if error.ndim == 1 else error.mean((1, 2))


def to_network(x: torch.Tensor, net: nn.Module) -> torch.Tensor:
    """Images in [0, 1] as the net sees them: in the range `net.pixels` that it draws, (-1, 1) if it names none.

    Float images of another scale go the same way; rows stay as they are.
    """
    low, high = getattr(net, "pixels", (-1, 1))
    return ((high - low) * x + low).contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def check_autoencoder(net: nn.Module, shape: tuple[int, ...]) -> int:
    """z; refuses a net that does not encode rows or images of that shape to (n, z) and decode them to (n, *shape)."""
    for name in ("encode", "decode"):
        if not callable(getattr(net, name, None)):
            raise ValueError(f"net gives a {type(net).__name__} without {name}(); encode and decode are needed.")
    mode = net.training
    with torch.no_grad():
        code = net.eval().encode(torch.zeros(2, *shape))
        out = net.decode(code)
    net.train(mode)
    kind = "rows" if len(shape) == 1 else "images"
    if code.ndim != 2 or len(code) != 2:
        raise ValueError(f"net encodes 2 {kind} as {tuple(code.shape)}; (2, z) is needed.")
    if out.shape != (2, *shape):
        raise ValueError(f"net decodes 2 {kind} to {tuple(out.shape)}; {(2, *shape)} is needed.")
    return code.shape[1]
