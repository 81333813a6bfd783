"""FCDD and HSC against computations by hand, and on images whose anomalies are known to the pixel."""

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from adlib import FCDD, HSC, load, nets, save
from adlib.detector import as_float
from adlib.fcdd import (
    confetti,
    contrast,
    crop_and_flip,
    hsc_loss,
    pixel_loss,
    pseudo_huber,
    receptive_field,
    upsample_heatmap,
)
from adlib.metrics import pixel_auroc

FIELDS = {  # factory, image, (field, stride, start), size of the map: Appendix D
    "fashion": (nets.fcn_28, (1, 28, 28), (16, 4, 1.5), 7),
    "cifar": (nets.fcn_32, (3, 32, 32), (22, 4, 1.5), 8),
    "imagenet": (nets.fcn_vgg, (3, 224, 224), (62, 8, 3.5), 28),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- objectives


def test_pseudo_huber():
    z = torch.tensor([0.0, 1e-5, -1e-3, 1.0, -3.0, 1e6])
    exact = torch.hypot(z.double(), torch.ones(6, dtype=torch.float64)) - 1
    exact[1] = 5e-11  # float64 has no digits left for it either
    torch.testing.assert_close(pseudo_huber(z).double(), exact, rtol=1e-6, atol=0)


def hsc_by_hand(a, y):
    """Eq. 1 term by term with Python's floats."""
    return a if not y else -math.log(-math.expm1(-a)) if a < 0.5 else -math.log1p(-math.exp(-a))


@pytest.mark.parametrize("y", [0, 1])
def test_hsc_loss_in_float32(y):
    exponents = torch.linspace(-11.5, 4, 300)
    a = (10**exponents).requires_grad_()
    loss = hsc_loss(a, torch.full((300,), y))
    (gradient,) = torch.autograd.grad(loss.sum(), a)
    loss_wanted = torch.tensor([hsc_by_hand(v, y) for v in a.double().tolist()], dtype=torch.float64)
    a64 = a.detach().double().requires_grad_()
    (gradient_wanted,) = torch.autograd.grad(hsc_loss(a64, torch.full((300,), y)).sum(), a64)
    by_hand = torch.tensor([-math.exp(-v) / -math.expm1(-v) if y else 1.0 for v in a64.tolist()], dtype=torch.float64)
    torch.testing.assert_close(loss.double(), loss_wanted, rtol=2e-6, atol=1e-37)
    torch.testing.assert_close(gradient.double(), by_hand, rtol=2e-6, atol=1e-37)
    torch.testing.assert_close(gradient_wanted, by_hand, rtol=1e-9, atol=1e-37)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("y", [0, 1, 0.5])
def test_hsc_loss_and_its_gradient_are_finite_at_the_ends(dtype, y):
    a = torch.tensor([0.0, 1e-30, math.log(2), 88.0, 104.0, 1e4], dtype=dtype, requires_grad=True)
    loss = hsc_loss(a, torch.full((6,), y))
    (gradient,) = torch.autograd.grad(loss.sum(), a)
    assert loss.isfinite().all() and gradient.isfinite().all()
    assert loss.shape == (6,) and (y == 1) == (loss[-1] == 0) and (loss[0] > 27 * y - 1)


def test_hsc_loss_trains_from_the_centre_without_nan():
    """The whole way back to features that are exactly the centre."""
    features = torch.zeros(4, 3, requires_grad=True)
    loss = hsc_loss(pseudo_huber(features.norm(dim=1)), torch.tensor([True, False, True, False]))
    assert torch.autograd.grad(loss.sum(), features)[0].isfinite().all()


def test_pixel_loss():
    maps = torch.rand(3, 4, 5, generator=generator(), dtype=torch.float64, requires_grad=True)
    masks = torch.zeros(3, 4, 5, dtype=torch.float64)
    masks[1, 2, 2:4] = 1
    masks[2] = 1
    wanted = []
    for image, mask in zip(maps.tolist(), masks.tolist(), strict=True):
        pairs = [(a, m) for line in zip(image, mask, strict=True) for a, m in zip(*line, strict=True)]
        normal, anomalous = sum(a * (1 - m) for a, m in pairs) / 20, sum(a * m for a, m in pairs) / 20
        wanted.append(normal + (-math.log(1 - math.exp(-anomalous)) if anomalous else 0))
    loss = pixel_loss(maps, masks)
    np.testing.assert_allclose(loss.tolist(), wanted, rtol=1e-12)
    (gradient,) = torch.autograd.grad(loss.sum(), maps)
    torch.testing.assert_close(gradient < 0, masks > 0)  # anomalous pixels up, all others down


# ---- networks


@pytest.mark.parametrize("case,total", [("fashion", 413_441), ("cifar", 1_185_281), ("imagenet", 4_504_833)])
def test_networks_have_the_sizes_of_appendix_d(case, total):
    factory, shape, _, _ = FIELDS[case]
    for net in (factory(shape), nets.fcn(shape)):
        assert sum(p.numel() for p in net.parameters()) == total
    assert sum(p.numel() for p in nets.fcn_narrow(shape).parameters()) < total / 14


def probed_field(net, shape, at):
    """(first, last) row of the pixels that output row `at` depends on; poolings average, to pass everything on."""
    net = copy.deepcopy(net).eval()
    for name, layer in net.named_children():
        if isinstance(layer, torch.nn.MaxPool2d):
            setattr(net, name, torch.nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding))
    for parameter in net.parameters():
        parameter.data.abs_()
    x = torch.rand(1, *shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x)[0, 0, at, at], x)
    rows = gradient[0].abs().sum((0, 2)).nonzero().flatten()
    return rows[0].item(), rows[-1].item()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("case", FIELDS)
