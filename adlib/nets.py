"""Networks. A factory takes the shape of one row and returns a module that maps rows to features, (n, ...) -> (n, f),
or, for the autoencoder, one with `encode` and `decode`.

`Detector(net=...)` takes the factories at the end of this file, or one of yours.
"""

import torch
from torch import nn
from torch.nn import functional as F

# ---- for rows, (n, d)


class MLP(nn.Module):
    """Leaky-ReLU layers with a linear last one, (n, d) -> (n, widths[-1])."""

    def __init__(self, d: int, widths: tuple[int, ...], bias: bool):
        super().__init__()
        ins = (d, *widths[:-1])
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in zip(ins, widths, strict=True))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x))
        return self.layers[-1](x)


class MLPAutoencoder(nn.Module):
    """`encode`, (n, d) -> (n, code), and `decode`, back: each with one hidden layer, leaky ReLU, and a linear end."""

    def __init__(self, d: int, hidden: int, code: int):
        super().__init__()
        self.encoder = MLP(d, (hidden, code), bias=True)
        self.decoder = MLP(code, (hidden, d), bias=True)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, code):
        return self.decoder(code)


# ---- for images, (n, c, h, w)


class SoftplusCNN(nn.Sequential):
    """Strided 3x3 convolutions, each with softplus, and a linear layer, (n, c, h, w) -> (n, features).

    Smooth and without batch norm: an energy of it has a slope that can be trained, and rows do not meet.
    """

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...], features: int):
        c, h, w = shape
        layers = []
        for c_out in channels:
            layers += [nn.Conv2d(c, c_out, 3, 2, padding=1), nn.Softplus()]
            c, h, w = c_out, -(-h // 2), -(-w // 2)
        super().__init__(*layers, nn.Flatten(), nn.Linear(c * h * w, features))


class LeNet(nn.Module):
    """The LeNet-type encoder of Deep SVDD (Ruff et al. 2018, Section 4.2), (n, c, h, w) -> (n, features).

    5x5 convolutions, each with batch norm, leaky ReLU and 2x2 max pooling; no biases, no affine batch norm. The slope
    below 0 is torch's 0.01; Chalapathy et al. (2018) have 0.1 in the same network.
    """

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...], features: int):
        super().__init__()
        c, h, w = shape
        ins = (c, *channels[:-1])
        pairs = zip(ins, channels, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 5, padding=2, bias=False) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b, eps=1e-4, affine=False) for b in channels)
        check_poolings(shape, len(channels))
        for _ in channels:
            h, w = h // 2, w // 2
        self.last = nn.Linear(channels[-1] * h * w, features, bias=False)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.max_pool2d(F.leaky_relu(norm(conv(x))), 2)
        return self.last(x.flatten(1))


class UpsampledConv(nn.Conv2d):
    """Nearest upsampling to `size`, then a 5x5 convolution without bias, (n, c_in, h, w) -> (n, c_out, *size).

    Where the size doubles, each of the four output phases sees only 3x3 different input pixels: one 3x3 convolution
    with summed weights gives all four, in 9/25 of the multiplications and without the large image in between.
    """

    def __init__(self, c_in: int, c_out: int, size: tuple[int, int]):
        super().__init__(c_in, c_out, 5, padding=2, bias=False)
        self.size = size
        even = [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]  # which of the 5 taps fall on each of the 3 pixels
        odd = [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]]
        self.register_buffer("fold", torch.tensor([even, odd], dtype=torch.float32), persistent=False)  # (2, 3, 5)

    def forward(self, x):
        if self.size != (2 * x.shape[2], 2 * x.shape[3]):
            return super().forward(F.interpolate(x, self.size))
        weight = torch.einsum("ockl,pik,qjl->opqcij", self.weight, self.fold, self.fold).flatten(0, 2)
        return F.pixel_shuffle(F.conv2d(x, weight.contiguous(memory_format=torch.channels_last), padding=1), 2)


