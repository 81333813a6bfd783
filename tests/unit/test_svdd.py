"""Deep SVDD against computations by hand."""

import numpy as np
import torch

from adlib import DeepSVDD
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