def test_receptive_field_agrees_with_a_gradient_probe(case, narrow):
    factory, shape, wanted, size = FIELDS[case]
    net = (nets.fcn_narrow if narrow else factory)(shape)
    field, stride, start = receptive_field(net)
    assert (field, stride, start) == wanted and nets.fcn(shape)(torch.zeros(2, *shape)).shape == (2, 1, size, size)
    for at in (size // 2 - 1, size // 2):
        center = start + stride * at
        assert probed_field(net, shape, at) == (center - (field - 1) / 2, center + (field - 1) / 2)


@pytest.mark.parametrize(
    "layers,wanted",
    [
        ([], (1, 1, 0)),
        ([torch.nn.Conv2d(1, 1, 3)], (3, 1, 1)),  # no padding: the first centre is the second pixel
        ([torch.nn.Conv2d(1, 1, 3, stride=2, padding=1), torch.nn.Conv2d(1, 1, 5, padding="same")], (11, 2, 0)),
        ([torch.nn.Conv2d(1, 1, 3, dilation=2, padding="valid"), torch.nn.AvgPool2d(3, 2)], (7, 2, 3)),
    ],
)
def test_receptive_field_of_other_layers(layers, wanted):
    net = torch.nn.Sequential(*layers)
    field, stride, start = receptive_field(net)
    assert (field, stride, start) == wanted
    out = net(torch.zeros(1, 1, 31, 31)).shape[2]
    if layers:
        assert probed_field(net, (1, 31, 31), out // 2)[0] == start + stride * (out // 2) - (field - 1) / 2


@pytest.mark.parametrize("layer", [torch.nn.Linear(2, 2), torch.nn.Flatten(), torch.nn.AdaptiveAvgPool2d(1)])
def test_nets_without_a_receptive_field(layer):
    with pytest.raises(ValueError, match=f"net has a {type(layer).__name__} layer"):
        receptive_field(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), layer))
    with pytest.raises(ValueError, match=r"kernel_size=\(3, 5\): only square"):
        receptive_field(torch.nn.Conv2d(1, 1, (3, 5)))


# ---- upsampling