class LeNetAutoencoder(nn.Module):
    """LeNet-type autoencoder (Wu et al. 2021, Section 4.2, after Ruff et al. 2018).

    `encode` is `LeNet`, (n, c, h, w) -> (n, code). `decode` mirrors it: a dense layer, then for each pooling nearest
    upsampling and a 5x5 convolution, which at stride 1 is a transposed one with its kernel turned; a sigmoid gives the
    pixels. Batch norm, missing biases and the sigmoid are Ruff's; the paper does not speak of them.
    """

    pixels = (0, 1)  # what the sigmoid can draw

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...], code: int):
        super().__init__()
        c, h, w = shape
        self.encoder = LeNet(shape, channels, code)
        sizes = [(h >> i, w >> i) for i in range(len(channels) + 1)]  # from the image to behind the last pooling
        layers = [nn.Linear(code, channels[-1] * sizes[-1][0] * sizes[-1][1], bias=False)]
        layers += [nn.Unflatten(1, (channels[-1], *sizes[-1])), nn.BatchNorm2d(channels[-1], eps=1e-4, affine=False)]
        for i in reversed(range(len(channels))):
            c_out = channels[i - 1] if i else c
            layers += [nn.LeakyReLU(), UpsampledConv(channels[i], c_out, sizes[i])]
            layers += [nn.BatchNorm2d(c_out, eps=1e-4, affine=False) if i else nn.Sigmoid()]
        self.decoder = nn.Sequential(*layers)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, code):
        return self.decoder(code)


class Mirrored(nn.Module):
    """`encode` is any module X -> (n, code); `decode` goes back as the mirror of `mlp` or `lenet`, with a linear end.

    Images are seen in [0, 1], as the module sees them without a decoder. For the pre-training of Ruff et al. (2018,
    Section 4.2); theirs ends in a sigmoid, which cannot draw standardised images.
    """

    pixels = (0, 1)

    def __init__(self, encoder: nn.Module, shape: tuple[int, ...], code: int):
        super().__init__()
        self.encoder = encoder
        if len(shape) == 1:
            self.decoder = MLP(code, (32, 64, shape[0]), bias=False)
        else:
            channels = (8, 4) if shape[0] == 1 else (32, 64, 128)
            self.decoder = LeNetAutoencoder(shape, channels, code).decoder[:-1]

    def encode(self, x):
        return self.encoder(x)

    def decode(self, code):
        return self.decoder(code)


