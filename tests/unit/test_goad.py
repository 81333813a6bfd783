"""GOAD's formulas against computations by hand, its centres, what it learns."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from adlib import GOAD, nets
from adlib.goad import log_probability, squared_distances, transform, triplet_center_loss


def rows(n, seed, anomalous=False):
    """Rows on a plane in 5 dimensions; anomalies stand off it."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, 5))
    x[:, :2] = rng.normal(size=(n, 2))
    return x + rng.normal(0, 0.6 if anomalous else 0.05, (n, 5))


def make(**settings):
    return GOAD(**({"transformations": 8, "d_out": 6, "epochs": 3, "batch_size": 16} | settings))


# ---- formulas


def test_transform():
    x, maps = torch.randn(4, 3), torch.randn(5, 3, 2)
    expected = torch.stack([torch.stack([w.T @ row for w in maps]) for row in x])
    torch.testing.assert_close(transform(x, maps), expected)


@pytest.mark.parametrize("amp", [False, True])
def test_squared_distances(amp):
    features, centers = torch.randn(4, 3, 6), torch.randn(3, 6) + 20
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        square = squared_distances(features, centers)
    expected = (features[:, :, None] - centers).square().sum(3)
    torch.testing.assert_close(square, expected, rtol=1e-4, atol=1e-4)
    assert (squared_distances(centers[None], centers) >= 0).all()


def test_triplet_center_loss():
    square = torch.tensor([[[1.0, 4.0, 3.0], [0.5, 0.2, 9.0], [5.0, 6.0, 4.5]]])  # (1, 3, 3)
    assert triplet_center_loss(square, 1.0).item() == pytest.approx((0 + 0.7 + 0.5) / 3)
    assert triplet_center_loss(square, 0.0).item() == 0


@pytest.mark.parametrize("eps", [0, 1e-6, 0.1])
def test_log_probability_is_equation_4(eps):
    square = torch.rand(5, 4, 4, dtype=torch.float64) * 9
    top, m = (-square).exp(), torch.arange(4)
    expected = ((top[:, m, m] + eps) / (top.sum(2) + 4 * eps)).log()
    torch.testing.assert_close(log_probability(square, eps), expected)


def test_far_from_all_centres_nothing_is_known():
    square = 1e6 + torch.tensor([[[0.0, 100.0], [200.0, 300.0]]])
    assert log_probability(square, 1e-6).tolist() == [[pytest.approx(-math.log(2))] * 2]
    assert log_probability(square, 0).tolist() == [[0.0, -100.0]]


# ---- the detector


def features_of(d, x):
    with torch.no_grad():
        return torch.stack([d.model_.net(torch.tensor(x, dtype=torch.float32) @ w) for w in d.model_.maps], 1)


def test_centres_are_means_over_all_rows_and_scores_are_equation_5():
    x, new = rows(150, 0), rows(20, 1)
    d = make(net=nets.mlp_128, eps=1e-6).fit(x)  # with biases: zeros that fill up a chunk have features too
    centers = features_of(d, x).mean(0)
    torch.testing.assert_close(d.model_.centers, centers)
    square = (features_of(d, new)[:, :, None] - centers).square().sum(3)
    p = ((-square).exp() + 1e-6) / ((-square).exp().sum(2, keepdim=True) + 8e-6)  # (n, M, M)
    expected = -p.diagonal(dim1=1, dim2=2).log().sum(1)
    np.testing.assert_allclose(d.anomaly_score(new), expected, rtol=1e-4)


def test_a_fitted_detector_always_gives_the_same_scores():
    x = rows(150, 0)
    d = make().fit(x)
    first, centers = d.anomaly_score(x), d.model_.centers.clone()
    np.testing.assert_array_equal(d.anomaly_score(x), first)
    d._training_scores(torch.tensor(x))
    assert torch.equal(d.model_.centers, centers)


def test_loss_by_hand():
    x = rows(30, 0)
    d = make(epochs=1, batch_size=30, lr=1e-12, triplet_weight=0.7, margin=2.0).fit(x)
    features = features_of(d, x)
    square = (features[:, :, None] - features.mean(0)).square().sum(3)
    with torch.no_grad():
        logits = d.model_.head(features).flatten(0, 1)
    entropy = torch.nn.functional.cross_entropy(logits, torch.arange(8).repeat(30))
    expected = 0.7 * triplet_center_loss(square, 2.0) + entropy
    assert d.history_ == [pytest.approx(expected.item(), rel=1e-5)]


def test_the_maps_are_drawn_once_and_saved_with_the_centres():
    short, long = (make(epochs=epochs).fit(rows(40, 0)) for epochs in (1, 5))
    assert torch.equal(short.model_.maps, long.model_.maps) and short.model_.maps.shape == (8, 5, 6)
    assert {"maps", "centers"} <= set(short._state())
    assert not torch.equal(short.model_.maps, make(random_state=1).fit(rows(40, 0)).model_.maps)


def test_training_separates_the_maps():
    d = make(epochs=30, lr=1e-2).fit(rows(150, 0))
    assert d.history_[-1] < 0.8 * d.history_[0]
    new = np.concatenate([rows(100, 1), rows(100, 2, anomalous=True)])
    untrained = make(epochs=1, lr=1e-12).fit(rows(150, 0))
    trained, before = (roc_auc_score(np.repeat([0, 1], 100), g.anomaly_score(new)) for g in (d, untrained))
    assert trained > 0.85 and trained > before + 0.05


def test_eps_makes_far_rows_alike():
    x, far = rows(150, 0), 1e4 * rows(3, 1)
    d = make(epochs=30, lr=1e-2).fit(x)
    np.testing.assert_allclose(d.set_params(eps=1e-6).anomaly_score(far), 8 * math.log(8), rtol=1e-6)
    assert len(set(d.set_params(eps=0.0).anomaly_score(far).round(4))) == 3


def test_linear_features_of_centred_rows_know_nothing():
    """What the docstring of `net` warns of: the mean of a linear map of rows with mean 0 is 0."""
    x = rows(150, 0)
    d = make(net=nets.mlp_8).fit(x - x.mean(0))
    assert d.model_.centers.abs().max() < 1e-5
    np.testing.assert_allclose(d.anomaly_score(x[:5] - x.mean(0)), 8 * math.log(8), rtol=1e-3)


def test_images_are_flattened():
    x = np.random.default_rng(0).integers(0, 256, (30, 1, 4, 4)).astype(np.uint8)
    on_rows = make().fit(x.reshape(30, 16) / 255).anomaly_score(x.reshape(30, 16) / 255)
    np.testing.assert_allclose(make().fit(x).anomaly_score(x), on_rows, rtol=1e-5)


@pytest.mark.parametrize(
    "setting,value", [("transformations", 1), ("d_out", 0), ("margin", -1), ("triplet_weight", -0.1), ("eps", -1e-6)]
)
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        make(**{setting: value}).fit(rows(10, 0))