def algorithm_1(a, size, field, stride, start, sigma, normalize):
    """The paper's loop over outputs, and a loop over the pixels of each one's field."""
    out = np.zeros((len(a), *size))
    peak = 1 / (2 * math.pi * sigma**2) if normalize else 1
    for i, j in np.ndindex(a.shape[1:]):
        y, x = start + stride * i, start + stride * j
        top, left = y - (field - 1) / 2, x - (field - 1) / 2
        for row in range(math.ceil(top), math.ceil(top) + field):
            for col in range(math.ceil(left), math.ceil(left) + field):
                if 0 <= row < size[0] and 0 <= col < size[1]:
                    out[:, row, col] += a[:, i, j] * peak * math.exp(-((row - y) ** 2 + (col - x) ** 2) / 2 / sigma**2)
    return out


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("case", FIELDS)
@pytest.mark.parametrize("size,of_map", [((28, 28), (7, 7)), ((33, 40), (8, 5)), ((41, 31), (5, 3))])
def test_upsampling_is_algorithm_1(case, size, of_map, normalize):
    field = FIELDS[case][2]
    a = torch.rand(2, *of_map, generator=generator())
    for sigma in (1.2, 8.0):
        wanted = algorithm_1(a.double().numpy(), size, *field, sigma, normalize)
        np.testing.assert_allclose(upsample_heatmap(a, size, *field, sigma, normalize), wanted, rtol=1e-5, atol=1e-7)


def test_upsampling_with_a_field_of_odd_side():
    a = torch.rand(2, 6, 6, generator=generator())
    wanted = algorithm_1(a.double().numpy(), (13, 13), 5, 2, 1.0, 1.5, True)
    np.testing.assert_allclose(upsample_heatmap(a, (13, 13), 5, 2, 1.0, 1.5, True), wanted, rtol=1e-5)


def test_upsampling_is_differentiable():
    a = torch.rand(2, 3, 4, generator=generator(), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: upsample_heatmap(a, (12, 16), 6, 4, 1.5, 1.2, True), a)


# ---- contrast


def test_contrast_of_each_map_alone():
    maps = np.array([[[1.0, 2.0], [3.0, 5.0]], [[10.0, 10.0], [10.0, 30.0]]])
    top = 1 + np.quantile([0, 1, 2, 4], 0.5)  # of the first map
    shown = contrast(maps, 0.5)
    np.testing.assert_allclose(shown[0], [[0, 1 / (top - 1)], [1, 1]], rtol=1e-6)
    assert shown.dtype == np.float32 and shown[1].tolist() == [[0, 0], [0, 1]]  # half of it is the minimum
    np.testing.assert_allclose(contrast(maps, 1.0)[0], [[0, 0.25], [0.5, 1]])


def test_contrast_against_a_reference():
    maps, reference = np.array([[[0.0, 2.0], [3.0, 9.0]]]), np.arange(1, 9).reshape(2, 2, 2) / 1.0
    np.testing.assert_allclose(contrast(maps, 1.0, reference), [[[0, 1 / 7], [2 / 7, 1]]], rtol=1e-6)
    assert (contrast(np.ones((1, 2, 2)), 0.9) == 0).all()


@pytest.mark.parametrize("quantile", [0, 1.1, -1, math.nan])
def test_contrast_refuses_other_quantiles(quantile):
    with pytest.raises(ValueError, match=f"quantile={quantile}"):
        contrast(np.ones((1, 2, 2)), quantile)


# ---- confetti, crops and flips


@pytest.mark.parametrize("shape", [(64, 3, 32, 32), (64, 1, 64, 48), (16, 3, 240, 240)])
def test_confetti_lies_in_spots_and_leaves_the_rest_alone(shape):
    x = 0.3 + 0.5 * torch.rand(shape, generator=generator())
    out, kept = confetti(x, generator(1)), x.clone()
    assert out.shape == shape and out.min() >= 0 and out.max() <= 1 and torch.equal(x, kept)
    touched = (out != x).any(1).float().mean((1, 2))
    assert (touched > 0).all() and touched.mean() < 0.3
    strongly = ((out - x).abs() > 0.02).any(1).float().mean()
    assert 0.05 < strongly < 0.2  # the code's: 0.116