class SmallCNN(nn.Module):
    """The classifier body of GEOM's figure script, (n, c, h, w) -> (n, 10); start and batch norm by Keras' defaults."""

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        c, h, w = shape
        self.conv = nn.Conv2d(c, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.dense = nn.Linear(32 * (h // 2) * (w // 2), 10)
        self.norm_out = nn.BatchNorm1d(10, eps=1e-3, momentum=0.01)
        for layer in (self.conv, self.dense):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = F.max_pool2d(self.norm(F.relu(self.conv(x))), 2)  # (n, 32, h/2, w/2)
        return self.norm_out(F.relu(self.dense(x.flatten(1))))


class WideBlock(nn.Module):
    """Pre-activation residual block; where channels change, the 1x1 shortcut reads the activated tensor (as GEOM's)."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.shortcut = None if c_in == c_out else nn.Conv2d(c_in, c_out, 1, stride, bias=False)

    def forward(self, x):
        activated = F.relu(self.norm1(x))
        skip = x if self.shortcut is None else self.shortcut(activated)
        return skip + self.conv2(F.relu(self.norm2(self.conv1(activated))))


class WideResNet(nn.Module):
    """WRN-depth-width as GEOM uses it (Zagoruyko & Komodakis 2016; Golan & El-Yaniv 2018, Section 5.3 and code).

    (n, c, h, w) -> (n, f): three groups of (depth - 4) / 6 blocks, average pooling by 8, flattened, no dropout.
    """

    def __init__(self, shape: tuple[int, int, int], depth: int, width: int):
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth={depth}: a wide residual network needs a depth of 10, 16, 22, ...")
        c, h, w = shape
        self.stem = nn.Conv2d(c, 16, 3, padding=1, bias=False)
        groups, c_in = [], 16
        for c_out, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for i in range(blocks):
                groups.append(WideBlock(c_in, c_out, stride if i == 0 else 1))
                c_in = c_out
        self.blocks = nn.Sequential(*groups)
        self.norm = nn.BatchNorm2d(c_in)
        self.pool = min(8, -(-h // 4), -(-w // 4))  # two strides of 2 leave ceil(h / 4) pixels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # N(0, sqrt(2 / fan_in))

    def forward(self, x):
        x = self.blocks(self.stem(x))  # (n, 64 width, h/4, w/4)
        return F.avg_pool2d(F.relu(self.norm(x)), self.pool).flatten(1)


class DCGANAutoencoder(nn.Module):
    """Convolutional autoencoder after DCGAN (Golan & El-Yaniv 2018, Section 5.1; Radford et al. 2016).

    `encode` is the discriminator, (n, c, h, w) -> (n, code) in [-1, 1]: each strided convolution halves the image, with
    batch norm and leaky ReLU. `decode` is the generator, with transposed convolutions, batch norm and ReLU.
    The paper gives no details. 3x3 kernels and the tanh of the code are those of its code, leaky ReLU is DCGAN's (the
    code has ReLU); its tanh of the pixels is left out, so that float images outside [-1, 1] can be drawn too.
    """

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...], code: int):
        super().__init__()
        c, h, w = shape
        if min(h, w) < 2 ** len(channels):
            raise ValueError(f"Images of {h} x {w} are too small for the {len(channels)} halvings of this network.")
        down, up = [], []
        for c_in, c_out in zip((c, *channels[:-1]), channels, strict=True):
            down += [nn.Conv2d(c_in, c_out, 3, 2, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.LeakyReLU(0.2)]
            even = (1 - h % 2, 1 - w % 2)  # 2 k - 1 and 2 k pixels both halve to k
            back = nn.ConvTranspose2d(c_out, c_in, 3, 2, padding=1, output_padding=even, bias=not up)
            up = [nn.BatchNorm2d(c_out), nn.ReLU(), back, *up]  # the first one made is the last layer, without a norm
            h, w = -(-h // 2), -(-w // 2)
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(channels[-1] * h * w, code), nn.Tanh())
        self.decoder = nn.Sequential(
            nn.Linear(code, channels[-1] * h * w, bias=False), nn.Unflatten(1, (channels[-1], h, w)), *up
        )

    def encode(self, x):
        return self.encoder(x)

    def decode(self, code):
        return self.decoder(code)


def normed_conv(c_in: int, c_out: int, kernel: int, eps: float = 1e-4, slope: float = 0.01) -> list[nn.Module]:
    """Convolution of equal size, affine batch norm and leaky ReLU, as FCDD's code has them; with slope 0 a ReLU."""
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
    return [conv, nn.BatchNorm2d(c_out, eps=eps), nn.LeakyReLU(slope)]


class FCN28(nn.Sequential):
    """FCDD's network for Fashion-MNIST (Liznerski et al. 2021, Appendix D), (n, c, h, w) -> (n, 1, h / 4, w / 4).

    Width 128 in the paper. One of its three convolutions is normed, not all as Section 4.1 has it. Receptive field 16.
    """

    def __init__(self, c: int, width: int):
        super().__init__(
            *normed_conv(c, width, 5), nn.MaxPool2d(2), nn.Conv2d(width, width, 5, padding=2), nn.MaxPool2d(2),
            nn.Conv2d(width, 1, 1),
        )  # fmt: skip


class FCN32(nn.Sequential):
    """FCDD's network for CIFAR-10 (Liznerski et al. 2021, Appendix D), (n, c, h, w) -> (n, 1, h / 4, w / 4).

    Width 128 in the paper. Receptive field 22.
    """

    def __init__(self, c: int, width: int):
        super().__init__(
            *normed_conv(c, width, 3), nn.MaxPool2d(2),
            *normed_conv(width, 2 * width, 3), *normed_conv(2 * width, 2 * width, 3), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, width, 3, padding=1), nn.Conv2d(width, 1, 1),
        )  # fmt: skip


class FCNField(nn.Sequential):
    """Four convolutions and two poolings with a first kernel of any odd side (Liznerski et al. 2021, Appendix A).

    (n, c, h, w) -> (n, 1, h / 4, w / 4). Receptive field kernel + 15.
    """

    def __init__(self, c: int, width: int, kernel: int):
        super().__init__(
            *normed_conv(c, width, kernel), nn.MaxPool2d(2), *normed_conv(width, 2 * width, 3), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, width, 3, padding=1), nn.Conv2d(width, 1, 1),
        )  # fmt: skip


class FCNVGG(nn.Sequential):
    """FCDD's VGG11 up to its sixth convolution (Liznerski et al. 2021, Appendix D), (n, c, h, w) -> (n, 1, h/8, w/8).

    Width 64 in the paper. Receptive field 62. Starts at random, as the paper's on ImageNet and Pascal VOC.
    """

    def __init__(self, c: int, width: int):
        layers = []
        for c_out, pooled in ((width, True), (2 * width, True), (4 * width, False), (4 * width, True),
                              (8 * width, False), (8 * width, False)):  # fmt: skip
            layers += normed_conv(c, c_out, 3, eps=1e-5, slope=0.0) + [nn.MaxPool2d(2)] * pooled
            c = c_out
        super().__init__(*layers, nn.Conv2d(c, 1, 1))


