"""The robust autoencoder: its shrinkage against brute force, its turns by hand, its two ends, what it keeps out."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from test_autoencoder import Half
from torch import nn

from adlib import RCAE, Autoencoder, load, nets, save
from adlib.rcae import root_mean_square, shrink

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves none of epochs")  # of short trainings


def images(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 12, 12), dtype=np.uint8)


def rows(n, seed):
    return np.random.default_rng(seed).normal(3, 2, (n, 6))


# ---- the shrinkage


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.3])
def test_shrink_finds_the_minimum_on_a_grid(threshold):
    side = torch.linspace(-2, 2, 201, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)  # (40401, 2)
    e = torch.tensor([[0.3, -0.2], [1.2, 0.5], [-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    cost = (e[:, None] - grid).square().sum(2) / 2 + threshold * grid.norm(dim=1)
    torch.testing.assert_close(shrink(e, threshold), grid[cost.argmin(1)], rtol=0, atol=0.02)


def test_shrink_is_better_than_whatever_lies_around():
    generator = torch.Generator().manual_seed(0)
    e = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    s = shrink(e, 1.5)

    def cost(s):
        return (e - s).square().sum(-1) / 2 + 1.5 * s.norm(dim=-1)

    steps = torch.randn(2000, 5, 7, generator=generator, dtype=torch.float64)
    for size in (1e-4, 1e-2, 1.0):
        assert (cost(s) < cost(s + size * steps)).all()


def test_shrink_takes_whole_images_and_keeps_the_direction():
    e = torch.randn(4, 3, 5, 6)
    s, norm = shrink(e, 2.0), e.flatten(1).norm(dim=1)
    torch.testing.assert_close(s.flatten(1).norm(dim=1), norm - 2)
    torch.testing.assert_close(s.flatten(1) / (norm - 2)[:, None], e.flatten(1) / norm[:, None])


def test_shrink_at_its_ends():
    e = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert torch.equal(shrink(e, 0.0), e) and not shrink(e, 5.0).any() and not shrink(e, 1e30).any()
    with pytest.raises(ValueError, match="threshold=-1"):
        shrink(e, -1)


# ---- the turns


def test_what_is_removed_and_what_is_trained_on_by_hand():
    x = np.random.default_rng(0).normal(3, 2, (301, 6))
    d = RCAE(net=Half, epochs=2, update_every=1, lr=1e-12, lam=2.2, weight_decay=0).fit(x)
    spread = np.median(np.sqrt(((x - x.mean(0)) ** 2).mean(1)))
    size = np.sqrt((x[:, 3:] ** 2).mean(1) / 2)  # of the error, a root mean square
    removed = np.maximum(size - 1.1 * spread, 0)
    assert 0.2 < (removed > 0).mean() < 0.95
    np.testing.assert_allclose(d.removed_, removed, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(d.history_, [(size**2).mean(), ((size - removed) ** 2).mean()], rtol=1e-5)
    np.testing.assert_allclose(d.anomaly_score(x), size**2, rtol=1e-5)  # of the whole row


class HalfSize(nn.Module):
    """Draws each row at half its size."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.full((), 0.5))

    def encode(self, x):
        return self.weight * x

    def decode(self, code):
        return code


@pytest.mark.parametrize("epochs", [1, 2])
def test_what_is_left_is_what_the_network_draws(epochs):
    """With less than X to draw, it draws less, and more of X is removed the next time."""
    x = rows(31, 0)
    d = RCAE(net=HalfSize, epochs=epochs, update_every=1, lr=1e-12, lam=2.0).fit(x)
    threshold = np.median(np.sqrt(((x - x.mean(0)) ** 2).mean(1)))
    s = np.zeros_like(x)
    for _ in range(epochs + 1):  # after each epoch, and for `removed_`
        error = x - 0.5 * (x - s)
        size = np.sqrt((error**2).mean(1, keepdims=True))
        s = error * np.maximum(1 - threshold / size, 0)
    np.testing.assert_allclose(d.removed_, np.sqrt((s**2).mean(1)), rtol=1e-4, atol=1e-6)


def test_s_is_set_every_few_epochs(monkeypatch):
    seen, d = [], RCAE(epochs=7, update_every=3)
    monkeypatch.setattr(d, "_outlying", lambda x: seen.append(len(d.history_)) or torch.zeros_like(x))
    d.fit(rows(20, 0))
    assert seen == [3, 6, 7]  # and once more for `removed_`


@pytest.mark.parametrize("scale", [0.01, 100])
def test_lam_does_not_depend_on_the_scale_or_the_number_of_columns(scale):
    x = rows(50, 0)
    one, other, wide = (
        RCAE(net=Half, epochs=1, lr=1e-12, lam=2.0).fit(given).removed_
        for given in (x, scale * x, np.concatenate([x[:, :3], x[:, :3], x[:, 3:], x[:, 3:]], 1))
    )
    np.testing.assert_allclose(other, scale * one, rtol=1e-3, atol=1e-5 * scale)
    np.testing.assert_allclose(wide, one, rtol=1e-3, atol=1e-5)


