"""FCDD: a one-class network whose output is a heatmap, and the hypersphere classifier it comes from
(Liznerski et al. 2021; Ruff et al. 2020a).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional as F

from . import nets
from .detector import TRAINED, Detector, as_float

# ---- objectives


def pseudo_huber(z: torch.Tensor) -> torch.Tensor:
    """sqrt(z^2 + 1) - 1 of each element, in the shape of z: quadratic near 0, linear far out (Section 3)."""
    square = z.square()
    return square / ((square + 1).sqrt() + 1)  # the plain form is 0 in float32 up to |z| of 2e-4


def hsc_loss(a: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(1 - y) a - y log(1 - exp(-a)) of each image, (n,): a is its distance, >= 0, and y is 1 for an anomaly (Eq. 1).

    Value and gradient are finite for every finite a: below 1e-12 the anomalies' term is constant. FCDD's code adds
    1e-31 inside the logarithm, which in float32 gives a gradient of -1e31 there.
    """
    near = a.clamp(1e-12, math.log(2))
    far = a.clamp_min(math.log(2))  # where 1 - exp(-a) is close to 1, and log1p keeps what expm1 would round away
    repelled = torch.where(a < math.log(2), -torch.log(-torch.expm1(-near)), -torch.log1p(-torch.exp(-far)))
    y = y.to(a.dtype)
    return (1 - y) * a + y * repelled