class DenseCNN(nn.Sequential):
    """Convolutions with pooling by 2, then dense layers with biases, (n, c, h, w) -> (n, features): networks of HSC."""

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...], hidden: tuple[int, ...], features: int):
        c, h, w = shape
        check_poolings(shape, len(channels))
        layers = []
        for c_out in channels:
            layers += [*normed_conv(c, c_out, 5), nn.MaxPool2d(2)]
            c, h, w = c_out, h // 2, w // 2
        layers.append(nn.Flatten())
        width = c * h * w
        for out in hidden:
            layers += [nn.Linear(width, out), nn.BatchNorm1d(out, eps=1e-4), nn.LeakyReLU()]
            width = out
        super().__init__(*layers, nn.Linear(width, features))


# ---- factories: shape of one row -> module


def mlp(shape):
    """MLP d -> 64 -> 32 -> 16 without biases, which keeps Deep SVDD from its trivial solution (Ruff 2018, Prop. 2)."""
    (d,) = shape
    return MLP(d, (64, 32, 16), bias=False)


def mlp_128(shape):
    """Linear layer d -> 128: with DROCC's head the one hidden layer of its networks for tables (Goyal 2020)."""
    (d,) = shape
    return MLP(d, (128,), bias=True)


def mlp_128_128(shape):
    """MLP d -> 128 -> 128: with DROCC's head two hidden layers, for curves that one does not follow."""
    (d,) = shape
    return MLP(d, (128, 128), bias=True)


def mlp_8(shape):
    """Linear layer d -> 8 without bias: with GOAD's head the 8 hidden nodes of its networks for small tables."""
    (d,) = shape
    return MLP(d, (8,), bias=False)


def mlp_8_8(shape):
    """MLP d -> 8 -> 8 without biases: with GOAD's head two hidden layers of 8 nodes."""
    (d,) = shape
    return MLP(d, (8, 8), bias=False)


