"""The variational autoencoder: its two terms by hand, its score from fixed weights, what sigma does."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from adlib import VAE, nets
from adlib.vae import gaussian_nll, kl_to_standard_normal


def test_kl_by_hand_and_against_torch():
    mean, log_var = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)], [0.0, 0.0]])
    by_hand = [0.5 + (4 - 1 - math.log(4.0)) / 2, 0.0]
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), torch.tensor(by_hand))
    posterior = Independent(Normal(mean, (log_var / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), kl_divergence(posterior, prior))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 4)])
def test_gaussian_nll_against_torch(shape):
    x, drawn = torch.randn(2, 5, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = -Independent(Normal(drawn, 0.3), len(shape)).log_prob(x)
    torch.testing.assert_close(gaussian_nll(x, drawn, torch.tensor(0.09, dtype=torch.float64)), expected)


class Halving(torch.nn.Module):
    """Encodes (n, 2) as its mean, decodes it as that twice; has one weight that does nothing."""

    def __init__(self, shape):
        super().__init__()
        self.idle = torch.nn.Parameter(torch.zeros(()))

    def encode(self, x):
        return x.mean(1, keepdim=True) + 0 * self.idle

    def decode(self, code):
        return code.expand(-1, 2)


def test_score_from_fixed_weights():
    x = np.array([[1.0, 3.0], [2.0, 2.0], [0.0, -4.0]])
    d = VAE(net=Halving, sigma=0.5, epochs=1, lr=1e-12).fit(x)
    with torch.no_grad():
        for layer, weight, bias in ((d.model_.mean, 0.5, 0.25), (d.model_.log_var, 0.0, -1.0)):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    mean = 0.5 * x.mean(1) + 0.25
    reconstruction = ((x - mean[:, None]) ** 2).sum(1) / (2 * 0.25) + math.log(2 * math.pi * 0.25)
    kl = (mean**2 + math.exp(-1) - 1 + 1) / 2
    np.testing.assert_allclose(d.anomaly_score(x), reconstruction + kl, rtol=1e-5)


def test_the_loss_draws_a_code_from_the_posterior():
    """The mean over many draws is the expectation, which for these linear maps has a closed form."""
    d = VAE(net=Halving, sigma=0.5, epochs=1, lr=1e-12).fit(np.array([[1.0, 3.0], [2.0, 2.0]]))
    rows = torch.tensor([[1.0, 3.0]]).repeat(20_000, 1)
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean, log_var = d._posterior(rows[:1])
        expected = d._score(rows[:1]) + log_var.exp().sum() / 0.25  # 2 columns, each with the code's variance / (2 s^2)
        assert d._loss((rows, noise)).item() == pytest.approx(expected.item(), rel=2e-2)


def test_a_learned_sigma_finds_the_noise_of_the_rows():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(400, 1)), 6, 1) + 0.2 * rng.normal(size=(400, 6))
    d = VAE(epochs=150, batch_size=50, lr=3e-3).fit(x)
    assert d._variance().sqrt().item() == pytest.approx(0.2, rel=0.2)


def test_rows_far_away_have_a_finite_and_large_score():
    x = np.random.default_rng(0).normal(size=(50, 4))
    d = VAE(epochs=3).fit(x)
    far = d.anomaly_score(1e4 * x)
    assert np.isfinite(far).all() and far.min() > d.anomaly_score(x).max()


def test_images_learn_and_the_score_holds_no_chance():
    rng = np.random.default_rng(0)
    x = (255 * rng.uniform(size=(40, 1, 1, 1)) * np.ones((1, 1, 12, 12))).astype(np.uint8)
    d = VAE(epochs=20, batch_size=20).fit(x)
    assert d.history_[-1] < d.history_[0]
    np.testing.assert_array_equal(d.anomaly_score(x), d.anomaly_score(x))
    assert d.model_.net.pixels == nets.dcae((1, 12, 12)).pixels


def test_bad_sigma():
    with pytest.raises(ValueError, match="sigma.*0"):
        VAE(sigma=0).fit(np.zeros((4, 2)))