def pixel_loss(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """mean((1 - Y) A') - log(1 - exp(-mean(Y A'))) of each image, (n,), for maps A' and masks Y (n, h, w) (Eq. 3).

    Both means go over all pixels. The logarithm is left out where Y is empty, as in the code: it would be infinite.
    """
    normal, anomalous = ((1 - masks) * maps).mean((1, 2)), (masks * maps).mean((1, 2))
    return normal + hsc_loss(anomalous, masks.amax((1, 2)) > 0)  # where Y is empty this adds a mean that is 0


# ---- from a small map to a heatmap


def receptive_field(net: nn.Module) -> tuple[int, int, float]:
    """(field, stride, start): the pixels that one output sees, the pixels from one output to the next, and the place of
    the first output's centre, in pixels from the centre of the first pixel.

    Worked out from the convolutions and poolings of net, taken in a row, in the order of `net.modules()`. Raises
    ValueError for layers that see the whole image or enlarge it, and for kernels that are not square.
    """
    field, stride, start = 1, 1, 0.0
    for layer in net.modules():
        if isinstance(layer, WITHOUT_FIELD):
            raise ValueError(f"net has a {type(layer).__name__} layer: its outputs have no receptive field.")
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            reach = _side(layer, "dilation") * (_side(layer, "kernel_size") - 1)
            field += reach * stride
            start += (reach / 2 - _padding(layer, reach)) * stride
            stride *= _side(layer, "stride")
    return field, stride, start


WITHOUT_FIELD = (
    nn.Linear, nn.Flatten, nn.Upsample, nn.ConvTranspose2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip


def _side(layer: nn.Module, name: str) -> int:
    value = getattr(layer, name, 1)  # average pooling has no dilation
    height, width = value if isinstance(value, tuple) else (value, value)
    if height != width:
        raise ValueError(f"net has a layer with {name}={value}: only square ones are understood.")
    return height


def _padding(layer: nn.Module, reach: int) -> int:
    if isinstance(layer.padding, str):
        return reach // 2 if layer.padding == "same" else 0
    return _side(layer, "padding")


def upsample_heatmap(
    a: torch.Tensor, size: tuple[int, int], field: int, stride: int, start: float, sigma: float, normalize: bool
) -> torch.Tensor:
    """Maps a (n, u, v) as heatmaps of `size`, (n, H, W): each value spreads over its receptive field (Algorithm 1).

    It spreads as a Gaussian of width `sigma` (pixels) around the field's centre and ends with the field. With
    `normalize` that is the paper's density, without it a kernel of peak 1. (For fields of an even side the code takes
    the kernel of the odd side below, its centre doubled, and halves it in each direction; up to scale nearly the same.)
    The Gaussian is a product over rows and columns, so the transposed convolution is two small matrix products, U a V'.
    """
    peak = 1 / (math.sqrt(2 * math.pi) * sigma) if normalize else 1.0
    rows, cols = (
        peak * _spread(pixels, centers, field, stride, start, sigma, a)
        for pixels, centers in zip(size, a.shape[1:], strict=True)
    )
    return rows @ (a @ cols.mT)


def _spread(pixels, centers, field, stride, start, sigma, like):
    """What each centre gives to each pixel of a line, (pixels, centers)."""
    at = torch.arange(pixels, device=like.device, dtype=like.dtype).unsqueeze(1)
    distance = at - (start + stride * torch.arange(centers, device=like.device, dtype=like.dtype))
    return torch.exp(-0.5 * (distance / sigma) ** 2) * (distance.abs() < field / 2)


def contrast(maps: np.ndarray, quantile: float, reference: np.ndarray | None = None) -> np.ndarray:
    """Heatmaps (n, h, w) for showing, in [0, 1], (n, h, w) float32: the minimum becomes 0, the quantile 1 (Appendix C).

    Minimum and quantile are those of each map alone, or, with `reference` (m, h, w), those of all its pixels together.
    Raises ValueError for a quantile outside (0, 1].
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile={quantile!r} must be above 0 and at most 1.")
    maps = np.asarray(maps, dtype=np.float64)
    scale = maps.reshape(len(maps), -1) if reference is None else np.asarray(reference, dtype=np.float64).reshape(1, -1)
    low = scale.min(1).reshape(-1, 1, 1)
    top = np.quantile(scale, quantile, axis=1).reshape(-1, 1, 1) - low
    above = (maps > low).astype(np.float64)  # where so many pixels are at the minimum that the quantile is too
    return np.divide(maps - low, top, out=above, where=top > 0).clip(0, 1).astype(np.float32)


# ---- anomalies made up


def confetti(x: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Images x (n, c, h, w) in [0, 1] with one to four coloured squares and one to four black ones on each.

    Section 4.2 describes them; numbers are those of the code, there for 240 pixels, here as shares of the shorter side:
    sides 8 to 54, turned by up to 45 degrees, Poisson counts of means 1.04 (coloured) and 0.69 (black), edges blurred
    with a Gaussian of width 5. Colours are negative and added, so squares darken; on an image that would hardly change
    (by 0.025 of 255 grey levels on average) they brighten, if that changes it more. Where squares overlap, they add up.
    """
    n, c, h, w = x.shape
    draw = {"generator": generator, "device": x.device}
    unit = min(h, w) / 240
    counts = torch.poisson(torch.tensor([[1.04], [0.69]], device=x.device).expand(2, n), generator=generator)
    colors = -torch.cat([torch.rand(4, n, c, **draw), torch.ones(4, n, c, device=x.device)])
    slot = torch.arange(4, device=x.device).view(1, 4, 1)
    present = (slot < counts.clamp_min(1).unsqueeze(1)).flatten(0, 1)  # (8, n): coloured ones, then black ones
    places = torch.rand(4, 8, n, **draw).unsqueeze(-1).unsqueeze(-1)
    row = torch.arange(h, device=x.device).view(h, 1) + 0.5 - h * places[0]  # (8, n, h, 1)
    col = torch.arange(w, device=x.device) + 0.5 - w * places[1]
    side, angle = (8 + 46 * places[2]) * unit, (places[3] - 0.5) * (math.pi / 2)
    noise = torch.zeros_like(x)
    for i in range(8):  # one after the other, to hold one shape an image instead of eight
        square = _soft_edge(row[i] * angle[i].cos() + col[i] * angle[i].sin(), side[i], 5 * unit)
        square = square * _soft_edge(col[i] * angle[i].cos() - row[i] * angle[i].sin(), side[i], 5 * unit)
        noise += (colors[i] * present[i].unsqueeze(1)).view(n, c, 1, 1) * square.unsqueeze(1)
    darker, brighter = (x + noise).clamp(0, 1), (x - noise).clamp(0, 1)
    change, other = ((out - x).mean((1, 2, 3), keepdim=True).abs() for out in (darker, brighter))
    return torch.where((change < 0.025 / 255) & (change < other), brighter, darker)


def _soft_edge(distance: torch.Tensor, side: torch.Tensor, sigma: float) -> torch.Tensor:
    """A box of that side around 0, blurred; a Gaussian blurs a turned square along its own two axes, exactly."""
    scale = 1 / (math.sqrt(2) * sigma)
    return 0.5 * (torch.erf((distance + side / 2) * scale) - torch.erf((distance - side / 2) * scale))


def crop_and_flip(x: torch.Tensor, crop: int, flip: bool, generator: torch.Generator | None) -> torch.Tensor:
    """Images x (n, c, h, w), cut out at random after padding with `crop` zeros; with `flip` about half are mirrored."""
    n, _, h, w = x.shape
    draw = {"generator": generator, "device": x.device}
    top, left = torch.randint(2 * crop + 1, (2, n, 1), **draw)
    rows, cols = top + torch.arange(h, device=x.device), torch.arange(w, device=x.device).expand(n, w)
    if flip:
        cols = torch.where(torch.rand(n, 1, **draw) < 0.5, w - 1 - cols, cols)
    image = torch.arange(n, device=x.device).view(n, 1, 1)
    padded = F.pad(x, (crop,) * 4).permute(0, 2, 3, 1)  # (n, h + 2 crop, w + 2 crop, c)
    return padded[image, rows.unsqueeze(2), (left + cols).unsqueeze(1)].permute(0, 3, 1, 2)


# ---- the detectors


@dataclass(kw_only=True, eq=False, repr=False)
class HSC(Detector):
    """Hypersphere classifier: images near a centre are normal (Ruff et al. 2020a; Liznerski et al. 2021, Eq. 1).

    `fit(X, outliers=...)`: in each step every image of the batch is replaced with probability 0.5 by an outlier, drawn
    afresh with replacement; an epoch still passes over X once (Appendix E). The loss is a mean over the whole batch, so
    one of normal images only, or of outliers only, needs no case of its own (FCDD's code treats the latter as normal).
    Without outliers the normal term alone is left.

    The centre is the bias of the last layer. Images in [0, 1] are standardised per channel with mean and spread of X.
    FCDD's code does so for CIFAR-10, with constants for each class; for Fashion-MNIST it normalises each image by its
    own mean and mean absolute value, then scales to the range of the class. The paper says "data normalization".
    Its colour jitter and additive noise of 0.001 are left out.
    """

    net: Callable | None = None
    """Factory shape -> module giving features; None: `nets.dense_cnn`, after the code. The paper only says that HSC's
    networks have fully connected layers."""
    epochs: int = 600
    """Appendix E, CIFAR-10; 400 for Fashion-MNIST."""
    batch_size: int = 200
    """Appendix E, CIFAR-10; 128 for Fashion-MNIST."""
    lr: float = 1e-3
    """Adam (Appendix E, CIFAR-10); for Fashion-MNIST the paper has SGD."""
    milestones: Sequence[int] = (400, 500)
    """Epochs at which the learning rate is divided by 10 (Appendix E, CIFAR-10)."""
    weight_decay: float = 1e-6
    """Appendix E."""
    crop: int | None = None
    """Pixels of zeros around an image before a part of its old size is cut out at random, in training; None: the
    paper's 2 below 32 pixels and 4 below 64 (Appendix E), none from there on, where the paper crops larger images."""
    flip: bool = True
    """Mirror half of the training images, left to right (Appendix E; not for Pascal VOC, says the code)."""
    sigma: float | None = None
    """Width of the heatmaps' Gaussian, in pixels; None: 1.2 below 64 pixels, 8 from there on (Appendix C)."""
    amp: bool = False
    """Forward passes of the training in bfloat16."""
    compile: bool = False
    """Compile the training loss with torch.compile."""

    image_only = True
    takes_outliers = True
    _parameter_constraints = (
        Detector._parameter_constraints
        | TRAINED
        | {
            "milestones": [tuple, list],
            "crop": [Interval(Integral, 0, None, closed="left"), None],
            "flip": ["boolean"],
            "sigma": [Interval(Real, 0, None, closed="neither"), None],
        }
    )

    def heatmap(self, X) -> np.ndarray:
        """Heatmap of each image of X, (n, h, w) float32: absolute gradient of the score by the pixels, summed over the
        channels and blurred with the Gaussian of width `sigma` (Section 4; Simonyan et al. 2013). No contrast."""
        check_is_fitted(self)
        self._validate_params()
        x = self._check(X, reset=False)
        return torch.cat([self._heat(rows)[:n].cpu() for rows, n in self._chunks(x)]).numpy()

    def _heat(self, batch):
        batch = batch.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self._score(batch).sum(), batch)
        heat, sigma = gradient.abs().sum(1), self._sigma()
        return upsample_heatmap(heat, heat.shape[1:], 2 * math.ceil(4 * sigma) + 1, 1, 0, sigma, normalize=True)

    @property
    def chunk(self):
        pixels = 2**17 if self.device_.type == "cpu" else 2**22  # 128 images of 32 pixels stay in a processor's cache
        return max(1, pixels // (self.shape_in_[1] * self.shape_in_[2]))

    def _sigma(self) -> float:
        return self.sigma or (1.2 if min(self.shape_in_[1:]) < 64 else 8.0)

    def _crop(self) -> int:
        side = min(self.shape_in_[1:])
        return self.crop if self.crop is not None else 2 if side < 32 else 4 if side < 64 else 0

    def _check_settings(self, x):
        if bad := [m for m in self.milestones if not isinstance(m, Integral) or m < 1]:
            raise ValueError(f"milestones holds {bad[0]!r}; epochs, whole numbers from 1 on, are allowed.")

    def _build(self, shape, device):
        model = nn.Module()
        model.net = self._net(shape)
        model.register_buffer("mean", torch.zeros(shape[0], 1, 1))
        model.register_buffer("spread", torch.ones(shape[0], 1, 1))
        return model.to(device, memory_format=torch.channels_last)

    def _net(self, shape) -> nn.Module:
        net = (self.net or nets.dense_cnn)(shape)
        nets.features_of(net, shape)  # refuses what gives no features
        return net

    def _start(self, x):
        mean = torch.stack([as_float(rows).mean((2, 3)).double().sum(0) for rows in x.split(1024)]).sum(0) / len(x)
        self.model_.mean.copy_(mean.view(-1, 1, 1))
        square = [(as_float(rows) - self.model_.mean).square().mean((2, 3)).double().sum(0) for rows in x.split(1024)]
        spread = (torch.stack(square).sum(0) / len(x)).sqrt()
        if not (spread > 0).all():
            raise ValueError(f"X is constant in channel {int(spread.argmin())}: its spread is needed to standardise.")
        self.model_.spread.copy_(spread.view(-1, 1, 1))

    def _lr(self, epoch):
        return self.lr * 0.1 ** sum(epoch >= milestone for milestone in self.milestones)

    def _draw(self, x, index, generator):
        images, masks = as_float(x[index]), None
        y = torch.zeros(len(index), dtype=torch.bool, device=images.device)
        if self._makes_outliers():
            y = torch.rand(len(index), generator=generator, device=images.device) < 0.5
            outliers, masks = self._outliers_for(images, generator)
            images = torch.where(y.view(-1, 1, 1, 1), outliers, images)
        if masks is None:
            return crop_and_flip(images, self._crop(), self.flip, generator), y, None
        masks = torch.where(y.view(-1, 1, 1), masks, 0)
        both = crop_and_flip(torch.cat([images, masks.unsqueeze(1)], 1), self._crop(), self.flip, generator)
        return both[:, :-1], y, both[:, -1]

    def _makes_outliers(self) -> bool:
        return self._outliers is not None

    def _outliers_for(self, images, generator):
        """As many outliers as images, and their masks if there are any."""
        index = torch.randint(len(self._outliers), (len(images),), generator=generator, device=images.device)
        return as_float(self._outliers[index]), None if self._masks is None else self._masks[index]

    def _loss(self, batch):
        images, y, _ = batch
        return hsc_loss(self._score(images), y).mean()

    def _score(self, batch):
        return pseudo_huber(self._output(batch).norm(dim=1))

    def _output(self, batch):
        x = ((batch - self.model_.mean) / self.model_.spread).contiguous(memory_format=torch.channels_last)
        return self.model_.net(x).float()


@dataclass(kw_only=True, eq=False, repr=False)
class FCDD(HSC):
    """Fully convolutional data description (Liznerski et al. 2021, Eq. 2): a map of distances whose mean is the score.

    `fit(X, outliers=..., masks=...)`: batches are mixed as in `HSC`. With masks (m, h, w), 1 where an outlier is
    anomalous, the loss of every image is the pixel-wise one (Eq. 3, `pixel_loss`), on the map upsampled with the kernel
    of peak 1, as in the code; an outlier whose mask is empty is then trained on as normal. Without outliers half of the
    images get `confetti`, from 32 pixels on; images must lie in [0, 1] for that.

    The score is the mean of the map, the paper's its sum: the order is the same.
    """

    net: Callable | None = None
    """Factory shape -> module of convolutions and poolings that gives maps (n, 1, u, v); None: `nets.fcn`, by size
    (Appendix D). `nets.fcn_narrow` has a quarter of the channels."""

    takes_masks = True

    def heatmap(self, X) -> np.ndarray:
        """Heatmap of each image of X, (n, h, w) float32: the map upsampled by `upsample_heatmap` with the paper's
        density and width `sigma` (Algorithm 1). No contrast: see `contrast`."""
        return super().heatmap(X)

    @torch.no_grad()
    def _heat(self, batch):
        return self._upsampled(self._map(batch), normalize=True)

    def _upsampled(self, a, normalize):
        return upsample_heatmap(a, self.shape_in_[1:], *self.model_.field, self._sigma(), normalize)

    def _check_settings(self, x):
        super()._check_settings(x)
        if self._makes_confetti():
            h, w = x.shape[2:]
            if min(h, w) < 32:
                raise ValueError(f"FCDD needs outliers= for images of {h} x {w}: confetti is for 32 pixels or more.")
            if x.is_floating_point() and (x.min() < 0 or x.max() > 1):
                values = f"X goes from {x.min():g} to {x.max():g}"
                raise ValueError(f"FCDD without outliers= needs images in [0, 1] to put confetti on; {values}.")

    def _build(self, shape, device):
        model = super()._build(shape, device)
        model.field = receptive_field(model.net)
        return model

    def _net(self, shape):
        net = (self.net or nets.fcn)(shape)
        check_maps(net, shape)
        return net

    def _makes_confetti(self) -> bool:
        return self._outliers is None

    def _makes_outliers(self):
        return True

    def _outliers_for(self, images, generator):
        if self._makes_confetti():
            return confetti(images, generator), None
        return super()._outliers_for(images, generator)

    def _loss(self, batch):
        images, y, masks = batch
        a = self._map(images)
        if masks is None:
            return hsc_loss(a.mean((1, 2)), y).mean()
        return pixel_loss(self._upsampled(a, normalize=False), masks).mean()

    def _score(self, batch):
        return self._map(batch).mean((1, 2))

    def _map(self, batch):
        """A of Eq. 2, (n, u, v)."""
        return pseudo_huber(self._output(batch).squeeze(1))


def check_maps(net: nn.Module, shape: tuple[int, int, int]):
    """Refuse a net that gives no maps of one channel, or maps that its convolutions and poolings do not explain."""
    mode = net.training
    with torch.no_grad():
        out = net.eval()(torch.zeros(1, *shape))
    net.train(mode)
    if out.ndim != 4 or out.shape[:2] != (1, 1):
        raise ValueError(f"net gives {tuple(out.shape)} for one image; a map (1, 1, u, v) is needed.")
    _, stride, start = receptive_field(net)
    for side, pixels in zip(out.shape[2:], shape[1:], strict=True):
        if abs(start + stride * (side - 1) / 2 - (pixels - 1) / 2) > stride:
            raise ValueError(
                f"net makes {side} of {pixels} pixels, but its layers have a stride of {stride} in all: "
                "every pooling must be a module, nn.MaxPool2d for example."
            )