def mlp_autoencoder(shape):
    """Autoencoder d -> 128 -> code -> 128 -> d for rows, with a code of d / 2 numbers, rounded down, and at least 1."""
    (d,) = shape
    return MLPAutoencoder(d, 128, max(1, d // 2))


def mlp_autoencoder_2(shape):
    """As `mlp_autoencoder`, with a code of 2 numbers: DAGMM's mixture is in few dimensions (Zong 2018)."""
    (d,) = shape
    return MLPAutoencoder(d, 128, 2)


def softplus_mlp(shape):
    """MLP d -> 128 -> 128 with softplus between: DSEBM's two layers for rows, as smooth as its energy (Zhai 2016)."""
    (d,) = shape
    return nn.Sequential(nn.Linear(d, 128), nn.Softplus(), nn.Linear(128, 128))


def lenet(shape):
    """LeNet-type encoder: channels 8, 4 to 32 features for grey images, 32, 64, 128 to 128 for colour (Ruff 2018)."""
    return LeNet(shape, (8, 4), 32) if shape[0] == 1 else LeNet(shape, (32, 64, 128), 128)


def lenet_autoencoder(shape):
    """LeNet-type autoencoder: channels 8, 4 and 32 numbers for grey images, 32, 64, 128 and 64 for colour (Wu 2021)."""
    return LeNetAutoencoder(shape, (8, 4), 32) if shape[0] == 1 else LeNetAutoencoder(shape, (32, 64, 128), 64)


def dcae(shape):
    """The autoencoder around `lenet`: as `lenet_autoencoder`, but with a code of 128 numbers for colour (Ruff 2018,
    Chalapathy 2018)."""
    return LeNetAutoencoder(shape, (8, 4), 32) if shape[0] == 1 else LeNetAutoencoder(shape, (32, 64, 128), 128)


def lenet_signs(shape):
    """LeNet-type encoder with channels 16, 32, 64 and 32 features, for traffic signs (Chalapathy 2018, Section 5.3)."""
    return LeNet(shape, (16, 32, 64), 32)


def dcae_signs(shape):
    """The autoencoder around `lenet_signs`."""
    return LeNetAutoencoder(shape, (16, 32, 64), 32)


def lenet_autoencoder_8(shape):
    """As `lenet_autoencoder`, with a code of 8 numbers."""
    channels = (8, 4) if shape[0] == 1 else (32, 64, 128)
    return LeNetAutoencoder(shape, channels, 8)


def lenet_autoencoder_5(shape):
    """As `lenet_autoencoder`, with a code of 5 numbers: for DAGMM, as many as GEOM's code takes."""
    channels = (8, 4) if shape[0] == 1 else (32, 64, 128)
    return LeNetAutoencoder(shape, channels, 5)


def softplus_cnn(shape):
    """Strided convolutions of 16, 32 and 64 channels with softplus, and 128 features: DSEBM's for images; ours."""
    return SoftplusCNN(shape, (16, 32, 64), 128)


def small_cnn(shape):
    """Conv 3x3x32, max pooling, 10 units: the network of GEOM's figure script."""
    return SmallCNN(shape)


def wrn_10_1(shape):
    """WRN-10-1: GEOM's depth at a quarter of its width, for small machines."""
    return WideResNet(shape, 10, 1)


def wrn_10_4(shape):
    """WRN-10-4: GEOM's network for 32x32 images."""
    return WideResNet(shape, 10, 4)


def wrn_16_8(shape):
    """WRN-16-8: GEOM's network for 64x64 images."""
    return WideResNet(shape, 16, 8)


def dcgan_autoencoder(shape):
    """DCGAN-type autoencoder: channels 64, 128, 256 and a code of 256 numbers, as GEOM's code has for 32 pixels."""
    return DCGANAutoencoder(shape, (64, 128, 256), 256)


def dcgan_autoencoder_narrow(shape):
    """The network of `dcgan_autoencoder` with a quarter of its channels and code, for small machines."""
    return DCGANAutoencoder(shape, (16, 32, 64), 64)


def fcn_28(shape):
    """Fully convolutional network of 128 channels, receptive field 16: FCDD's for Fashion-MNIST."""
    return FCN28(check_poolings(shape, 2), 128)


def fcn_32(shape):
    """Fully convolutional network of 128 and 256 channels, receptive field 22: FCDD's for CIFAR-10."""
    return FCN32(check_poolings(shape, 2), 128)


def fcn_vgg(shape):
    """Fully convolutional VGG11 of 64 to 512 channels, receptive field 62: FCDD's for 224 pixels."""
    return FCNVGG(check_poolings(shape, 3), 64)


def fcn_field(shape, kernel=3, width=128):
    """Fully convolutional network with a first kernel of that side and a receptive field of kernel + 15."""
    return FCNField(check_poolings(shape, 2), width, kernel)


def fcn(shape):
    """FCDD's network for the size: `fcn_28` below 32 pixels, `fcn_32` below 64, `fcn_vgg` from there on."""
    side = min(shape[1:])
    return (fcn_28 if side < 32 else fcn_32 if side < 64 else fcn_vgg)(shape)


def fcn_narrow(shape):
    """The network of `fcn` with a quarter of its channels, for small machines."""
    side = min(shape[1:])
    net, width, poolings = (FCN28, 32, 2) if side < 32 else (FCN32, 32, 2) if side < 64 else (FCNVGG, 16, 3)
    return net(check_poolings(shape, poolings), width)


def dense_cnn(shape):
    """HSC's network for the size, after FCDD's code: channels 8, 4 below 32 pixels, 32, 64, 128 and a dense layer of
    512 below 64, five poolings and a dense layer of 1536 from there on. The numbers of features, 32 and 256, are ours.
    """
    side = min(shape[1:])
    if side < 32:
        return DenseCNN(shape, (8, 4), (), 32)
    if side < 64:
        return DenseCNN(shape, (32, 64, 128), (512,), 256)
    return DenseCNN(shape, (8, 32, 64, 128, 64), (1536,), 256)


def check_poolings(shape: tuple[int, int, int], poolings: int) -> int:
    """Number of channels; refuses images that so many poolings by 2 would leave without a pixel."""
    c, h, w = shape
    if min(h, w) < 2**poolings:
        raise ValueError(f"Images of {h} x {w} are too small for the {poolings} poolings of this network.")
    return c


def features_of(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Number of features that net makes of a row of that shape; leaves its state as it is."""
    mode = net.training
    with torch.no_grad():
        out = net.eval()(torch.zeros(1, *shape))
    net.train(mode)
    if out.ndim != 2:
        raise ValueError(f"net gives features of shape {tuple(out.shape)} for one row; (1, f) is needed.")
    return out.shape[1]