def test_confetti_comes_from_the_generator_alone_and_is_fresh_for_each_image():
    x = torch.full((6, 3, 32, 32), 0.5)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = confetti(x, generator(1))
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(4)
    assert torch.equal(first, confetti(x, generator(1))) and not torch.equal(first, confetti(x, generator(2)))
    assert all(not torch.equal(first[i], first[j]) for i in range(6) for j in range(i))


def test_confetti_darkens_but_on_black_images_it_brightens():
    grey = torch.full((40, 3, 32, 32), 0.5)
    assert (confetti(grey, generator()) <= grey).all()
    on_black = confetti(torch.zeros(40, 3, 32, 32), generator())
    assert (on_black.amax((1, 2, 3)) > 0.1).all()
    colors = (confetti(grey, generator()) - grey).permute(0, 2, 3, 1).flatten(0, 2)
    assert (colors.std(1) > 0.1).any() and (colors == -0.5).all(1).any()  # coloured ones, and black ones


def test_confettis_squares_scale_with_the_image():
    shares = []
    for size in (48, 240):
        x = torch.full((200 if size == 48 else 60, 1, size, size), 0.5)
        shares.append((confetti(x, generator()) < 0.25).float().mean().item())
    assert shares[0] == pytest.approx(shares[1], rel=0.2)


def test_crops_are_windows_of_the_padded_image_and_half_are_flipped():
    x = torch.rand(200, 2, 5, 6, generator=generator())
    out = crop_and_flip(x, 2, True, generator(1))
    windows = torch.nn.functional.pad(x, (2, 2, 2, 2)).unfold(2, 5, 1).unfold(3, 6, 1)  # (200, 2, top, left, 5, 6)
    found = []
    for image, of_image in zip(out, windows.permute(0, 2, 3, 1, 4, 5), strict=True):
        places = np.ndindex(5, 5, 2)
        found.append([p for p in places if torch.equal(image.flip(2) if p[2] else image, of_image[p[0], p[1]])])
    assert all(len(places) == 1 for places in found)
    tops, lefts, flips = np.array([places[0] for places in found]).T
    assert set(tops) == set(lefts) == set(range(5)) and 70 < flips.sum() < 130
    assert torch.equal(crop_and_flip(x, 0, False, generator()), x)


# ---- the detectors


def squares(n, seed, anomalous=False):
    """Grey 28 x 28 images, uint8, of smooth waves, with a bright square if anomalous; and where it lies."""
    rng = np.random.default_rng(seed)
    waves = np.arange(28) * rng.uniform(0.2, 0.5, (n, 1)) + rng.uniform(0, 6, (n, 1))
    x = 90 + 40 * np.sin(waves)[:, None, :, None] + rng.normal(0, 8, (n, 1, 28, 28))
    masks = np.zeros((n, 28, 28), bool)
    for i, (row, col) in enumerate(rng.integers(1, 21, (n, 2))):
        masks[i, row : row + 6, col : col + 6] = anomalous
    x[:, 0] += 70 * masks
    return x.clip(0, 255).astype(np.uint8), masks


SETTINGS = {"epochs": 15, "batch_size": 16, "lr": 3e-3, "net": nets.fcn_narrow}


def fitted(method=FCDD, masks=False, n=96, **settings):
    outliers, where = squares(40, 1, anomalous=True)
    settings = ({"epochs": 8, "batch_size": 16} if method is HSC else SETTINGS) | settings
    return method(**settings).fit(squares(n, 0)[0], outliers=outliers, **({"masks": where} if masks else {}))


@pytest.fixture(scope="module")
def detectors():
    """FCDD without and with masks, and HSC; tests must not change them."""
    return {"FCDD": fitted(), "masks": fitted(masks=True), "HSC": fitted(HSC)}