# ---- its two ends


@pytest.mark.parametrize(
    "x, net", [(rows(60, 0), nets.mlp_autoencoder), (images(60, 0), nets.dcae), (images(20, 0), nets.dcgan_autoencoder)]
)
def test_with_a_large_lam_it_is_the_plain_autoencoder(x, net):
    same = {"net": net, "epochs": 5, "batch_size": 16, "weight_decay": 1e-5}
    robust, plain = RCAE(lam=1e9, update_every=2, **same).fit(x), Autoencoder(**same).fit(x)
    assert robust.history_ == plain.history_ and not robust.removed_.any()
    np.testing.assert_array_equal(robust.anomaly_score(x), plain.anomaly_score(x))
    assert RCAE(lam=0.3, update_every=2, **same).fit(x).history_ != plain.history_


def test_one_turn_is_the_plain_autoencoder_with_a_warning():
    with pytest.warns(UserWarning, match="update_every=3 leaves none of epochs=3 for a second turn"):
        RCAE(epochs=3, update_every=3).fit(rows(20, 0))


def test_its_default_nets_are_the_autoencoders_for_rows_and_the_dcae_for_images():
    for x, net in ((rows(20, 0), nets.mlp_autoencoder), (images(20, 0), nets.dcae)):
        named, default = (RCAE(net=given, epochs=2).fit(x) for given in (net, None))
        np.testing.assert_array_equal(named.anomaly_score(x), default.anomaly_score(x))


def test_with_lam_0_all_that_is_not_drawn_goes():
    x = rows(80, 0)
    d = RCAE(lam=0, epochs=20, update_every=10, batch_size=16).fit(x)
    assert d.history_[10] < d.history_[9] / 20 and (d.removed_ > 0).all()
    first = RCAE(lam=0, epochs=1, lr=1e-12).fit(x)  # S is the whole error as long as it was 0 before
    np.testing.assert_allclose(first.removed_**2, first.anomaly_score(x), rtol=1e-4)


def test_constant_data_have_no_spread_and_are_still_fitted():
    d = RCAE(epochs=12).fit(np.ones((10, 4)))
    assert np.isfinite(d.removed_).all() and np.isfinite(d.anomaly_score(np.zeros((2, 4)))).all()


# ---- what it keeps out


def with_planted(n, m, seed):
    """n rows near a plane in 8 dimensions and m far off it, all to one side."""
    random = np.random.default_rng(seed)
    x = np.zeros((n + m, 8))
    x[:, :2] = random.normal(size=(n + m, 2))
    x[n:, 2:4] += 2
    return x + random.normal(0, 0.05, x.shape), np.repeat([0, 1], [n, m])


def room_for_a_plane(shape):
    return nets.MLPAutoencoder(*shape, 32, 2)


def test_planted_outliers_are_found_and_the_rest_is_learned_better():
    x, planted = with_planted(300, 15, 0)
    same = {"net": room_for_a_plane, "epochs": 40, "batch_size": 32, "lr": 3e-3, "weight_decay": 0.0}
    robust, plain = RCAE(update_every=5, **same).fit(x), Autoencoder(**same).fit(x)
    np.testing.assert_array_equal(robust.removed_ > 0, planted == 1)
    new, y = with_planted(300, 300, 1)
    error, bent = (d.anomaly_score(new) for d in (robust, plain))
    assert error[y == 0].mean() < bent[y == 0].mean() / 2 and error[y == 1].mean() > 1.2 * bent[y == 1].mean()


# ---- around `removed_`


def test_removed_is_saved_and_pickled_s_is_not(tmp_path):
    x = images(30, 0)
    d = RCAE(epochs=3, update_every=1, lam=0.2).fit(x)
    assert d.removed_.shape == (30,) and d.removed_.dtype == np.float64 and d.removed_.any()
    assert "_s" not in vars(d)
    save(d, tmp_path / "d")
    np.testing.assert_array_equal(load(tmp_path / "d").removed_, d.removed_)


def test_removed_needs_a_fit():
    with pytest.raises(NotFittedError):
        _ = RCAE().removed_
    d = RCAE(epochs=12, update_every=1, lr=1e30)
    with pytest.raises(ValueError, match="lower lr"):
        d.fit(rows(20, 0))
    assert "_s" not in vars(d)


def test_removed_follows_the_epoch():
    x, seen = rows(30, 0), []
    d = RCAE(epochs=4, update_every=2, lam=0.3)
    d.fit(x, on_epoch=lambda epoch, loss: seen.append(d.removed_))
    for epochs, removed in enumerate(seen, start=1):
        np.testing.assert_array_equal(RCAE(epochs=epochs, update_every=2, lam=0.3).fit(x).removed_, removed)


def test_root_mean_square():
    assert root_mean_square(torch.tensor([[3.0, 3.0], [0.0, 2.0]])).tolist() == pytest.approx([3, 2**0.5])


@pytest.mark.parametrize("setting, value", [("lam", -1), ("update_every", 0)])
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        RCAE(**{setting: value}).fit(rows(10, 0))
