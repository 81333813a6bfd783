"""Deep SVDD and Deep SAD against computations by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from adlib import DeepSAD, DeepSVDD
from adlib.svdd import squared_distance, svdd_center


def test_squared_distance():
    features, center = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([1.0, -1.0])
    assert squared_distance(features, center).tolist() == [9.0, 2.0]


def test_center_is_the_mean_pushed_away_from_zero():
    features = torch.tensor([[2.0, 0.04, -0.02, 0.0], [4.0, 0.0, -0.02, 0.0]])
    torch.testing.assert_close(svdd_center(features), torch.tensor([3.0, 0.1, -0.1, 0.1]))  # the dead unit too


def linear(shape):
    net = torch.nn.Linear(shape[0], 2, bias=False)
    torch.nn.init.constant_(net.weight, 0.5)
    return net


def test_score_with_fixed_weights_and_center():
    x = np.array([[1.0, 3.0], [3.0, 1.0], [2.0, 6.0]])
    d = DeepSVDD(net=linear, epochs=1, lr=1e-12).fit(x)
    features = x.sum(1) * 0.5  # both features alike
    center = features.mean()
    np.testing.assert_allclose(d.anomaly_score(x), 2 * (features - center) ** 2, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(d.history_, [np.mean(2 * (features - center) ** 2)], rtol=1e-5)


def test_center_stays_where_the_untrained_network_put_it():
    x = np.random.default_rng(0).normal(size=(50, 4))
    short, long = (DeepSVDD(epochs=epochs).fit(x) for epochs in (1, 20))
    assert torch.equal(short.model_.center, long.model_.center)
    assert long.history_[-1] < long.history_[0] / 2


# ---- Deep SAD


@pytest.mark.parametrize("shape", [(4,), (1, 12, 12)])
def test_deep_sad_without_outliers_is_deep_svdd(shape):
    x = np.random.default_rng(0).normal(size=(50, *shape))
    sad, svdd = (method(epochs=3, batch_size=16).fit(x) for method in (DeepSAD, DeepSVDD))
    np.testing.assert_array_equal(sad.anomaly_score(x), svdd.anomaly_score(x))
    assert sad.history_ == svdd.history_ and sad.offset_ == svdd.offset_


@pytest.mark.parametrize("m", [1, 4])
def test_loss_of_deep_sad(m):
    x = np.array([[1.0, 3.0], [3.0, 1.0], [2.0, 6.0]])
    outliers = np.tile([[5.0, 3.0]], (m, 1))  # all alike: whichever are drawn
    d = DeepSAD(net=linear, epochs=1, lr=1e-12, eta=3.0).fit(x, outliers=outliers)
    center = x.sum(1).mean() * 0.5
    near, far = 2 * (x.sum(1) * 0.5 - center) ** 2, 2 * (8 * 0.5 - center) ** 2
    np.testing.assert_allclose(d.history_, [(near.sum() + 3 * m / (far + 1e-6)) / (3 + m)], rtol=1e-5)


def test_an_outlier_on_the_centre_is_no_division_by_zero():
    x = np.array([[1.0, 3.0], [3.0, 1.0], [2.0, 6.0]])
    d = DeepSAD(net=linear, epochs=1, lr=1e-12).fit(x, outliers=np.full((1, 2), x.sum(1).mean() / 2))
    assert 1e5 < d.history_[0] < 1e6


def test_each_step_draws_as_many_outliers_as_rows():
    rng, seen = np.random.default_rng(0), []
    d = DeepSAD(epochs=1, batch_size=8)
    loss = d._loss
    d._loss = lambda batch: seen.append([len(part) for part in batch[:2]]) or loss(batch)
    d.fit(rng.normal(size=(20, 3)), outliers=rng.normal(size=(2, 3)))
    assert seen == [[8, 8], [8, 8], [4, 4]]


def test_known_outliers_help():
    """Anomalies inside the cloud of normal rows but for one coordinate, which a few examples show."""
    rng = np.random.default_rng(0)
    shift = np.array([1.5, 0, 0, 0, 0, 0])
    x, outliers = rng.normal(size=(200, 6)), rng.normal(size=(10, 6)) + shift
    new = np.concatenate([rng.normal(size=(200, 6)), rng.normal(size=(200, 6)) + shift])
    y = np.repeat([0, 1], 200)
    with_, without = (
        roc_auc_score(y, DeepSAD(epochs=40, batch_size=32).fit(x, outliers=given).anomaly_score(new))
        for given in (outliers, None)
    )
    assert with_ > without + 0.05


def test_bad_eta():
    with pytest.raises(ValueError, match="eta.*0"):
        DeepSAD(eta=0).fit(np.random.default_rng(0).normal(size=(10, 2)))