@pytest.fixture(scope="module")
def new():
    """Normal images, anomalous ones, and the masks of these."""
    return squares(60, 2)[0], *squares(60, 3, anomalous=True)


@pytest.mark.parametrize("name", ["FCDD", "masks", "HSC"])
def test_squares_are_found(detectors, new, name):
    normal, anomalous, _ = new
    scores = detectors[name].anomaly_score(np.concatenate([normal, anomalous]))
    assert roc_auc_score(np.repeat([0, 1], 60), scores) > 0.95


@pytest.mark.parametrize("name,times", [("FCDD", 2.5), ("masks", 5)])
def test_heatmaps_lie_on_the_squares(detectors, new, name, times):
    """The map has as many times the mass in the square as its area says; a value spreads over 16 pixels, though."""
    _, anomalous, masks = new
    maps = detectors[name].heatmap(anomalous)
    assert maps.shape == (60, 28, 28) and maps.dtype == np.float32 and (maps >= 0).all()
    share = (maps * masks).sum((1, 2)) / maps.sum((1, 2))
    assert share.mean() > times * masks.mean() and pixel_auroc(masks, maps, True) > 0.8


def test_masks_make_heatmaps_sharper(detectors, new):
    _, anomalous, masks = new
    without, with_ = (pixel_auroc(masks, detectors[name].heatmap(anomalous), True) for name in ("FCDD", "masks"))
    assert with_ > max(0.95, without)


def test_heatmap_of_fcdd_is_its_map_upsampled(detectors, new):
    d, x = detectors["FCDD"], new[1][:3]
    with torch.no_grad():
        a = d._map(as_float(torch.from_numpy(x)))
    np.testing.assert_allclose(d.anomaly_score(x), a.mean((1, 2)), rtol=1e-4)
    wanted = algorithm_1(a.double().numpy(), (28, 28), 16, 4, 1.5, 1.2, True)
    np.testing.assert_allclose(d.heatmap(x), wanted, rtol=1e-3, atol=1e-6)


def test_heatmap_of_hsc_is_the_blurred_gradient_of_its_score():
    x = np.random.default_rng(0).random((20, 2, 8, 9))
    d = HSC(epochs=1, net=lambda shape: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 3))).fit(x)
    weight, bias = (p.detach().double().numpy() for p in d.model_.net[1].parameters())
    mean, spread = (x.mean((0, 2, 3)).reshape(2, 1, 1), x.std((0, 2, 3)).reshape(2, 1, 1))
    z = ((x - mean) / spread).reshape(20, -1) @ weight.T + bias
    slope = (z / np.sqrt((z**2).sum(1, keepdims=True) + 1)) @ weight  # of sqrt(|z|^2 + 1) - 1
    plain = (np.abs(slope.reshape(20, 2, 8, 9)) / spread).sum(1)
    wanted = algorithm_1(plain, (8, 9), 11, 1, 0, 1.2, True)
    np.testing.assert_allclose(d.heatmap(x), wanted, rtol=1e-3)


