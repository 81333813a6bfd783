"""The autoencoder against computations by hand, its codes in front of a one-class SVM, its maps; images and rows."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from adlib import OCSVM, Autoencoder, load, nets, save
from adlib.autoencoder import check_autoencoder, squared_error, to_network


def images(n, seed, c=1, anomalous=False):
    """16 x 16 images, uint8: a bright bar, upright or (anomalous) lying, at a random place."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 30, (n, c, 16, 16), dtype=np.uint8)
    for image, at in zip(x, rng.integers(1, 13, n), strict=True):
        (image.swapaxes(1, 2) if anomalous else image)[:, :, at : at + 2] += 200
    return x


@pytest.fixture(scope="module")
def fitted():
    """A fitted autoencoder of colour images; tests must not change it."""
    return Autoencoder(epochs=12, batch_size=16).fit(images(80, 0, c=3))


class Mean(nn.Module):
    """Code: the mean of each channel, times a weight of 1; decoded to even images."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.weight = shape, nn.Parameter(torch.ones(()))

    def encode(self, x):
        return self.weight * x.mean((2, 3))

    def decode(self, code):
        return code[:, :, None, None].expand(-1, *self.shape)


def by_hand(x):
    """Codes (n, c) and errors (n, c, h, w) of `Mean` for uint8 images, pixels in [-1, 1]."""
    pixels = x / 127.5 - 1
    codes = pixels.mean((2, 3))
    return codes, (pixels - codes[:, :, None, None]) ** 2


# ---- what it computes


def test_squared_error_averages_over_the_channels():
    x = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # (1, 2, 1, 2)
    drawn = torch.tensor([[[[1.0, 0.0]], [[5.0, 4.0]]]])
    assert squared_error(x, drawn).tolist() == [[[2.0, 2.0]]]
    assert squared_error(x[0, :, 0], drawn[0, :, 0]).tolist() == [2.0, 2.0]  # rows: (2, 2) -> (2,)


def test_the_network_sees_minus_one_to_one():
    x = torch.tensor([0, 0.5, 1, 3]).view(1, 1, 2, 2)
    assert to_network(x, nn.Identity()).flatten().tolist() == [-1, 0, 1, 5]


class UnitMean(Mean):
    pixels = (0, 1)


def test_a_network_sees_the_range_that_it_says_it_draws():
    x = images(20, 0, c=2)
    wide, unit = (Autoencoder(net=net, epochs=1, lr=1e-12).fit(x) for net in (Mean, UnitMean))
    np.testing.assert_allclose(4 * unit.anomaly_score(x), wide.anomaly_score(x), rtol=1e-5)
    np.testing.assert_allclose(4 * unit.heatmap(x), wide.heatmap(x), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(2 * unit.transform(x) - 1, wide.transform(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("c", [1, 3])
def test_the_dcae_learns(c):
    """In [-1, 1] its sigmoid could not draw the dark half: an error of 0.8 would remain."""
    x = images(80, 0, c=c)
    d = Autoencoder(net=nets.dcae, epochs=40, batch_size=16, lr=1e-2).fit(x)
    assert d.history_[-1] < d.history_[0] / 4 and d.history_[-1] < 0.03
    new = np.concatenate([images(40, 3, c=c), images(40, 4, c=c, anomalous=True)])
    assert roc_auc_score(np.repeat([0, 1], 40), d.anomaly_score(new)) > 0.95


def test_score_code_map_and_loss_by_hand():
    x = images(20, 0, c=2)
    d = Autoencoder(net=Mean, epochs=1, lr=1e-12).fit(x)
    codes, error = by_hand(x)
    np.testing.assert_allclose(d.transform(x), codes, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(d.heatmap(x), error.mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(d.anomaly_score(x), error.mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(d.history_, [error.mean()], rtol=1e-5)


def test_types_shapes_and_the_mean_of_the_map(fitted):
    x = images(7, 1, c=3)
    codes, maps = fitted.transform(x), fitted.heatmap(x)
    assert codes.shape == (7, 256) and codes.dtype == np.float64 and np.abs(codes).max() <= 1
    assert maps.shape == (7, 16, 16) and maps.dtype == np.float32 and maps.min() >= 0
    np.testing.assert_allclose(maps.mean((1, 2)), fitted.anomaly_score(x), rtol=1e-5)


@pytest.mark.parametrize("method", ["transform", "heatmap"])
def test_codes_and_maps_do_not_depend_on_the_neighbours(fitted, method):
    x = images(fitted.chunk + 12, 2, c=3)
    compute = getattr(fitted, method)
    whole, order = compute(x), np.random.default_rng(0).permutation(len(x))
    np.testing.assert_array_equal(compute(x[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([compute(part) for part in np.split(x, [1, 8, 90])]), whole)


@pytest.mark.parametrize("method", ["transform", "heatmap"])
def test_codes_and_maps_check_their_input(fitted, method):
    with pytest.raises(NotFittedError):
        getattr(Autoencoder(), method)(images(2, 0))
    with pytest.raises(ValueError, match="fitted on rows of shape"):
        getattr(fitted, method)(images(2, 0))
    with pytest.raises(ValueError, match="NaN"):
        getattr(fitted, method)(np.full((2, 3, 16, 16), np.nan))


# ---- what it learns


def test_training_lowers_the_error_and_shows_where_the_anomaly_is(fitted):
    assert fitted.history_[-1] < fitted.history_[0] / 4
    x = np.concatenate([images(40, 3, c=3), images(40, 4, c=3, anomalous=True)])
    assert roc_auc_score(np.repeat([0, 1], 40), fitted.anomaly_score(x)) > 0.95
    stained = images(20, 5, c=3)
    stained[:, :, 4:8, 4:8] = 120
    maps = fitted.heatmap(stained)
    assert maps[:, 4:8, 4:8].mean() > 2 * maps.mean()


def test_standardised_images_are_learned():
    x = images(80, 0).astype(float)
    x = (x - x.mean()) / x.std()
    seen = 2 * x - 1
    in_range = np.square(np.maximum(np.abs(seen) - 1, 0)).mean()
    d = Autoencoder(epochs=12, batch_size=16).fit(x)
    assert d.anomaly_score(x).mean() < 0.7 * in_range  # the least error of an output that ends at -1 and 1


# ---- rows


class Half(nn.Module):
    """Code: the first half of the columns; decoded to them and as many zeros, plus a weight of 0."""

    def __init__(self, shape):
        super().__init__()
        self.d, self.weight = shape[0], nn.Parameter(torch.zeros(()))

    def encode(self, x):
        return x[:, : self.d // 2] + self.weight

    def decode(self, code):
        return torch.cat([code, torch.zeros_like(code)], 1)


def test_rows_are_taken_as_they_are():
    x = np.random.default_rng(0).normal(3, 2, (20, 6))
    d = Autoencoder(net=Half, epochs=1, lr=1e-12).fit(x)
    np.testing.assert_allclose(d.transform(x), x[:, :3], rtol=1e-6)
    np.testing.assert_allclose(d.anomaly_score(x), (x[:, 3:] ** 2).sum(1) / 6, rtol=1e-5)
    np.testing.assert_allclose(d.history_, [(x[:, 3:] ** 2).mean() / 2], rtol=1e-5)


@pytest.mark.parametrize("d,code", [(1, 1), (2, 1), (9, 4)])
def test_default_net_for_rows(d, code):
    net = nets.mlp_autoencoder((d,))
    assert [tuple(layer.weight.shape) for part in (net.encoder, net.decoder) for layer in part.layers] == [
        (128, d), (code, 128), (128, code), (d, 128)
    ]  # fmt: skip
    x = np.random.default_rng(0).normal(size=(10, d))
    assert Autoencoder(epochs=1).fit(x).transform(x).shape == (10, code)


def test_rows_have_no_heatmap():
    x = np.random.default_rng(0).normal(size=(10, 4))
    with pytest.raises(ValueError, match=r"heatmap needs images; .* rows of shape \(4,\)"):
        Autoencoder(epochs=1).fit(x).heatmap(x)


def test_codes_of_rows_are_what_fit_transform_gives():
    x = np.random.default_rng(0).normal(size=(30, 4))
    d = Autoencoder(epochs=2)
    np.testing.assert_array_equal(d.fit_transform(x), d.transform(x))
    pipe = make_pipeline(Autoencoder(epochs=2), OCSVM()).fit(x)
    np.testing.assert_array_equal(pipe.score_samples(x), OCSVM().fit(d.transform(x)).score_samples(d.transform(x)))


def test_a_net_for_rows_must_give_rows_back():
    with pytest.raises(ValueError, match=r"decodes 2 rows to \(2, 4\); \(2, 5\) is needed"):
        Autoencoder(net=Half).fit(np.zeros((4, 5)))


# ---- options, on images: the battery trains on rows


def test_amp_and_compile_on_images(monkeypatch):
    x, real = images(32, 0), torch.compile
    monkeypatch.setattr(torch, "compile", lambda function: real(function, backend="aot_eager", fullgraph=True))
    plain = Autoencoder(epochs=1, batch_size=32).fit(x).anomaly_score(x)
    compiled = Autoencoder(epochs=1, batch_size=32, compile=True).fit(x).anomaly_score(x)
    np.testing.assert_allclose(compiled, plain, rtol=1e-3)
    amp = Autoencoder(epochs=12, batch_size=16, amp=True).fit(images(80, 0))
    new = np.concatenate([images(40, 3), images(40, 4, anomalous=True)])
    assert roc_auc_score(np.repeat([0, 1], 40), amp.anomaly_score(new)) > 0.9


# ---- in front of a one-class SVM


def test_pipeline_with_a_one_class_svm(fitted):
    x = images(80, 0, c=3)
    pipe = make_pipeline(Autoencoder(epochs=12, batch_size=16), OCSVM(gamma=1.0)).fit(x)
    new = np.concatenate([images(40, 3, c=3), images(40, 4, c=3, anomalous=True)])
    alone = OCSVM(gamma=1.0).fit(fitted.transform(x))
    np.testing.assert_array_equal(pipe.score_samples(new), alone.score_samples(fitted.transform(new)))
    np.testing.assert_array_equal(pipe.predict(new), alone.predict(fitted.transform(new)))
    assert roc_auc_score(np.repeat([1, 0], 40), pipe.score_samples(new)) > 0.9


def test_pipeline_get_params_clone_and_grid_search():
    x = images(30, 0)
    pipe = make_pipeline(Autoencoder(epochs=1), OCSVM())
    assert pipe.get_params()["autoencoder__epochs"] == 1 and pipe.get_params()["ocsvm__nu"] == 0.1
    twin = clone(pipe.set_params(autoencoder__net=Mean, ocsvm__nu=0.3))
    assert twin.get_params()["autoencoder__net"] is Mean and twin.get_params()["ocsvm__nu"] == 0.3
    grid = {"ocsvm__nu": [0.1, 0.5], "ocsvm__gamma": [0.5, 2.0]}
    search = GridSearchCV(twin, grid, cv=2, scoring=lambda d, x, y=None: d.score_samples(x).mean())
    assert len(search.fit(x).cv_results_["params"]) == 4 and np.isfinite(search.best_score_)


# ---- saving


def test_save_and_load_codes_and_maps(fitted, tmp_path):
    x = images(5, 1, c=3)
    save(fitted, tmp_path / "d")
    d = load(tmp_path / "d")
    for method in ("transform", "heatmap", "anomaly_score"):
        np.testing.assert_array_equal(getattr(d, method)(x), getattr(fitted, method)(x))


# ---- networks


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (30, 30), (33, 31), (8, 8), (9, 20)])
def test_sizes_of_the_default_net(size):
    net = nets.dcgan_autoencoder((2, *size))
    x = torch.rand(3, 2, *size)
    assert net.encode(x).shape == (3, 256) and net.decode(net.encode(x)).shape == x.shape
    check_autoencoder(net, (2, *size))
    assert net.training


def test_the_default_net_trains_on_odd_images():
    x = np.random.default_rng(0).integers(0, 256, (5, 3, 30, 27), dtype=np.uint8)
    assert Autoencoder(epochs=1).fit(x).heatmap(x).shape == (5, 30, 27)


def test_images_too_small():
    with pytest.raises(ValueError, match="7 x 9 are too small for the 3 halvings"):
        Autoencoder().fit(np.zeros((4, 1, 7, 9), np.uint8))


class Bare(nn.Module):
    def __init__(self, shape):
        super().__init__()


class NoDecode(Bare):
    def encode(self, x):
        return x.flatten(1)


class MapAsCode(NoDecode):
    def encode(self, x):
        return x

    def decode(self, code):
        return code


class Cropped(NoDecode):
    def decode(self, code):
        return code.view(-1, 1, 16, 16)[:, :, 1:]


@pytest.mark.parametrize(
    "net,words",
    [
        (nets.lenet, "LeNet without encode"),
        (NoDecode, r"NoDecode without decode\(\)"),
        (MapAsCode, r"encodes 2 images as \(2, 1, 16, 16\)"),
        (Cropped, r"decodes 2 images to \(2, 1, 15, 16\); \(2, 1, 16, 16\) is needed"),
    ],
)
def test_nets_that_are_no_autoencoders(net, words):
    d = Autoencoder(net=net)
    with pytest.raises(ValueError, match=words) as caught:
        d.fit(images(4, 0))
    assert "\n" not in str(caught.value)
    with pytest.raises(NotFittedError):
        d.anomaly_score(images(4, 0))
