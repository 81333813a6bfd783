"""OC-NN: its quantile, its objective, how its training ends, and the variant that works."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.svm import OneClassSVM

from adlib import OCNN, Autoencoder, load, nets, save
from adlib.data import ocnn_synthetic
from adlib.metrics import auroc
from adlib.ocnn import OneHidden, RandomCosine, nu_quantile, ocnn_objective


def cloud(n, d, seed=0, shift=3.0):
    """n points (n, d) off the origin, so that a linear one-class SVM has something to do."""
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


# ---- the quantile


def test_the_quantile_minimises_the_objective_and_leaves_the_share_nu_below():
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        n, nu = int(rng.integers(1, 30)), rng.choice([rng.uniform(0.001, 0.999), rng.integers(1, 20) / 20])
        scores = torch.from_numpy(rng.choice([rng.normal(size=n), rng.integers(-3, 4, n).astype(float)]))
        r = nu_quantile(scores, float(nu))
        candidates = ocnn_objective(scores, scores, nu)  # the objective is piecewise linear with kinks at the scores
        assert ocnn_objective(r, scores, nu) <= candidates.min() + 1e-12
        assert (scores < r).double().mean() <= nu + 1e-9 and (scores <= r).double().mean() >= nu - 1e-9


def test_the_example_of_the_paper():
    y, nu = torch.arange(1.0, 10, dtype=torch.float64), 0.33
    f = ocnn_objective(y, y, nu)
    sums = [0, 1, 3, 6, 10, 15, 21, 28, 36]
    np.testing.assert_allclose(f, [total / (9 * nu) - r for r, total in enumerate(sums, 1)])
    assert nu_quantile(y, nu) == 3 == 1 + f.argmin()
    interpolated = torch.tensor(np.percentile(y, 33))
    assert ocnn_objective(interpolated, y, nu) > f.min() + 0.006  # 3.64: no minimiser
    third = ocnn_objective(torch.tensor([3.0, 3.4, 4.0]).double(), y, 1 / 3)
    np.testing.assert_allclose(third, -2)


def test_rounding_does_not_move_the_quantile():
    assert nu_quantile(torch.arange(1.0, 101), 0.07) == 7  # 100 * 0.07 is 7.000000000000001


@pytest.mark.parametrize("nu", [0, 1, -0.1, 2, float("nan")])
def test_a_share_that_is_none(nu):
    with pytest.raises(ValueError, match=f"nu={nu!r} must be between 0 and 1"):
        nu_quantile(torch.ones(3), nu)


def test_equal_scores_have_themselves_as_quantile():
    assert nu_quantile(torch.full((5,), 2.0), 0.3) == 2


# ---- what the objective does


class IdentityLayer(OCNN):
    """V is the identity and stays; what is left is the one-class SVM."""

    def _build(self, shape, device):
        model = super()._build(shape, device)
        with torch.no_grad():
            model.head.v.weight.copy_(torch.eye(shape[0]))
        model.head.v.weight.requires_grad_(False)
        return model

    def _lr(self, epoch):
        return self.lr * 0.997**epoch


def test_with_the_identity_as_layer_it_is_the_linear_one_class_svm():
    x = cloud(200, 5)
    d = IdentityLayer(nu=0.1, hidden=5, epochs=2500, lr=3e-2, tol=0)
    with warnings.catch_warnings(action="ignore"):  # with V fixed, an objective below 0 is no sign of running off
        d.fit(x)
    theirs = OneClassSVM(kernel="linear", nu=0.1, tol=1e-9).fit(x).coef_[0]
    w = d.model_.head.w.weight.detach().numpy()[0]
    assert w @ theirs / np.linalg.norm(w) / np.linalg.norm(theirs) > 0.999


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_the_objective_is_homogeneous_of_degree_two(activation):
    torch.manual_seed(0)
    x, c = torch.randn(50, 4), 7.0

    def objective(head):
        scores = head(x)
        return (head.penalty() + ocnn_objective(nu_quantile(scores, 0.2), scores, 0.2)).item()

    head = OneHidden(4, 3, activation)
    before = objective(head)
    with torch.no_grad():
        head.v.weight.mul_(c), head.w.weight.mul_(c)
    assert objective(head) == pytest.approx(c**2 * before, rel=1e-4)


def fit_loudly(**settings):
    """The detector, and what it warned of."""
    x = settings.pop("x")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        d = OCNN(**settings).fit(x)
    return d, " ".join(str(w.message) for w in said)


def test_the_objective_collapses_or_runs_off_and_both_are_said():
    near, words = fit_loudly(x=cloud(100, 5, shift=0.0), epochs=2000, lr=1e-2)
    assert near.outcome_ == "collapsed" and "All scores have become equal" in words
    assert len(near.objectives_) < 2000 and near.model_.head.v.weight.abs().max() < 0.1
    far, words = fit_loudly(x=cloud(100, 5, shift=9.0), epochs=100, lr=1e-2)
    assert far.outcome_ == "runs off" and "no minimum" in words and far.objectives_[-1] < far.objectives_[50] < 0


def test_a_decay_of_the_weights_counts_before_a_training_is_said_to_run_off():
    x = cloud(100, 5, shift=9.0)
    d, _ = fit_loudly(x=x, epochs=100, lr=1e-2, weight_decay=1e-5)
    assert d.outcome_ == "runs off" and d.objectives_[-1] < 0
    d.weight_decay = 1e9
    assert d._outcome(d.normality(torch.from_numpy(x).float()).detach()) != "runs off"


def test_bounded_layers_have_a_minimum():
    for activation in ("sigmoid", "cosine"):
        d, words = fit_loudly(x=cloud(100, 5), activation=activation, epochs=3000, lr=1e-2)
        assert d.outcome_ == "converged" and not words


def test_r_follows_the_quantile_through_the_training():
    x, shares = cloud(60, 3), []
    d = OCNN(nu=0.15, activation="sigmoid", epochs=5, lr=1e-2, batch_size=16)
    d.fit(x, on_epoch=lambda epoch, loss: shares.append(np.mean(d.anomaly_score(x) > 1e-6)))
    assert all(abs(share - 0.15) <= 1 / 60 for share in shares)


# ---- the variant that works


def test_random_cosines_approximate_the_gaussian_kernel():
    torch.manual_seed(0)
    head, x = RandomCosine(3, 20_000), torch.randn(6, 3)
    head.bandwidth.fill_(1.5)
    g = (2 / 20_000) ** 0.5 * torch.cos(x @ head.v.T / 1.5 + head.b)
    torch.testing.assert_close(g @ g.T, torch.exp(-(torch.cdist(x, x) ** 2) / (2 * 1.5**2)), atol=0.05, rtol=0)
    torch.testing.assert_close(head(x), g @ head.w.weight[0])


@pytest.mark.parametrize("seed", range(3))
def test_cosines_find_the_anomalies_that_were_held_out(seed):
    normal, anomalies = ocnn_synthetic(190, 10, seed)
    fresh, _ = ocnn_synthetic(500, 1, seed + 1000)
    d = OCNN(nu=0.05, activation="cosine", hidden=512, epochs=300, lr=1e-2, random_state=seed).fit(normal)
    assert (d.anomaly_score(anomalies) > 0).all() and np.mean(d.anomaly_score(fresh) > 0) < 0.25
    assert auroc(np.repeat([0, 1], [500, 10]), d.anomaly_score(np.concatenate([fresh, anomalies]))) > 0.99


# ---- encoders, and bad input


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 16, 16)).astype(np.uint8)


def test_an_encoder_is_copied_and_trained_on_or_kept():
    trained = Autoencoder(net=nets.lenet_autoencoder, epochs=1).fit(images(20)).model_.encoder
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    for activation, moves in (("sigmoid", True), ("cosine", False)):
        d = OCNN(encoder=trained, activation=activation, epochs=2, nu=0.2).fit(images(20))
        own = dict(d.model_.encoder.named_parameters())
        assert moves == any((own[name] != before[name]).any() for name in own)
    assert all((value == before[name]).all() for name, value in trained.state_dict().items())


def test_a_detector_with_an_encoder_is_saved_and_asks_for_its_factory(tmp_path):
    trained = Autoencoder(net=nets.lenet_autoencoder, epochs=1).fit(images(20)).model_.encoder
    d = OCNN(encoder=trained, activation="sigmoid", epochs=2, nu=0.2).fit(images(20))
    save(d, tmp_path / "d")
    with pytest.raises(ValueError, match="needs its factory"):
        load(tmp_path / "d")
    again = load(tmp_path / "d", net=nets.lenet)
    np.testing.assert_array_equal(again.anomaly_score(images(5, 1)), d.anomaly_score(images(5, 1)))
    assert again.outcome_ == d.outcome_


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"nu": 0.0}, "'nu' parameter"), ({"nu": 1.0}, "'nu' parameter"),
        ({"nu": 0.01}, "nu=0.01 of 20 rows is less than one row: raise nu to 1 / 20"),
        ({"nu": 1 / 21}, "is less than one row"), ({"activation": "tanh"}, "'activation' parameter"),
        ({"encoder": torch.nn.Flatten(), "net": nets.mlp}, "both given"),
    ],
)  # fmt: skip
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words) as said:
        OCNN(**settings).fit(cloud(20, 3))
    assert "\n" not in str(said.value)


def test_one_row_in_forty_nine_is_one_row():
    OCNN(nu=1 / 49, epochs=1, activation="sigmoid").fit(cloud(49, 3))  # (1 / 49) * 49 is below 1


def test_rows_without_spread():
    with pytest.raises(ValueError, match="All rows of X are equal"):
        OCNN().fit(np.ones((20, 3)))
    with pytest.raises(ValueError, match="minimum of 2"):
        OCNN().fit(np.ones((1, 3)))
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3, 4))
    torch.nn.init.zeros_(flat[1].weight)
    with pytest.raises(ValueError, match="The encoder gives all rows of X the same features"):
        OCNN(encoder=flat, activation="cosine").fit(cloud(20, 3))