@pytest.mark.parametrize("name", ["FCDD", "HSC"])
def test_heatmaps_do_not_depend_on_neighbours_and_change_nothing(detectors, new, name):
    d, x = detectors[name], new[1][:9]
    kept, before, whole = x.copy(), {k: v.clone() for k, v in d._state().items()}, d.heatmap(x)
    parts = [d.heatmap(x[:1]), d.heatmap(x[1:4][::-1])[::-1], d.heatmap(x[4:])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    floats = torch.from_numpy(x).float() / 255
    np.testing.assert_allclose(d.heatmap(floats), whole, rtol=1e-4, atol=1e-6)
    assert np.array_equal(x, kept) and not floats.requires_grad and d.model_.training is False
    assert all(torch.equal(v, before[k]) for k, v in d._state().items())


def test_heatmap_follows_sigma_and_survives_saving(detectors, new, tmp_path):
    d = copy.deepcopy(detectors["FCDD"]).set_params(sigma=3.0)
    assert not np.allclose(d.heatmap(new[1][:2]), detectors["FCDD"].heatmap(new[1][:2]), rtol=0.1)
    save(d, tmp_path / "d")
    np.testing.assert_allclose(load(tmp_path / "d").heatmap(new[1][:2]), d.heatmap(new[1][:2]), rtol=1e-4)


def test_sigma_crop_and_network_by_size():
    for size, sigma, crop, field in ((28, 1.2, 2, 16), (32, 1.2, 4, 22), (63, 1.2, 4, 22), (64, 8.0, 0, 62)):
        d = FCDD()
        d.shape_in_ = (1, size, size)
        assert (d._sigma(), d._crop(), receptive_field(nets.fcn(d.shape_in_))[0]) == (sigma, crop, field)
        assert (FCDD.sigma, FCDD.crop) == (None, None)


def test_images_are_standardised_with_mean_and_spread_of_the_training_images():
    x = np.random.default_rng(0).integers(0, [[[100]], [[200]], [[256]]], (1500, 3, 8, 8)).astype(np.uint8)
    d = HSC(epochs=1, batch_size=500, lr=1e-12).fit(x)
    np.testing.assert_allclose(d.model_.mean.flatten(), x.mean((0, 2, 3)) / 255, rtol=1e-5)
    np.testing.assert_allclose(d.model_.spread.flatten(), x.std((0, 2, 3)) / 255, rtol=1e-5)
    seen = []
    d.model_.net.register_forward_hook(lambda net, given, out: seen.append(given[0]))
    d.anomaly_score(x)
    assert seen[0][:1500].mean().abs() < 1e-3 and abs(seen[0][:1500].std() - 1) < 1e-3
    x[:, 1] = 7
    with pytest.raises(ValueError, match="constant in channel 1"):
        HSC(epochs=1).fit(x)


def batches_of(d, *given, **side):
    """What `_draw` hands to `_loss` in fit, one tuple a step."""
    seen, loss = [], d._loss
    d._loss = lambda batch: seen.append(batch) or loss(batch)
    d.fit(*given, **side)
    return seen


def plain(shape):
    return torch.nn.Conv2d(shape[0], 1, 3, padding=1)


PLAIN = {"net": plain, "batch_size": 50, "crop": 0, "flip": False}


def test_half_of_a_batch_is_replaced_by_outliers_drawn_afresh():
    x = np.random.default_rng(0).integers(0, 99, (400, 1, 8, 8)).astype(np.uint8)
    outliers = np.full((1000, 1, 8, 8), 100) + np.arange(1000).reshape(-1, 1, 1, 1) / 10  # each has its own value
    seen = batches_of(FCDD(**PLAIN, epochs=2), x / 255, outliers=outliers)
    assert len(seen) == 16
    drawn = []
    for images, y, masks in seen:
        assert len(images) == 50 and masks is None
        assert torch.equal(y, images[:, 0, 0, 0] >= 100)
        drawn.append(((images[y, 0, 0, 0] - 100) * 10).round().int().tolist())
    first, second = sum(drawn[:8], []), sum(drawn[8:], [])
    assert 340 < len(first + second) < 460
    assert 0.8 * len(first) < len(set(first)) < len(first)  # with replacement: of 200, 181 are different on average
    assert len(set(first) & set(second)) < 0.4 * len(first)


def test_masks_follow_their_outliers_through_crops_and_flips():
    outliers, masks = squares(30, 0, anomalous=True)
    outliers = (masks[:, None] * 255).astype(np.uint8)  # an image that is its own mask
    x = np.random.default_rng(0).integers(0, 99, (40, 1, 28, 28)).astype(np.uint8)
    d = FCDD(net=nets.fcn_narrow, epochs=2, batch_size=20, crop=6)
    for images, y, drawn in batches_of(d, x, outliers=outliers, masks=masks):
        assert torch.equal(images[y, 0], drawn[y]) and not drawn[~y].any() and 0 < y.sum() < 20


def test_loss_of_fcdd_by_hand():
    """Fixed weights, an outlier like no other: Eq. 2, and Eq. 3 with its mask."""
    x = np.random.default_rng(0).random((20, 1, 8, 8))
    outlier, mask = np.random.default_rng(1).random((1, 1, 8, 8)) + 2, np.zeros((1, 8, 8))
    mask[0, 2:4, 3:6] = 1
    for masks in (None, mask):
        d = FCDD(**PLAIN | {"batch_size": 20}, epochs=1, lr=1e-12, sigma=0.7)
        ((images, y, _),) = batches_of(d, x, outliers=outlier, masks=masks)
        with torch.no_grad():
            z = d.model_.net(((images - x.mean()) / x.std()).float()).double().squeeze(1).numpy()
        a = np.sqrt(z**2 + 1) - 1
        up = algorithm_1(a, (8, 8), 3, 1, 0, 0.7, False)
        wanted = []
        for i, anomalous in enumerate(y.tolist()):
            if masks is None:
                wanted.append(-math.log(1 - math.exp(-a[i].mean())) if anomalous else a[i].mean())
            elif anomalous:
                wanted.append((up[i] * (1 - mask[0])).mean() - math.log(1 - math.exp(-(up[i] * mask[0]).mean())))
            else:
                wanted.append(up[i].mean())
        np.testing.assert_allclose(d.history_, [np.mean(wanted)], rtol=1e-4)


def test_loss_of_hsc_by_hand_and_without_outliers():
    x, outliers = np.random.default_rng(0).random((20, 1, 8, 8)), np.full((1, 1, 8, 8), 9.0)
    for given in (outliers, None):
        ((images, y, _),) = batches_of(HSC(epochs=1, batch_size=20, lr=1e-12), x, outliers=given)
        assert y.any() == (given is not None) and torch.equal(y, (images == 9).any(3).any(2).any(1))


@pytest.mark.parametrize("method", [HSC, FCDD])
@pytest.mark.parametrize("label", [False, True])
def test_a_batch_of_one_kind_only_has_a_loss_of_its_kind(detectors, method, label):
    """The mean of one term over the batch; anomalies are pushed away, not trained on as normal."""
    d, x = detectors[method.__name__], as_float(torch.from_numpy(squares(8, 5)[0]))
    loss = d._loss((x, torch.full((8,), label), None))
    with torch.no_grad():
        a = d._score(x).double()
    wanted = (-torch.log(1 - torch.exp(-a)) if label else a).mean()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_confetti_is_drawn_where_there_are_no_outliers():
    x = np.full((30, 1, 32, 32), 128, np.uint8)
    x[:, :, ::2] += 20
    seen = batches_of(FCDD(net=nets.fcn_narrow, epochs=2, batch_size=30, crop=0, flip=False), x)
    for images, y, masks in seen:
        changed = (images != as_float(torch.from_numpy(x[:1]))).flatten(1).any(1)
        assert masks is None and torch.equal(changed, y) and 5 < y.sum() < 25
    assert not torch.equal(seen[0][0], seen[1][0])


def test_learning_rate_falls_at_the_milestones():
    d = FCDD(lr=1.0, milestones=(2, 5))
    assert [round(d._lr(epoch), 6) for epoch in range(7)] == [1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]
    assert FCDD.milestones == (400, 500) and FCDD.epochs == 600


# ---- what does not fit


def image_rows(n, size=28, c=1):
    return np.random.default_rng(0).integers(0, 256, (n, c, size, size)).astype(np.uint8)


@pytest.mark.parametrize(
    "x,side,words",
    [
        (image_rows(8), {}, "needs outliers= for images of 28 x 28.*32 pixels or more"),
        (image_rows(8, 32) / 100, {}, r"images in \[0, 1\].*0 to 2.5"),
        (image_rows(8), {"outliers": image_rows(3, 32)}, r"outliers: .*\(1, 32, 32\).*\(1, 28, 28\)"),
        (image_rows(8), {"outliers": image_rows(3, c=3)}, r"outliers: .*\(3, 28, 28\)"),
        (image_rows(8), {"outliers": image_rows(3) / 255}, "X is torch.uint8, outliers are torch.float64"),
        (image_rows(8), {"masks": np.zeros((3, 28, 28))}, "masks without outliers"),
        (image_rows(8), {"outliers": image_rows(3), "masks": np.zeros((2, 28, 28))}, r"\(3, 28, 28\) is needed"),
        (image_rows(8), {"outliers": image_rows(3), "masks": np.zeros((3, 14, 14))}, r"\(3, 14, 14\): \(3, 28, 28\)"),
        (image_rows(8), {"outliers": image_rows(3), "masks": image_rows(3)[:, 0]}, "masks hold .*from 0"),
    ],
)
def test_side_information_that_does_not_fit(x, side, words):
    with pytest.raises(ValueError, match=words) as caught:
        FCDD(epochs=1, net=nets.fcn_narrow).fit(x, **side)
    assert "\n" not in str(caught.value)


def test_masks_with_amp_come_close():
    plain, amp = (fitted(masks=True, epochs=2, amp=amp) for amp in (False, True))
    assert plain.history_ != amp.history_
    np.testing.assert_allclose(plain.history_, amp.history_, rtol=0.05)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.int64])
