"""ADGAN: its losses by hand, who learns from which, its search, and a training that draws the rows."""

import math

import numpy as np
import pytest
import torch

from adlib import ADGAN, nets
from adlib.gan import Discriminator, discriminator_loss, generator_loss, latent_search


def test_losses_by_hand():
    real, fake = torch.tensor([0.0, math.log(3.0)]), torch.tensor([0.0, -math.log(3.0)])
    # D(real) = 1/2, 3/4;  1 - D(fake) = 1/2, 3/4;  D(fake) = 1/2, 1/4
    assert discriminator_loss(real, fake).item() == pytest.approx(math.log(2) + math.log(4 / 3))
    assert generator_loss(fake).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_each_half_of_the_loss_teaches_its_own_network():
    d = ADGAN(epochs=1, net=nets.dcgan_autoencoder_narrow).fit(np.random.default_rng(0).uniform(size=(8, 1, 8, 8)))
    batch = d._draw(torch.rand(8, 1, 8, 8), torch.arange(8), torch.Generator().manual_seed(0))
    d.model_.train()
    memory = {name: buffer.clone() for name, buffer in d.model_.discriminator.net.encoder.named_buffers()}
    d.model_.zero_grad()
    d._loss(batch).backward()
    together = {name: weight.grad.clone() for name, weight in d.model_.named_parameters()}
    d.model_.zero_grad()
    fake, discriminator = d.model_.discriminator.net.decode(batch[1]), d.model_.discriminator
    discriminator_loss(discriminator(batch[0]), discriminator(fake.detach())).backward()
    for name, weight in d.model_.named_parameters():
        if ".decoder." in name:
            assert weight.grad is None and together[name].any()  # the generator learns from its own loss alone
        else:
            torch.testing.assert_close(weight.grad, together[name])
    assert any(not torch.equal(memory[name], now) for name, now in discriminator.net.encoder.named_buffers())


def test_frozen_gives_the_same_and_leaves_no_trace():
    disc = Discriminator(nets.dcgan_autoencoder_narrow((1, 8, 8)), 64)
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = {name: buffer.clone() for name, buffer in disc.named_buffers()}
    frozen = disc.frozen(x)
    frozen.sum().backward()
    assert x.grad.any() and all(weight.grad is None for weight in disc.parameters())
    assert all(torch.equal(before[name], buffer) for name, buffer in disc.named_buffers())
    torch.testing.assert_close(frozen, disc(x))


def test_search_is_torchs_adam():
    target, start = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.zeros(2, 2)
    ours = latent_search(lambda z: (z - target).square().sum(1), start, 7, 0.3)
    z = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.3, betas=(0.5, 0.999))
    for _ in range(7):
        optimizer.zero_grad()
        (z - target).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(ours, z.detach())
    assert not ours.requires_grad and not start.any()


def test_a_code_is_searched_alone():
    target, start = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    whole = latent_search(lambda z: (z - target).square().sum(1), start, 9, 0.1)
    alone = latent_search(lambda z: (z - target[2:3]).square().sum(1), start[2:3], 9, 0.1)
    torch.testing.assert_close(whole[2:3], alone)


class Doubling(torch.nn.Module):
    """A generator that draws (2 z, 2 z)."""

    def __init__(self, shape):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def encode(self, x):
        return x[:, :1] * self.weight

    def decode(self, z):
        return 2 * z.expand(-1, 2)


def test_score_without_a_step_is_the_mean_error_of_the_starts():
    x = np.array([[1.0, 3.0], [0.0, 0.0], [-2.0, 1.0]])
    d = ADGAN(net=Doubling, starts=5, search_steps=0, epochs=1).fit(x)
    drawn = 2 * d.model_.starts.numpy()  # (5, 1)
    expected = ((x[:, None] - drawn[None]) ** 2).mean((1, 2))
    np.testing.assert_allclose(d.anomaly_score(x), expected, rtol=1e-5)


def test_a_long_search_finds_what_can_be_drawn_and_keeps_the_rest_as_error():
    x = np.array([[1.0, 1.0], [2.0, 0.0], [-3.0, -3.0]])
    d = ADGAN(net=Doubling, starts=3, search_steps=300, search_lr=0.05, epochs=1).fit(x)
    np.testing.assert_allclose(d.anomaly_score(x), [0, 1, 0], atol=1e-3)  # (2, 0) is 1 a number away from (1, 1)


def test_trained_it_draws_rows_like_those_it_saw():
    rng = np.random.default_rng(0)
    x = np.array([3.0, -3.0]) + rng.normal(size=(200, 2)) * [0.5, 0.2]

    def drawn(epochs):
        d = ADGAN(epochs=epochs, batch_size=50, net=lambda shape: nets.MLPAutoencoder(2, 32, 2), lr=2e-3).fit(x)
        z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            return d.model_.discriminator.net.decode(z).numpy()

    before, after = drawn(1), drawn(150)
    assert np.abs(before.mean(0) - [3, -3]).max() > 2
    assert np.abs(after.mean(0) - [3, -3]).max() < 0.75
    assert (after.std(0) > 0.03).all() and (after.std(0) < 1.5).all()  # neither one point nor all over the place


def test_both_networks_move():
    x = np.random.default_rng(0).normal(size=(40, 3))
    short, long = (ADGAN(epochs=epochs, batch_size=20).fit(x).model_.discriminator for epochs in (1, 3))
    for name, weight in long.named_parameters():
        assert not torch.equal(weight, short.get_parameter(name)), name


@pytest.mark.parametrize("setting,value", [("starts", 0), ("search_steps", -1), ("search_lr", 0)])
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        ADGAN(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))
