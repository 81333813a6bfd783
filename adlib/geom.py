"""GEOM: a classifier learns which transformation was applied; anomalies confuse it (Golan & El-Yaniv 2018)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Integral

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional as F

from . import nets
from .detector import TRAINED, Detector, as_float

# ---- transformations: each one a permutation-with-repeats of pixels, so a table of indices says them all


def transform_table(
    size: int,
    shift: int,
    flips: Sequence[bool] = (False, True),
    rows: Sequence[int] | None = None,
    cols: Sequence[int] | None = None,
    turns: Sequence[int] = (0, 1, 2, 3),
    border: str = "symmetric",
) -> torch.Tensor:
    """Gather indices of all flip x row shift x column shift x quarter-turn combinations, (T, size * size) int64.

    Output pixel p of transformation t is input pixel table[t, p]. Order and meaning as in the authors' code: flip left
    to right, then out[i, j] = in[i + row, j + col], then counter-clockwise quarter turns; the turn varies fastest.
    `rows` and `cols` default to (0, -shift, shift). `border` fills what moves in, by NumPy's names of padding:
    "symmetric" (the code's), "reflect", "edge" or "wrap".
    """
    rows = (0, -shift, shift) if rows is None else tuple(rows)
    cols = (0, -shift, shift) if cols is None else tuple(cols)
    reach = max(map(abs, (*rows, *cols)), default=0)
    if border not in ("symmetric", "reflect", "edge", "wrap"):
        raise ValueError(f"border={border!r}: allowed are 'symmetric', 'reflect', 'edge', 'wrap'.")
    if reach >= size:
        raise ValueError(f"A shift of {reach} pixels leaves nothing of an image of {size} x {size}.")
    pixels = np.arange(size * size).reshape(size, size)
    table = []
    for flip, row, col, turn in product(flips, rows, cols, turns):
        image = np.pad(pixels[:, ::-1] if flip else pixels, reach, mode=border)
        image = image[reach + row : reach + row + size, reach + col : reach + col + size]
        table.append(np.rot90(image, turn).ravel())
    if not table:
        raise ValueError("The table is empty: flips, rows, cols and turns need at least one value each.")
    return torch.from_numpy(np.stack(table))


def apply_transforms(x: torch.Tensor, table: torch.Tensor, index: torch.Tensor | None = None) -> torch.Tensor:
    """All transformations of images x (n, c, h, w), (n, T, c, h, w); with index (n,) one for each, (n, c, h, w)."""
    n, c, h, w = x.shape
    flat = x.reshape(n, c, h * w)
    if index is None:
        out = flat.gather(2, table.flatten().expand(n, c, -1))  # (n, c, T * h * w)
        return out.view(n, c, len(table), h, w).transpose(1, 2)
    return flat.gather(2, table[index].unsqueeze(1).expand(n, c, h * w)).view(n, c, h, w)


# ---- filters: what Section 6 calls non-geometric transformations; it names three and gives no strengths


def gaussian_blur(x: torch.Tensor, sigma: float = 1.0) -> torch.Tensor:
    """Gaussian blur of images (n, c, h, w), width in pixels; cut off at 4 sigma, border pixels repeated."""
    reach = max(1, int(4 * sigma + 0.5))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    taps = (taps / taps.sum()).expand(x.shape[1], 1, 1, -1)
    for kernel, padding in ((taps, (reach, reach, 0, 0)), (taps.mT, (0, 0, reach, reach))):
        x = F.conv2d(F.pad(x, padding, mode="replicate"), kernel, groups=x.shape[1])
    return x


def sharpen(x: torch.Tensor) -> torch.Tensor:
    """Images (n, c, h, w) in [0, 1] with what `gaussian_blur` takes away added once more, clipped to [0, 1]."""
    return (2 * x - gaussian_blur(x)).clamp(0, 1)


def gamma(x: torch.Tensor) -> torch.Tensor:
    """Gamma correction of images (n, c, h, w) in [0, 1], with gamma 2: the image becomes darker."""
    return x**2


FILTERS = {"blur": gaussian_blur, "sharpen": sharpen, "gamma": gamma}


# ---- scores: larger means more normal, as in the paper


def dirichlet_mle(
    log_p: torch.Tensor, newton: bool = True, max_iterations: int = 1000, tolerance: float = 1e-9
) -> torch.Tensor:
    """Maximum-likelihood Dirichlet parameters of the rows of log_p, (..., n, k) -> (..., k) float64.

    Starts as Wicker et al. (2008) and takes Newton steps in O(k) (Minka 2000); where one would leave the positive
    orthant or lower the likelihood, a step of Minka's fixed point is taken instead. With `newton=False` every step is
    one of the fixed point, as in the paper: the same maximum, in hundreds or thousands of steps instead of some five.
    Rows that (nearly) all agree have no finite maximum: their concentration stops at about 1e8.
    """
    if log_p.shape[-2] < 2:
        raise ValueError(f"A Dirichlet distribution needs at least 2 rows to be fitted, got {log_p.shape[-2]} row(s).")
    if not log_p.isfinite().all():
        raise ValueError("log_p contains NaN or infinity: take log_softmax, not the log of a softmax.")
    log_p = log_p.double()
    mean_log = log_p.mean(-2)  # (..., k)
    mean = log_p.exp().mean(-2).clamp_min(1e-300)
    spread = (mean * (mean.log() - mean_log)).sum(-1, keepdim=True).clamp_min(1e-7)
    alpha = mean * ((mean.shape[-1] - 1) * np.euler_gamma / spread)
    alpha = alpha.clamp(1e-10, 1e8)

    for _ in range(max_iterations):
        new = _inverse_digamma(torch.digamma(alpha.sum(-1, keepdim=True)) + mean_log)  # the fixed point
        if newton:
            step = _newton_step(alpha, mean_log)
            rounding = 1e-14 * torch.lgamma(alpha.sum(-1) + 2)  # of the likelihood: at the maximum it moves by no more
            better = _likelihood(step.clamp_min(1e-12), mean_log) >= _likelihood(alpha, mean_log) - rounding
            new = torch.where(((step > 0).all(-1) & better).unsqueeze(-1), step, new)
        new = new.clamp(1e-10, 1e8)
        done = ((new - alpha).abs() <= tolerance * alpha).all()
        alpha = new
        if done:
            break
    return alpha


def _likelihood(alpha, mean_log):
    """Log-likelihood per row, (...,)."""
    return torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1) + ((alpha - 1) * mean_log).sum(-1)


def _newton_step(alpha, mean_log):
    """One Newton step; the Hessian is diagonal plus a constant, so Sherman-Morrison inverts it."""
    total = alpha.sum(-1, keepdim=True)
    gradient = torch.digamma(total) - torch.digamma(alpha) + mean_log
    diagonal = -torch.polygamma(1, alpha)
    shift = (gradient / diagonal).sum(-1, keepdim=True)
    shift = shift / (1 / torch.polygamma(1, total) + (1 / diagonal).sum(-1, keepdim=True))
    return alpha - (gradient - shift) / diagonal


def _inverse_digamma(y):
    """x with digamma(x) = y: Minka's start, then five Newton steps (Minka 2000, appendix)."""
    x = torch.where(y >= -2.22, y.clamp(max=100).exp() + 0.5, -1 / (y - torch.digamma(torch.ones_like(y))))
    for _ in range(5):
        x = (x - (torch.digamma(x) - y) / torch.polygamma(1, x)).clamp_min(1e-12)
    return x


def dirichlet_score(log_p: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Normality, sum_i (alpha_i - 1) . log y(T_i(x)) (Section 4.2): (n, T, T), (T, T) -> (n,)."""
    return ((alpha - 1) * log_p).sum((1, 2))


def simple_score(log_p: torch.Tensor) -> torch.Tensor:
    """Normality, the mean probability of the true transformation (Section 4.2): (n, T, T) -> (n,)."""
    return log_p.diagonal(dim1=1, dim2=2).exp().mean(1)


# ---- Figure 1: what would have to change for the score to rise


def ascend_normality(
    normality: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    steps: int = 200,
    step: float = 0.99 * 5,
    mask_quantile: float | None = None,
    blur: float | None = None,
    clean_quantile: float | None = None,
) -> torch.Tensor:
    """Images x (n, c, h, w) in [0, 1] after `steps` of gradient ascent on normality(x) (n,), clipped to [0, 1].

    The paper (Section 6, Figure 1) describes only the ascent. Its code adds, with these values: `mask_quantile=0.8`
    drops the gradient where |gradient * x| is below that quantile of the image, `blur=0.28` is the width in pixels of a
    Gaussian filter after each step, `clean_quantile=0.8` sets pixels below that quantile of the result to 0. None: off.
    """
    x = x.detach().clone()
    for _ in range(steps):
        x.requires_grad_(True)
        (gradient,) = torch.autograd.grad(normality(x).sum(), x)
        x = x.detach()
        if mask_quantile is not None:
            gradient = _zero_below(gradient, (gradient * x).abs(), mask_quantile)
        x = x + step * gradient
        if blur is not None:
            x = gaussian_blur(x, blur)
    x = x.clamp(0, 1)
    return x if clean_quantile is None else _zero_below(x, x, clean_quantile)


def _zero_below(x, size, quantile):
    """x with 0 where `size` is below its own quantile, image by image."""
    edge = torch.quantile(size.flatten(1), quantile, 1).view(-1, 1, 1, 1)
    return torch.where(size < edge, 0, x)


# ---- the detector


@dataclass(kw_only=True, eq=False, repr=False)
class GEOM(Detector):
    """Detector from self-labelled geometric transformations of square images (Golan & El-Yaniv 2018, Section 4)."""

    table: torch.Tensor | None = None
    """From `transform_table`; None: the paper's 72, with shifts of a quarter of the image (8 pixels of 32)."""
    filters: Sequence[str] = ()
    """Of "blur", "sharpen", "gamma": each one more transformation, of the image as it is. Section 6 advises against."""
    score: str = "dirichlet"
    """"dirichlet" or "simple" (Section 4.2). `anomaly_score` follows a change after `fit`, `predict` does not."""
    net: Callable | None = None
    """Factory shape -> module giving features; None: WRN-10-4, from 64 pixels on WRN-16-8 (Section 5.3)."""
    epochs: int | None = None
    """Passes over all |T| n transformed images; None: ceil(200 / |T|) (Section 5.3)."""
    batch_size: int = 128
    """Section 5.3."""
    lr: float = 1e-3
    """Adam's default, as in Section 5.3."""
    weight_decay: float = 5e-4
    """On all parameters. The paper is silent; its code adds 0.00025 |w|^2, whose gradient this is."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    image_only = True
    scored_by = ("score",)
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "table": [torch.Tensor, np.ndarray, None],
            "filters": [tuple, list],
            "score": [StrOptions({"dirichlet", "simple"})],
            "epochs": [Interval(Integral, 1, None, closed="left"), None],
        }
    )

    def log_softmax(self, X) -> torch.Tensor:
        """Log-probability of each transformation j for each transformed image T_i(x), (n, T, T) [row, i, j] float32."""
        check_is_fitted(self)
        x = self._check(X, reset=False)
        with torch.no_grad():
            return self._all_log_p(x)

    def normality(self, x: torch.Tensor) -> torch.Tensor:
        """The chosen score of float images (n, c, h, w) on the device, (n,), with gradient; larger is normal."""
        return self._normality_of(self._log_p(x))

    def _normality_of(self, log_p):
        return simple_score(log_p) if self.score == "simple" else dirichlet_score(log_p, self.model_.alpha)

    def _build(self, shape, device):
        table = self._table(shape[1])
        model = nn.Module()
        model.body = (self.net or (nets.wrn_16_8 if shape[1] >= 64 else nets.wrn_10_4))(shape)
        kinds = len(table) + len(self.filters)
        model.head = nn.Linear(nets.features_of(model.body, shape), kinds)
        model.filters = tuple(self.filters)
        model.register_buffer("table", table.clone())
        model.register_buffer("alpha", torch.ones(kinds, kinds, dtype=torch.float64))
        return model.to(device, memory_format=torch.channels_last)

    def _table(self, size: int) -> torch.Tensor:
        return transform_table(size, size // 4) if self.table is None else torch.as_tensor(self.table)

    def _check_settings(self, x):
        n, c, h, w = x.shape
        if h != w:
            raise ValueError(f"GEOM takes square images, got {h} x {w} pixels.")
        table = self._table(h)
        if table.ndim != 2 or table.shape[1] != h * w or table.dtype != torch.int64:
            raise ValueError(f"table is {table.dtype} {tuple(table.shape)}; {h} x {w} need int64 (T, {h * w}).")
        if unknown := [name for name in self.filters if name not in FILTERS]:
            raise ValueError(f"filters holds {unknown[0]!r}; allowed are {', '.join(map(repr, FILTERS))}.")
        if len(table) < 1 or len(table) + len(self.filters) < 2 or table.min() < 0 or table.max() >= h * w:
            raise ValueError(f"table and filters need two transformations or more, with indices in 0 ... {h * w - 1}.")

    @property
    def _kinds(self) -> int:
        """Number of transformations, T."""
        return len(self.model_.alpha)

    def _epochs(self):
        return self.epochs or math.ceil(200 / self._kinds)

    def _items(self, x):
        return len(x) * self._kinds

    def _draw(self, x, index, generator):
        images = as_float(x[index // self._kinds])
        label = index % self._kinds
        last = len(self.model_.table) - 1
        out = apply_transforms(images, self.model_.table, label.clamp(max=last))
        for kind, name in enumerate(self.model_.filters, start=last + 1):
            out = torch.where((label == kind).view(-1, 1, 1, 1), FILTERS[name](images), out)
        return out, label

    def _transformed(self, x: torch.Tensor) -> torch.Tensor:
        """Every transformation of float images x (n, c, h, w), (n, T, c, h, w)."""
        moved = apply_transforms(x, self.model_.table)
        filtered = [FILTERS[name](x).unsqueeze(1) for name in self.model_.filters]
        return torch.cat([moved, *filtered], 1) if filtered else moved

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        """Transformed images in [0, 1] -> logits, (n, T); the network sees [-1, 1], as in the paper."""
        images = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        return self.model_.head(self.model_.body(images))

    def _loss(self, batch):
        images, label = batch
        return F.cross_entropy(self._logits(images), label)

    def _log_p(self, x):
        logits = self._logits(self._transformed(x).flatten(0, 1))
        return F.log_softmax(logits.float(), 1).view(len(x), self._kinds, self._kinds)

    def _score(self, batch):
        return -self.normality(batch)

    @property
    def chunk(self):
        images = 128 if self.device_.type == "cpu" else 4096  # 128 stay in a processor's cache: twice as fast as 512
        return max(1, images // self._kinds)

    def _all_log_p(self, x):
        out = torch.empty(len(x), self._kinds, self._kinds, device=self.device_)
        at = 0
        for rows, n in self._chunks(x):
            out[at : at + n] = self._log_p(rows)[:n]
            at += n
        return out

    @torch.no_grad()
    def _training_scores(self, x):
        log_p = self._all_log_p(x)  # (n, T, T)
        fits = [dirichlet_mle(some) for some in log_p.transpose(0, 1).split(8)]  # a few at a time need less memory
        self.model_.alpha.copy_(torch.cat(fits))
        return -torch.cat([self._normality_of(rows) for rows in log_p.split(1024)]).double().cpu().numpy()