def test_masks_of_any_type(dtype):
    x, (outliers, masks) = image_rows(12), squares(4, 0, anomalous=True)
    settings = SETTINGS | {"epochs": 1}
    wanted = FCDD(**settings).fit(x, outliers=outliers, masks=masks).history_
    for given in (masks.astype(dtype), torch.from_numpy(masks.astype(dtype))):
        assert FCDD(**settings).fit(x, outliers=outliers, masks=given).history_ == wanted


def test_hsc_takes_no_masks():
    with pytest.raises(ValueError, match="HSC takes no masks"):
        HSC().fit(image_rows(8), outliers=image_rows(3), masks=np.zeros((3, 28, 28)))


class Hidden(torch.nn.Conv2d):
    """A pooling that is no module."""

    def forward(self, x):
        return torch.nn.functional.max_pool2d(super().forward(x), 4)


@pytest.mark.parametrize(
    "net,words",
    [
        (lambda shape: torch.nn.Conv2d(1, 2, 3), r"\(1, 2, 26, 26\).*\(1, 1, u, v\)"),
        (lambda shape: torch.nn.Flatten(), r"\(1, 784\).*\(1, 1, u, v\)"),
        (lambda shape: Hidden(1, 1, 3, padding=1), "7 of 28 pixels, but .* stride of 1.*nn.MaxPool2d"),
    ],
)
def test_nets_that_do_not_fit_fcdd(net, words):
    with pytest.raises(ValueError, match=words):
        FCDD(net=net).fit(image_rows(8), outliers=image_rows(3))


def test_nets_that_do_not_fit_hsc():
    with pytest.raises(ValueError, match=r"\(1, 1, 7, 7\).*\(1, f\) is needed"):
        HSC(net=nets.fcn_narrow).fit(image_rows(8))


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 2, 64)])
@pytest.mark.parametrize("factory", ["fcn", "fcn_narrow", "dense_cnn"])
def test_images_too_small(factory, shape):
    with pytest.raises(ValueError, match=f"{shape[1]} x {shape[2]} are too small for the 2 poolings"):
        getattr(nets, factory)(shape)


@pytest.mark.parametrize(
    "setting,value", [("crop", -1), ("sigma", 0), ("flip", "yes"), ("milestones", 3), ("milestones", (0,))]
)
def test_bad_settings_name_the_value(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value if setting != 'milestones' else ''}"):
        FCDD(**{setting: value}).fit(image_rows(8, 32))
