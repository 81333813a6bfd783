"""Deep SVDD, soft and hard, and Deep SAD against computations by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from adlib import Autoencoder, DeepSAD, DeepSVDD, SoftDeepSVDD, load, nets, save
from adlib.metrics import has_collapsed
from adlib.svdd import best_radius2, soft_boundary_loss, squared_distance, svdd_center

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves none of epochs")  # of short trainings


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


class HalfDead(torch.nn.Module):
    """A ReLU layer without biases, 8 units; the first 4 give 0 for every row that is positive."""

    def __init__(self, shape):
        super().__init__()
        self.first = torch.nn.Linear(shape[0], 8, bias=False)
        with torch.no_grad():
            self.first.weight[:4] = -self.first.weight[:4].abs()

    def forward(self, x):
        return torch.relu(self.first(x))


@pytest.mark.parametrize("method", [DeepSVDD, SoftDeepSVDD, DeepSAD])
def test_units_dead_at_the_start_are_kept_off_zero_and_do_not_collapse_it(method):
    x = np.random.default_rng(0).uniform(0.5, 1.5, size=(100, 6))
    d = method(net=HalfDead, epochs=60, batch_size=25, lr=1e-2).fit(x)
    assert (d.model_.center[:4] == torch.tensor(0.1)).all() and (d.model_.center.abs() >= 0.1).all()
    assert not has_collapsed(d.anomaly_score(x))


def test_a_centre_at_zero_is_collapsed_into():
    """What the margin keeps from happening: the zero weight is the best one."""
    x = np.random.default_rng(0).normal(size=(100, 4))
    d = DeepSVDD(epochs=60, batch_size=25, lr=1e-2)
    d._set_center = lambda x: d.model_.center.zero_()
    zero, pushed = d.fit(x), DeepSVDD(epochs=60, batch_size=25, lr=1e-2).fit(x)
    assert zero.history_[-1] < 1e-3 * pushed.history_[-1]


# ---- pre-training


@pytest.mark.parametrize("shape", [(4,), (1, 12, 12), (3, 12, 9)])
def test_the_centre_is_that_of_the_pre_trained_encoder(shape):
    x, seen = np.random.default_rng(0).uniform(size=(30, *shape)), []
    d = DeepSVDD(pretrain_epochs=4, epochs=1, batch_size=16)
    start = d._set_center
    d._set_center = lambda x: seen.append({k: v.clone() for k, v in d.model_.net.state_dict().items()}) or start(x)
    d.fit(x)
    assert len(d.pretrain_history_) == 4 and d.pretrain_history_[-1] < d.pretrain_history_[0]
    with torch.no_grad():
        d.model_.net.load_state_dict(seen[0])
        features = d.model_.net.eval()(torch.tensor(x).float())
    torch.testing.assert_close(d.model_.center, svdd_center(features), rtol=1e-3, atol=1e-5)


def test_the_encoder_is_that_of_an_autoencoder_with_the_same_settings():
    x, settings = np.random.default_rng(0).normal(size=(30, 2)), {"batch_size": 16, "weight_decay": 1e-6}
    encoder = linear((2,))
    trained = Autoencoder(net=lambda shape: nets.Mirrored(encoder, shape, 2), epochs=4, **settings).fit(x)
    d = DeepSVDD(net=linear, pretrain_epochs=4, epochs=1, lr=1e-3, **settings)
    d._set_center = lambda x: seen.append(d.model_.net.weight.clone())
    seen = []
    d.fit(x)
    torch.testing.assert_close(seen[0], trained.model_.encoder.weight)
    assert d.pretrain_history_ == trained.history_


def test_score_after_pre_training_with_fixed_weights():
    x = np.array([[1.0, 3.0], [3.0, 1.0], [2.0, 6.0]])
    d = DeepSVDD(net=linear, epochs=1, lr=1e-12, pretrain_epochs=1).fit(x)
    features = x @ d.model_.net.weight.detach().double().numpy().T
    center = features.mean(0)
    center = np.where(np.abs(center) < 0.1, np.where(center < 0, -0.1, 0.1), center)
    np.testing.assert_allclose(d.anomaly_score(x), ((features - center) ** 2).sum(1), rtol=1e-4)


def test_the_pre_trained_autoencoder_learns_to_draw_the_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 20))
    d = DeepSVDD(pretrain_epochs=100, epochs=1, lr=3e-3, batch_size=50).fit(x)
    assert d.pretrain_history_[-1] < 0.1 * d.pretrain_history_[0]


@pytest.mark.parametrize("method", [SoftDeepSVDD, DeepSAD])
def test_the_soft_boundary_and_deep_sad_inherit_pre_training(method, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 4))
    hard = DeepSVDD(pretrain_epochs=3, epochs=1, batch_size=16).fit(x)
    d = method(pretrain_epochs=3, epochs=1, batch_size=16).fit(x)
    assert d.pretrain_history_ == hard.pretrain_history_ and torch.equal(d.model_.center, hard.model_.center)
    plain = method(epochs=1, batch_size=16).fit(x)
    assert not hasattr(plain, "pretrain_history_") and not torch.equal(plain.model_.center, d.model_.center)
    save(d, tmp_path / "d")
    again = load(tmp_path / "d")
    assert again.pretrain_history_ == d.pretrain_history_
    np.testing.assert_array_equal(again.anomaly_score(x), d.anomaly_score(x))
    np.testing.assert_array_equal(d.fit(x).anomaly_score(x), again.anomaly_score(x))


def test_bad_pretrain_epochs():
    with pytest.raises(ValueError, match="pretrain_epochs.*-1"):
        DeepSVDD(pretrain_epochs=-1).fit(np.random.default_rng(0).normal(size=(10, 2)))


# ---- the soft boundary


def test_soft_boundary_loss():
    square = torch.tensor([1.0, 4.0, 9.0, 2.0])
    assert soft_boundary_loss(square, torch.tensor(3.0), 0.5).item() == 3 + 2 * (1 + 6) / 4
    assert soft_boundary_loss(square, torch.tensor(0.0), 1.0).item() == square.mean().item()


@pytest.mark.parametrize("n, nu", [(7, 0.3), (10, 0.2), (100, 0.29), (100, 0.07), (5, 0.01), (9, 1.0), (6, 0.999)])
def test_best_radius_is_the_smallest_minimiser(n, nu):
    square = torch.rand(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    best = best_radius2(square, nu)
    grid = torch.cat([square, torch.linspace(0, 1.1, 2001, dtype=torch.float64)])
    cost = torch.stack([soft_boundary_loss(square, r, nu) for r in grid])
    assert soft_boundary_loss(square, best, nu) <= cost.min() + 1e-12
    smaller = square[square < best - 1e-12]
    worse = torch.stack([soft_boundary_loss(square, r, nu) for r in smaller]) if len(smaller) else torch.ones(1)
    assert (worse > cost.min() + 1e-9).all() and (square > best).double().mean() <= nu


def test_best_radius_among_equal_distances():
    assert best_radius2(torch.tensor([2.0, 2.0, 2.0, 5.0]), 0.25) == 2 == best_radius2(torch.full((4,), 2.0), 0.5)


def test_score_and_history_of_the_soft_boundary_with_fixed_weights():
    x = np.random.default_rng(0).normal(size=(40, 2)) + 2
    d = SoftDeepSVDD(net=linear, epochs=2, warmup_epochs=1, lr=1e-12, nu=0.2).fit(x)
    features = x.sum(1) * 0.5
    square = 2 * (features - features.mean()) ** 2
    radius2 = np.sort(square)[31]  # 8 of 40 lie farther out
    outside = np.maximum(square - radius2, 0).mean() / 0.2
    np.testing.assert_allclose(d.anomaly_score(x), square - radius2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(d.history_, [square.mean() / 0.2, radius2 + outside], rtol=1e-5)


@pytest.mark.parametrize("shape", [(4,), (1, 12, 12)])
def test_warming_up_all_the_time_with_nu_1_is_one_class_deep_svdd(shape):
    x = np.random.default_rng(0).normal(size=(50, *shape))
    hard = DeepSVDD(epochs=3, batch_size=16).fit(x)
    with pytest.warns(UserWarning, match="warmup_epochs=10 leaves none of epochs=3 for the soft boundary"):
        soft = SoftDeepSVDD(nu=1, epochs=3, batch_size=16).fit(x)
    assert soft.history_ == hard.history_ and torch.equal(soft.model_.center, hard.model_.center)
    np.testing.assert_allclose(soft.anomaly_score(x) + soft.model_.radius2.item(), hard.anomaly_score(x), rtol=1e-5)


@pytest.mark.parametrize("nu", [0.05, 0.3])
def test_a_share_of_nu_lies_outside_and_only_that_is_pulled_in(nu):
    x = np.random.default_rng(0).normal(size=(200, 6))
    d = SoftDeepSVDD(nu=nu, warmup_epochs=5, epochs=30, batch_size=32).fit(x)
    assert (d.anomaly_score(x) > 0).sum() == round(200 * nu)
    assert d.model_.radius2 > 0 and d.history_[-1] < d.history_[5]  # the first one with a radius
    for rows, pulled in ((x[d.anomaly_score(x) < -1e-4], False), (x[d.anomaly_score(x) > 1e-4], True)):
        loss = d._loss((torch.tensor(rows, dtype=torch.float32), d.model_.radius2))
        gradients = torch.autograd.grad(loss, list(d.model_.parameters()))
        assert pulled == any(gradient.any() for gradient in gradients)


def test_the_radius_is_saved_and_follows_the_epoch(tmp_path):
    x, seen = np.random.default_rng(0).normal(size=(50, 4)), []
    d = SoftDeepSVDD(epochs=4, warmup_epochs=2, batch_size=16)
    d.fit(x, on_epoch=lambda epoch, loss: seen.append(d.model_.radius2.item()))
    for epochs, radius2 in enumerate(seen, start=1):
        shorter = SoftDeepSVDD(epochs=epochs, warmup_epochs=2, batch_size=16).fit(x)
        assert shorter.model_.radius2.item() == radius2
    save(d, tmp_path / "d")
    assert load(tmp_path / "d").model_.radius2.item() == seen[-1]


@pytest.mark.parametrize("setting, value", [("nu", 0), ("nu", 1.5), ("warmup_epochs", -1)])
def test_bad_settings_of_the_soft_boundary(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        SoftDeepSVDD(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))


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
