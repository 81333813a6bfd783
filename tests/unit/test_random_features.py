"""The untrained network and its Mahalanobis distance."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from adlib import DeepSVDD, RandomFeatures, load, save
from adlib.random_features import squared_mahalanobis


def test_squared_mahalanobis_by_hand():
    whiten = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    features = torch.tensor([[1.0, 2.0], [1.0, 1.0]])
    assert squared_mahalanobis(features, torch.tensor([1.0, 1.0]), whiten).tolist() == [1.0, 0.0]


def test_the_score_is_scipys_in_the_features_of_the_network():
    x, new = np.random.default_rng(0).normal(size=(200, 6)), np.random.default_rng(1).normal(size=(20, 6))
    d = RandomFeatures(ridge=0.01).fit(x)
    with torch.no_grad():
        seen, features = (d.model_.net(torch.tensor(rows).float()).double().numpy() for rows in (x, new))
    covariance = np.cov(seen.T)
    covariance += 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv(covariance)
    expected = [mahalanobis(row, seen.mean(0), inverse) ** 2 for row in features]
    np.testing.assert_allclose(d.anomaly_score(new), expected, rtol=1e-3)


@pytest.mark.parametrize("shape", [(5,), (1, 12, 12)])
def test_the_network_is_deep_svdds_before_its_first_step(shape):
    x = np.random.default_rng(0).normal(size=(20, *shape))
    floor = RandomFeatures(random_state=3).fit(x).model_.net.state_dict()
    start = DeepSVDD(random_state=3, epochs=1, lr=1e-12).fit(x).model_.net.state_dict()
    for name, value in floor.items():
        if "running" not in name and "batches" not in name:  # batch norm has not seen a row
            torch.testing.assert_close(value, start[name])


def test_scales_and_correlations_of_the_features_do_not_matter():
    class Mixed(torch.nn.Linear):
        def __init__(self, shape):
            super().__init__(3, 3)
            self.register_buffer("mix", torch.tensor([[100.0, 3.0, 0.0], [0.0, 0.1, 0.02], [0.0, 0.0, 1.0]]))

        def forward(self, x):
            return super().forward(x) @ self.mix

    x, new = np.random.default_rng(0).normal(size=(100, 3)), np.random.default_rng(1).normal(size=(20, 3))
    plain = RandomFeatures(net=lambda shape: torch.nn.Linear(3, 3), ridge=1e-12).fit(x).anomaly_score(new)
    np.testing.assert_allclose(RandomFeatures(net=Mixed, ridge=1e-12).fit(x).anomaly_score(new), plain, rtol=2e-2)


def test_fewer_rows_than_features_and_no_training(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 8))
    d = RandomFeatures().fit(x, on_epoch=lambda *_: pytest.fail("nothing is trained"))
    scores = d.anomaly_score(np.random.default_rng(1).normal(size=(30, 8)))
    assert np.isfinite(scores).all() and len(np.unique(scores)) == 30 and not hasattr(d, "history_")
    save(d, tmp_path / "d")
    np.testing.assert_array_equal(load(tmp_path / "d").anomaly_score(x), d.anomaly_score(x))


def test_equal_rows_are_an_error():
    with pytest.raises(ValueError, match="the same features"):
        RandomFeatures().fit(np.ones((10, 3)))


def test_bad_ridge():
    with pytest.raises(ValueError, match="ridge.*0"):
        RandomFeatures(ridge=0).fit(np.random.default_rng(0).normal(size=(10, 2)))
