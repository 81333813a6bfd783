"""DAGMM's mixture against scipy in float64, DSEBM's energy and slope by hand."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from adlib import DAGMM, DSEBM, load, save
from adlib.energy import (
    energy,
    energy_slope,
    gaussian_mixture,
    reconstruction_features,
    sample_energy,
    whitening,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---- DAGMM


def test_whitening_is_the_root_of_the_inverse():
    a = normal(2, 3, 3)
    covariance = a @ a.mT
    w = whitening(covariance, 0.1)
    torch.testing.assert_close(w.mT @ w, torch.linalg.inv(covariance + 0.1 * torch.eye(3, dtype=torch.float64)))


def test_whitening_says_where_there_is_none():
    w = whitening(torch.stack([torch.eye(2), -torch.eye(2)]), 1e-3)
    assert w[0].isfinite().all() and w[1].isnan().all()


def test_mixture_by_hand():
    z = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0]])
    membership = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    phi, mean, covariance = gaussian_mixture(z, membership)
    torch.testing.assert_close(phi, torch.tensor([2 / 3, 1 / 3]))
    assert mean.tolist() == [[1.0, 0.0], [5.0, 1.0]]
    assert covariance.tolist() == [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]


def test_an_empty_component_does_no_harm():
    z = normal(6, 2)
    parts = gaussian_mixture(z, torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(6, 1))
    one = gaussian_mixture(z, torch.ones(6, 1, dtype=torch.float64))
    energies = [sample_energy(z, phi, mean, whitening(cov, 1e-3)) for phi, mean, cov in (parts, one)]
    torch.testing.assert_close(*energies)


def test_mixture_and_energy_against_scipy():
    z, membership = normal(40, 3), normal(40, 4, seed=1).softmax(1)
    phi, mean, covariance = gaussian_mixture(z, membership)
    x, gamma, log_p = z.numpy(), membership.numpy(), []
    for k in range(4):
        share = gamma[:, k].mean()
        center = np.average(x, axis=0, weights=gamma[:, k])
        spread = np.cov(x.T, aweights=gamma[:, k], bias=True) + 0.01 * np.eye(3)
        log_p.append(np.log(share) + multivariate_normal(center, spread).logpdf(x))
    ours = sample_energy(z, phi, mean, whitening(covariance, 0.01))
    np.testing.assert_allclose(ours.numpy(), -logsumexp(log_p, axis=0), rtol=1e-10)


def test_reconstruction_features_by_hand():
    x, drawn = torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]]), torch.tensor([[3.0, 4.0], [2.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(reconstruction_features(x, drawn)[:2], torch.tensor([[0.0, 1.0], [2**0.5, 0.0]]),
                               atol=1e-5, rtol=1e-5)  # fmt: skip
    assert reconstruction_features(x, drawn).isfinite().all()


def test_the_mixture_is_that_of_all_training_rows_and_the_loss_that_of_its_batch():
    x = np.random.default_rng(0).normal(size=(300, 5))  # more than a chunk, so that there is padding to be left out
    d = DAGMM(epochs=2, components=3, batch_size=64).fit(x)
    rows = torch.tensor(x, dtype=torch.float32)
    with torch.no_grad():
        z, membership, error = d._represent(rows)
        phi, mean, covariance = gaussian_mixture(z.double(), membership.double())
        for name, value in (("phi", phi), ("mean", mean), ("whiten", whitening(covariance, 1e-3))):
            torch.testing.assert_close(getattr(d.model_, name), value.float(), rtol=1e-3, atol=1e-4)
        energies = sample_energy(z.double(), phi, mean, whitening(covariance, 1e-3))
        np.testing.assert_allclose(d.anomaly_score(x), energies.numpy(), rtol=1e-3, atol=1e-3)
        drawn = d.model_.net.decode(d.model_.net.encode(rows))
        narrow = (1 / (covariance.diagonal(dim1=1, dim2=2) + 1e-3)).sum()
        by_hand = ((rows - drawn) ** 2).sum(1).mean() + 0.1 * energies.mean() + 0.005 * narrow
        assert d._loss(rows).item() == pytest.approx(by_hand.item(), rel=1e-3)


def test_the_mixture_is_saved(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 5))
    d = DAGMM(epochs=2, components=2).fit(x)
    save(d, tmp_path / "d")
    np.testing.assert_array_equal(load(tmp_path / "d").anomaly_score(x), d.anomaly_score(x))


def test_rows_that_the_autoencoder_draws_alike_end_in_a_number():
    d = DAGMM(epochs=5, batch_size=16).fit(np.ones((40, 3)))  # covariances of 0, but for the jitter
    assert np.isfinite(d.anomaly_score(np.random.default_rng(0).normal(size=(10, 3)))).all()


@pytest.mark.parametrize("setting,value", [("components", 0), ("jitter", 0), ("energy_weight", -1), ("hidden", 0)])
def test_bad_settings_of_dagmm(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        DAGMM(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))


# ---- DSEBM


def test_energy_and_slope_of_one_layer_by_hand():
    """With one layer h = W x + c: E = |x - b|^2 / 2 - sum softplus(h), dE/dx = x - b - W^T sigmoid(h)."""
    w, c, b, x = normal(4, 3), normal(4, seed=1), normal(3, seed=2), normal(5, 3, seed=3)
    h = x @ w.T + c
    expected = ((x - b) ** 2).sum(1) / 2 - (1 + h.exp()).log().sum(1)
    torch.testing.assert_close(energy(lambda rows: rows @ w.T + c, x, b), expected)
    slope = energy_slope(lambda rows: rows @ w.T + c, x, b)
    torch.testing.assert_close(slope, x - b - (1 / (1 + (-h).exp())) @ w)


def fitted(shape, **settings):
    return DSEBM(epochs=2, batch_size=16, **settings).fit(np.random.default_rng(0).normal(size=(40, *shape)))


@pytest.mark.parametrize("shape", [(4,), (1, 10, 9)])
def test_slope_is_the_difference_quotient_of_the_score(shape):
    d, x = fitted(shape), np.random.default_rng(1).normal(size=(6, *shape))
    net, bias = d.model_.double().net, d.model_.bias
    scale = 2 if len(shape) == 3 else 1  # images are seen in [-1, 1]
    seen = torch.tensor(x) * scale - (scale - 1)
    slope = energy_slope(net, seen, bias).detach()
    step = 1e-5 * normal(6, *shape)
    change = (energy(net, seen + step, bias) - energy(net, seen - step, bias)) / 2
    torch.testing.assert_close(change.detach(), (slope * step).flatten(1).sum(1), rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("shape", [(4,), (1, 10, 9)])
def test_the_two_scores_may_be_exchanged_after_fit(shape):
    d, x = fitted(shape), np.random.default_rng(1).normal(size=(6, *shape))
    seen = torch.tensor(x, dtype=torch.float32)
    seen = 2 * seen - 1 if len(shape) == 3 else seen
    with torch.no_grad():
        expected = energy(d.model_.net, seen, d.model_.bias)
    np.testing.assert_allclose(d.anomaly_score(x), expected.numpy(), rtol=1e-4)
    square = energy_slope(d.model_.net, seen, d.model_.bias).detach().flatten(1).square().mean(1)
    d.set_params(score_by="reconstruction")
    np.testing.assert_allclose(d.anomaly_score(x), square.numpy(), rtol=1e-3)


def test_the_loss_is_the_error_of_the_denoiser():
    d, x = fitted((4,)), normal(8, 4).float()
    noisy = x + 0.5 * normal(8, 4, seed=1).float()
    leaf = noisy.clone().requires_grad_()
    (slope,) = torch.autograd.grad(energy(d.model_.net, leaf, d.model_.bias).sum(), leaf)
    denoised = noisy - slope
    assert d._loss((x, noisy)).item() == pytest.approx((x - denoised).square().mean().item(), rel=1e-5)
    rows, drawn = d._draw(x, torch.arange(8).repeat(500), torch.Generator().manual_seed(0))
    assert (drawn - rows).std().item() == pytest.approx(0.5, rel=0.02)


def test_the_energy_of_gaussian_rows_is_their_log_density_up_to_a_constant():
    """x ~ N(m, s^2) with noise t: E falls and rises as t^2 (x - m)^2 / (2 (s^2 + t^2)), score matching's answer."""
    x = 2 + 0.5 * np.random.default_rng(0).normal(size=(2000, 1))
    d = DSEBM(epochs=120, batch_size=200, lr=3e-3).fit(x)
    grid = np.linspace(1.2, 2.8, 9)[:, None]
    expected = 0.25 * (grid[:, 0] - 2) ** 2 / (2 * (0.25 + 0.25))
    ours = d.anomaly_score(grid)
    np.testing.assert_allclose(ours - ours[4], expected, atol=0.05)  # not 0.64 at the ends


@pytest.mark.parametrize("setting,value", [("score_by", "height"), ("noise", 0)])
def test_bad_settings_of_dsebm(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        DSEBM(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))
