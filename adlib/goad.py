"""GOAD: rows go through random linear maps, and a network tells which one (Bergman & Hoshen 2020)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from . import nets
from .detector import TRAINED, Detector

# ---- formulas; M transformations, n rows


def transform(x: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """T(x, m) = W_m x, (n, M, r) (Eq. 6 with b = 0, Section 5.2): x is (n, d), maps, transposed, (M, d, r)."""
    return torch.einsum("nd,mdr->nmr", x, maps)


def squared_distances(features: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """|f(T(x, m)) - c_m'|^2, (n, M, M), the last dimension over m': features are (n, M, f), centers (M, f)."""
    with torch.autocast(features.device.type, enabled=False):  # what bfloat16 would round away decides
        features, centers = features.float(), centers.float()
        mixed = torch.einsum("nmf,kf->nmk", features, centers)
        own, others = features.square().sum(2, keepdim=True), centers.square().sum(1)
        return (own - 2 * mixed + others).clamp_min(0)


def triplet_center_loss(square: torch.Tensor, margin: float) -> torch.Tensor:
    """max(0, |f - c_m|^2 + margin - min over m' != m of |f - c_m'|^2), the mean over rows and m, () (Eq. 3)."""
    own = square.diagonal(dim1=1, dim2=2)  # (n, M)
    same = torch.eye(square.shape[1], dtype=torch.bool, device=square.device)
    other = square.masked_fill(same, math.inf).amin(2)
    return (own + margin - other).clamp_min(0).mean()


def log_probability(square: torch.Tensor, eps: float) -> torch.Tensor:
    """log p~(m | T(x, m)), (n, M), of squared distances (n, M, M); eps = 0 leaves a softmax (Eq. 4).

    p~ = (e^(-|f - c_m|^2) + eps) / (sum over m' of e^(-|f - c_m'|^2) + M eps): far from all centres it is 1 / M.
    """
    own = -square.diagonal(dim1=1, dim2=2)
    floor = torch.full_like(own, math.log(eps) if eps else -math.inf)
    return torch.logaddexp(own, floor) - torch.logaddexp((-square).logsumexp(2), floor + math.log(square.shape[1]))


# ---- the detector


@dataclass(kw_only=True, eq=False, repr=False)
class GOAD(Detector):
    """How unsurely a network tells random linear maps of a row apart (Bergman & Hoshen 2020, Eq. 5).

    Training pulls the features of each map to their mean over the batch and away from the nearest mean of another
    (Eq. 3), and adds the cross-entropy of a linear layer that names the map. The score is minus the sum over the maps
    of log p~ (Eq. 4), with centres that are means over all of X, computed after training in a fixed order: a fitted
    detector always gives the same scores. Its code takes means over the batches of the last epoch, as they went by.
    Scale the columns of rows to mean 0 and standard deviation 1 first; images are flattened.
    """

    transformations: int = 256
    """M (Section 5.2). Time and memory grow with its square."""
    d_out: int = 32
    """r, the length of a transformed row; 32 for the small tables, 64 and 128 for the large ones (Section 5.2)."""
    margin: float = 1.0
    """s, distance of a row's own centre to the next (Section 6 and code)."""
    triplet_weight: float = 0.1
    """Weight of Eq. 3 beside the cross-entropy; its code's, the paper is silent."""
    eps: float = 0.0
    """Eq. 4's constant. The paper gives no value, its code runs with 0. Above 0, all rows far from the centres score
    M log M; distances grow with the columns of X, so that in many columns those can be normal rows too."""
    net: Callable | None = None
    """Factory shape of a transformed row -> module giving features. None: `nets.mlp_8_8`. The paper takes 8 hidden
    nodes for small tables, and finds a linear one, `nets.mlp_8`, best; but with X centred, all its centres are 0."""
    epochs: int = 25
    """As for the large tables; on the small ones the paper stops after 1 (Section 5.2)."""
    batch_size: int = 64
    """Its code's; the paper is silent."""
    lr: float = 1e-3
    """Adam (Section 5.2); its code has a first momentum of 0.5, ours is 0.9."""
    weight_decay: float = 0.0
    """None named."""
    amp: bool = False
    """Forward passes of the training in bfloat16, but for the distances."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    scored_by = ("eps",)
    chunk = 64  # a row needs M^2 numbers
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "transformations": [Interval(Integral, 2, None, closed="left")],
            "d_out": [Interval(Integral, 1, None, closed="left")],
            "margin": [Interval(Real, 0, None, closed="left")],
            "triplet_weight": [Interval(Real, 0, None, closed="left")],
            "eps": [Interval(Real, 0, None, closed="left")],
        }
    )

    def _build(self, shape, device):
        model = nn.Module()
        model.net = (self.net or nets.mlp_8_8)((self.d_out,))
        features = nets.features_of(model.net, (self.d_out,))
        model.head = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(features, self.transformations))
        model.register_buffer("maps", torch.randn(self.transformations, math.prod(shape), self.d_out))
        model.register_buffer("centers", torch.zeros(self.transformations, features))
        return model.to(device)

    def _features(self, rows: torch.Tensor) -> torch.Tensor:
        """f(T(x, m)) of float rows x (n, ...), (n, M, f)."""
        moved = transform(rows.flatten(1), self.model_.maps)
        return self.model_.net(moved.flatten(0, 1)).unflatten(0, moved.shape[:2])

    def _loss(self, batch):
        features = self._features(batch)
        triplet = triplet_center_loss(squared_distances(features, features.mean(0)), self.margin)
        log_p = self.model_.head(features).log_softmax(2)  # (n, M, M)
        return self.triplet_weight * triplet - log_p.diagonal(dim1=1, dim2=2).mean()

    @torch.no_grad()
    def _training_scores(self, x):
        total = sum(self._features(rows)[:n].double().sum(0) for rows, n in self._chunks(x))
        self.model_.centers.copy_(total / len(x))
        return super()._training_scores(x)

    def _score(self, batch):
        square = squared_distances(self._features(batch), self.model_.centers)
        return -log_probability(square, self.eps).sum(1)
