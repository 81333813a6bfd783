"""DROCC: its projections against a general solver, the search for negatives, and the detectors."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from adlib import DROCC, DROCCLF, DROCCOE, nets
from adlib.data import noisy_sine, sine_wave
from adlib.drocc import ascend, influence, project_to_mahalanobis_shell, project_to_shell
from adlib.metrics import auroc


def size(delta, sigma):
    return (sigma * delta**2).sum(-1) ** 0.5


def nearest_by_slsqp(delta, sigma, radius, gamma, starts):
    """Distance from delta to the nearest feasible point that SciPy finds from any of the starts; inf if none."""
    inside = [
        {"type": "ineq", "fun": lambda x: (sigma * x**2).sum() - radius**2},
        {"type": "ineq", "fun": lambda x: (gamma * radius) ** 2 - (sigma * x**2).sum()},
    ]
    best = np.inf
    for start in starts:
        found = minimize(
            lambda x: ((x - delta) ** 2).sum(), start, jac=lambda x: 2 * (x - delta), constraints=inside,
            method="SLSQP", options={"maxiter": 300, "ftol": 1e-12},
        )  # fmt: skip
        if radius - 1e-6 <= size(found.x, sigma) <= gamma * radius + 1e-6:
            best = min(best, found.fun**0.5)
    return best


@pytest.mark.parametrize("weighted", [False, True])
def test_projections_end_in_the_shell_and_no_farther_than_a_general_solver(weighted):
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(200):
        d = rng.integers(2, 21)
        delta = rng.normal(size=d) * rng.choice([0.1, 1, 5])
        sigma = rng.exponential(size=d) * rng.choice([0.1, 1, 10]) if weighted else np.ones(d)
        radius, gamma = rng.choice([0.3, 1.0, 3.0]), rng.choice([1.0, 1.5, 2.0])
        given = torch.from_numpy(delta)[None], torch.from_numpy(sigma)[None]
        if weighted:
            ours = project_to_mahalanobis_shell(*given, radius, gamma)[0].numpy()
        else:
            ours = project_to_shell(given[0], radius, gamma)[0].numpy()
        assert radius * (1 - 1e-6) <= size(ours, sigma) <= gamma * radius * (1 + 1e-6)
        if radius <= size(delta, sigma) <= gamma * radius:
            np.testing.assert_allclose(ours, delta, rtol=1e-12)
        theirs = nearest_by_slsqp(delta, sigma, radius, gamma, [ours + rng.normal(0, 0.01, d), delta])
        compared += np.isfinite(theirs)
        assert np.linalg.norm(ours - delta) <= theirs + 1e-4
    assert compared > 150


def test_with_equal_weights_the_two_projections_agree():
    delta = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    plain = project_to_shell(delta, 2.0, 1.5)
    torch.testing.assert_close(project_to_mahalanobis_shell(delta, torch.ones(50, 7), 2.0, 1.5), plain)
    scaled = project_to_mahalanobis_shell(delta, torch.full((50, 7), 4.0), 4.0, 1.5)  # |x|_4 = 2 |x|
    torch.testing.assert_close(scaled, plain)


def test_what_cannot_be_reached_is_put_on_the_largest_weight():
    delta = torch.tensor([[0.0, 0.3, 0.0], [0.0, 0.0, 0.0]])
    sigma = torch.tensor([[4.0, 1.0, 1.0], [1.0, 4.0, 4.0]])
    first, second = project_to_mahalanobis_shell(delta, sigma, 1.0, 2.0)
    # tau = -1/4: the second coordinate grows to 0.3 / (1 - 1/4), and the first takes what is missing to |x| = 1
    torch.testing.assert_close(first, torch.tensor([((1 - 0.4**2) / 4) ** 0.5, 0.4, 0.0]))
    torch.testing.assert_close(second, torch.tensor([0.0, 0.5, 0.0]))


def test_a_coordinate_without_weight_stays():
    delta, sigma = torch.tensor([[5.0, 9.0], [0.1, 9.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    moved = project_to_mahalanobis_shell(delta, sigma, 1.0, 2.0)
    torch.testing.assert_close(moved, torch.tensor([[2.0, 9.0], [1.0, 9.0]]))


def test_a_row_of_zeros_goes_to_the_inner_sphere():
    assert project_to_shell(torch.zeros(1, 3), 2.0, 2.0).tolist() == [[2, 0, 0]]


BAD = [(0.0, 2.0, "radius=0.0"), (-1.0, 2.0, "radius=-1"), (1.0, 0.9, "gamma=0.9")]


@pytest.mark.parametrize("radius, gamma, words", BAD)
def test_bad_shells(radius, gamma, words):
    for call in (
        lambda: project_to_shell(torch.ones(1, 2), radius, gamma),
        lambda: project_to_mahalanobis_shell(torch.ones(1, 2), torch.ones(1, 2), radius, gamma),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("sigma", [[0.0, 0.0], [-1.0, 1.0], [float("nan"), 1.0]])
def test_bad_weights(sigma):
    with pytest.raises(ValueError, match="sigma must be finite"):
        project_to_mahalanobis_shell(torch.ones(1, 2), torch.tensor([sigma]), 1.0, 2.0)


# ---- the search for negatives


def bowl(x):
    """A logit that rises towards the point (3, 0, 0, ...)."""
    return -(x - torch.eye(x.shape[1])[0] * 3).square().sum(1)


def noise(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_ascent_raises_the_logit_and_ends_in_the_shell():
    x, start = torch.zeros(50, 4), noise(50, 4)
    random = ascend(bowl, x, start, 0, 0.1, 1.0, 2.0)
    found = ascend(bowl, x, start, 60, 0.1, 1.0, 2.0)
    assert torch.equal(random, project_to_shell(start, 1.0, 2.0))
    for delta in (random, found):
        assert ((delta.norm(dim=1) > 1 - 1e-5) & (delta.norm(dim=1) < 2 + 1e-5)).all() and not delta.requires_grad
    assert (bowl(found) > bowl(random)).all()
    torch.testing.assert_close(found, torch.tensor([2.0, 0, 0, 0]).expand(50, 4), atol=0.1, rtol=0)


def test_one_step_by_hand():
    x, start = torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])
    # the gradient of the bowl at (0, 1) is (6, -2)
    stepped = start + 0.5 * torch.tensor([[6.0, -2.0]]) / 40**0.5
    torch.testing.assert_close(ascend(bowl, x, start, 1, 0.5, 1.5, 2.0, project_every=2), stepped)
    torch.testing.assert_close(ascend(bowl, x, start, 1, 0.5, 1.5, 2.0), stepped / stepped.norm() * 1.5)


def test_the_direction_is_that_of_the_papers_loss():
    start = noise(20, 3)
    loss = (start + 0).requires_grad_()
    torch.nn.functional.softplus(bowl(loss)).sum().backward()  # cross-entropy of the label "anomalous"
    moved = ascend(bowl, torch.zeros(20, 3), start, 1, 0.1, 1e-6, 1e9) - start
    torch.testing.assert_close(moved, 0.1 * torch.nn.functional.normalize(loss.grad, dim=1))


def test_where_the_gradient_vanishes_nothing_is_nan_and_the_point_is_only_projected():
    flat = lambda x: 0 * x.sum(1)  # noqa: E731
    start = noise(5, 3)
    torch.testing.assert_close(ascend(flat, torch.zeros(5, 3), start, 4, 0.1, 1.0, 2.0), project_to_shell(start, 1, 2))
    assert torch.equal(influence(flat, start), torch.ones(5, 3))


def test_influence_is_the_size_of_the_gradient_with_a_mean_of_one():
    weight = torch.tensor([1.0, -3.0, 0.0, 4.0])
    torch.testing.assert_close(influence(lambda x: x @ weight, noise(3, 4)), (weight.abs() / 2).expand(3, 4))


def test_images_are_searched_as_rows():
    x, start = torch.zeros(3, 2, 2, 2), noise(3, 8).view(3, 2, 2, 2)
    flat = ascend(bowl, x.flatten(1), start.flatten(1), 5, 0.1, 1.0, 2.0)
    found = ascend(lambda images: bowl(images.flatten(1)), x, start, 5, 0.1, 1.0, 2.0)
    torch.testing.assert_close(found, flat.view_as(x))


# ---- the detectors


QUICK = {"epochs": 2, "ascent_steps": 5, "ascent_step": 0.1}


def sine_aurocs(detector, displaced=0.4, seed=0, make=sine_wave):
    train, on, off = (make(1000, [seed, i], v) for i, v in ((1, 0), (2, 0), (3, displaced)))
    mean, std = train.mean(0), train.std(0)
    detector.fit((train - mean) / std)
    return auroc(np.repeat([0, 1], 1000), detector.anomaly_score((np.concatenate([on, off]) - mean) / std))


@pytest.mark.parametrize("steps", [0, 5])
def test_sine_wave(steps):
    settings = {"net": nets.mlp_128_128, "epochs": 60, "lr": 3e-3, "ascent_steps": steps, "ascent_step": 0.1}
    assert sine_aurocs(DROCC(**settings)) > 0.98


def test_batch_norm_learns_from_negatives_only_when_told():
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16)).astype(np.uint8)
    seen = {}
    for tracks in (False, True):
        d = DROCC(epochs=1, batch_size=8, ascent_steps=3, ascent_step=1.0, batchnorm_tracks_negatives=tracks)
        seen[tracks] = d.fit(images).model_[0].norms[0].num_batches_tracked.item()
        assert all(norm.track_running_stats for norm in d.model_[0].norms)
        assert all(weight.requires_grad for weight in d.model_.parameters())
    assert seen == {False: 1, True: 5}  # the rows; and three steps and the loss of the negatives


def test_warm_up_makes_no_negatives(monkeypatch):
    calls = []
    monkeypatch.setattr(DROCC, "_search", lambda self, rows, noise: calls.append(len(self.history_)) or noise)
    x = noise(20, 3).numpy()
    DROCC(epochs=4, batch_size=20, warmup_epochs=2).fit(x)
    assert calls == [2, 3]
    calls.clear()
    DROCC(epochs=2, mu=0).fit(x)
    assert calls == []


@pytest.mark.parametrize("settings, words", [
    ({"radius": 0.0}, "radius.*0.0"), ({"radius": -1}, "radius.*-1"), ({"gamma": 0.5}, "gamma.*0.5"),
    ({"ascent_steps": -1}, "ascent_steps.*-1"), ({"ascent_step": 0}, "ascent_step.*0"), ({"mu": -1}, "mu.*-1"),
    ({"ascent_steps": 3, "project_every": 4}, "ascent_steps=3 is less than project_every=4"),
    ({"epochs": 3, "warmup_epochs": 3}, "warmup_epochs=3 leaves none of epochs=3"),
])  # fmt: skip
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        DROCC(**settings).fit(noise(20, 3).numpy())


def test_an_ascent_too_short_to_matter_is_named():
    x = noise(20, 3).numpy()
    with pytest.warns(UserWarning, match="at most 0.02 of the radius.*ascent_steps=0"):
        DROCC(epochs=1, radius=1.0, ascent_steps=2, ascent_step=0.01).fit(x)
    DROCC(epochs=1, radius=1.0, ascent_steps=0).fit(x)  # warnings are errors here


@pytest.mark.parametrize("method", [DROCCOE, DROCCLF])
def test_outliers_that_do_not_fit(method):
    x = noise(20, 3).numpy()
    with pytest.raises(ValueError, match="outliers: X has 2 features"):
        method(**QUICK).fit(x, outliers=x[:, :2])
    images = np.zeros((4, 1, 16, 16), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
    with pytest.raises(ValueError, match="both must be uint8"):
        method(**QUICK | {"ascent_step": 1.0}).fit(images, outliers=images / 255)
    assert np.isfinite(method(**QUICK).fit(x, outliers=x[:1] + 9).anomaly_score(x)).all()  # one outlier will do


def with_batch_norm(shape):
    return torch.nn.Sequential(torch.nn.BatchNorm1d(shape[0]), torch.nn.Linear(shape[0], 4))


def test_without_outliers_drocc_oe_is_drocc():
    x = noise(40, 3).numpy()
    np.testing.assert_array_equal(*(m(**QUICK).fit(x).anomaly_score(x) for m in (DROCC, DROCCOE)))
    assert (DROCCLF(**QUICK).fit(x).anomaly_score(x) != DROCC(**QUICK).fit(x).anomaly_score(x)).any()


def test_outliers_are_told_from_the_rows_among_which_they_lie():
    x, among = noise(300, 2).numpy(), noise(300, 2, 1).numpy() * 0.2 + [0.8, 0]
    settings = {"epochs": 30, "ascent_steps": 0, "lr": 1e-2}
    detectors = {
        "plain": DROCC(**settings).fit(x),
        "taught": DROCCOE(**settings).fit(x, outliers=among),
        "binary": DROCCOE(**settings | {"mu": 0}).fit(x, outliers=among),
    }
    y = np.repeat([0, 1], 300)
    found = {name: auroc(y, d.anomaly_score(np.concatenate([x, among]))) for name, d in detectors.items()}
    assert found["plain"] < 0.6 and found["taught"] > 0.8 and found["binary"] > 0.8


def test_drocc_oe_shows_batch_norm_rows_and_outliers_in_one_batch():
    rows, outliers = noise(32, 2).numpy(), noise(32, 2, 1).numpy() + 9
    d = DROCCOE(epochs=1, batch_size=32, ascent_steps=0, net=with_batch_norm).fit(rows, outliers=outliers)
    norm = d.model_[0][0]  # the first layer, so it sees what the network is given
    assert norm.num_batches_tracked == 1
    mean = 0.1 * np.concatenate([rows, outliers]).mean(0)
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=0.05)


def test_in_one_batch_batch_norm_sees_the_negatives_too():
    rows = noise(32, 2).numpy()
    seen = {}
    for one_batch in (False, True):
        settings = QUICK | {"epochs": 1, "batch_size": 32, "radius": 9.0, "gamma": 1.0, "one_batch": one_batch}
        norm = DROCC(**settings, net=with_batch_norm).fit(rows).model_[0][0]
        assert norm.num_batches_tracked == 1
        seen[one_batch] = norm.running_var.mean().item()
    assert seen[False] < 1.1 and seen[True] > 1.5  # negatives lie 9 away


def test_drocc_lf_searches_in_a_shell_of_its_own_distance():
    x = noise(60, 3).numpy() * [1, 1, 0.1]
    d = DROCCLF(**QUICK | {"project_every": 1, "gamma": 1.5}).fit(x)
    rows = torch.from_numpy(x).float()
    sigma, delta, radius = influence(d.logit, rows), d._search(rows, noise(60, 3, 1)), 3**0.5 / 2
    length = size(delta, sigma)
    assert ((length > radius * 0.999) & (length < 1.5 * radius * 1.001)).all()
    plain = delta.norm(dim=1)
    assert ((plain < radius * 0.99) | (plain > 1.5 * radius * 1.01)).any()  # not the shell of DROCC


def test_drocc_lf_weighs_the_coordinates_of_a_noisy_sine_more():
    train, off = noisy_sine(1000, 0), noisy_sine(1000, 1, displaced=1.5)
    d = DROCCLF(epochs=20, lr=3e-3, ascent_steps=5, ascent_step=0.1).fit(train, outliers=off)
    weights = influence(d.logit, torch.from_numpy(train).float()).mean(0)
    assert weights[1] > 2 * weights[2:].max() and weights[0] > weights[2:].max()


def test_batch_norm_in_a_network_for_rows_and_frozen_layers_stay_as_they_are():
    def net(shape):
        layers = torch.nn.Sequential(torch.nn.Linear(shape[0], 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 4))
        layers[0].requires_grad_(False)
        return layers

    x = noise(40, 3).numpy()
    few, more = (DROCC(**QUICK | {"epochs": n}, net=net).fit(x).model_[0] for n in (1, 4))
    assert torch.equal(few[0].weight, more[0].weight) and not torch.equal(few[2].weight, more[2].weight)


@pytest.mark.parametrize("method", [DROCCOE, DROCCLF])
def test_outliers_beyond_float32(method):
    x = noise(20, 3).numpy()
    with pytest.raises(ValueError, match="outliers has values beyond the range"):
        method(**QUICK | {"project_every": 1}).fit(x, outliers=np.full((4, 3), 1e39))
