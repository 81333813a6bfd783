"""Novelty normalization: Eq. 1 to 7 against computations by hand, its gradients, and what testing may not depend on."""

import numpy as np
import pytest
import torch
from torch import nn

from adlib import NoveltyNormalization, load, save
from adlib.metrics import auroc
from adlib.ns import expected_l0, hard_concrete, l0_count, minmax_normalize

VARIANTS = [
    {"use_ns": False, "normalize": "none"},
    {"use_ns": False},
    {},
    {"normalize": "through", "error": "norm"},
    {"l0": "hard-concrete"},
]


def images(n, seed, c=1, anomalous=False):
    """16 x 16 images, uint8: a bright bar, upright or (anomalous) lying, at a random place."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 30, (n, c, 16, 16), dtype=np.uint8)
    for image, at in zip(x, rng.integers(1, 13, n), strict=True):
        (image.swapaxes(1, 2) if anomalous else image)[:, :, at : at + 2] += 200
    return x


def quick(**settings):
    return NoveltyNormalization(**{"epochs": 4, "batch_size": 16} | settings)


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def fitted(request):
    """One fitted detector a variant; tests must not change them."""
    return quick(**request.param).fit(images(64, 0))


def gradient(s, detach):
    """Of the mean of the normalized scores."""
    s = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    minmax_normalize(s, detach).mean().backward()
    return s.grad.numpy()


# ---- Eq. 6


@pytest.mark.parametrize("detach", [True, False])
def test_normalized_scores_run_from_zero_to_one(detach):
    assert minmax_normalize(torch.tensor([3.0, 1.0, 2.0]), detach).tolist() == [1, 0, 0.5]


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("s", [[2.0], [2.0, 2.0, 2.0]])
def test_a_constant_batch_and_a_batch_of_one_give_zeros_and_a_finite_gradient(s, detach):
    assert minmax_normalize(torch.tensor(s), detach).tolist() == [0] * len(s)
    assert np.isfinite(gradient(s, detach)).all()


def test_detached_the_gradient_is_the_plain_one_over_the_range():
    np.testing.assert_allclose(gradient([0.1, 0.2, 0.6, 0.3], detach=True), np.full(4, 0.25 / 0.5))


def test_through_minimum_and_maximum_the_gradient_sums_to_zero_and_raises_both():
    s = np.random.default_rng(0).random(64)
    g = gradient(s, detach=False)
    assert abs(g.sum()) < 1e-12
    assert g[s.argmin()] < 0 and g[s.argmax()] < 0  # descent makes the best and the worst score larger
    assert np.delete(g, [s.argmin(), s.argmax()]).min() > 0


# ---- Eq. 3


def test_l0_counts_what_is_not_zero_and_has_no_gradient():
    w = torch.tensor([0.0, 1e-12, -1e-3, 2.0], requires_grad=True)
    count = l0_count([w, w[:2]])
    assert count.item() == 2 and not count.requires_grad


def test_hard_concrete_gates_are_exactly_zero_or_one_for_a_share_of_the_draws():
    log_alpha = torch.zeros(100_000, requires_grad=True)
    u = torch.rand(len(log_alpha), generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)
    gates = hard_concrete(log_alpha, u)
    assert gates.min() == 0 and gates.max() == 1
    expected = expected_l0([log_alpha])
    assert (gates > 0).float().mean().item() == pytest.approx(expected.item() / len(gates), abs=0.005)
    expected.backward()
    assert (log_alpha.grad > 0).all()


def test_hard_concrete_without_noise():
    gates = hard_concrete(torch.tensor([-10.0, 0.0, 1.0, 10.0]), None)
    np.testing.assert_allclose(gates, [0, 0.5, 1.2 / (1 + np.exp(-1)) - 0.1, 1], atol=1e-6)


# ---- Eq. 1, 2, 4, 5, 7


class Mean(nn.Module):
    """Code: two copies of the mean of each channel; decoded to even images."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.weight = shape, nn.Parameter(torch.ones(()))

    def encode(self, x):
        return self.weight * x.mean((2, 3)).repeat(1, 2)

    def decode(self, code):
        return code[:, : self.shape[0], None, None].expand(-1, *self.shape)


@pytest.mark.parametrize("error", ["mse", "norm"])
def test_score_and_loss_by_hand(error):
    x = images(30, 0)
    settings = {"net": Mean, "epochs": 1, "lr": 1e-12, "batch_size": 30, "lam1": 0.25, "lam2": 0.01, "error": error}
    d = NoveltyNormalization(**settings).fit(x)
    pixels = x[:, 0] / 255.0
    square = (pixels - pixels.mean((1, 2), keepdims=True)) ** 2
    by_hand = square.mean((1, 2)) if error == "mse" else np.sqrt(square.sum((1, 2)))
    code = torch.from_numpy(pixels.mean((1, 2))).float()[:, None].repeat(1, 2)
    novelty = d.model_.scorer(code).sigmoid().squeeze(1).detach().numpy()
    for ours, theirs in zip(d.parts(x), (by_hand, novelty), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    s = 0.75 * by_hand + 0.25 * novelty
    np.testing.assert_allclose(d.anomaly_score(x), (s - s.min()) / np.ptp(s), rtol=1e-4, atol=1e-5)
    count = sum(layer.weight.numel() for layer in d.model_.scorer.layers)
    np.testing.assert_allclose(d.history_, [((s - s.min()) / np.ptp(s)).mean() - 0.01 * count], rtol=1e-4)


@pytest.mark.parametrize("normalize", ["none", "detached", "through"])
def test_the_gradient_of_the_loss_is_that_of_the_reading(normalize):
    d = quick(net=Mean, normalize=normalize, epochs=1, lr=1e-12, lam2=0.0).fit(images(30, 0))
    batch = torch.from_numpy(images(16, 1)).float() / 255
    bias = d.model_.scorer.layers[-1].bias
    (ours,) = torch.autograd.grad(d._loss((batch, [])), bias)
    novelty = d.model_.scorer(batch.mean((2, 3)).repeat(1, 2)).sigmoid().squeeze(1)
    s = 0.5 * d._parts(batch)[0].detach() + 0.5 * novelty
    low, high = (s.min(), s.max()) if normalize == "through" else (s.min().detach(), s.max().detach())
    by_hand = s.mean() if normalize == "none" else ((s - low) / (high - low)).mean()
    (expected,) = torch.autograd.grad(by_hand, bias)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-7)


def test_with_all_weights_zero_the_novelty_score_is_one_half():
    d = quick(epochs=1).fit(images(20, 0))
    for parameter in d.model_.scorer.parameters():
        nn.init.zeros_(parameter)
    assert set(d.parts(images(9, 1))[1]) == {0.5}


@pytest.mark.parametrize("c, layers", [(1, [(16, 32), (1, 16)]), (3, [(32, 64), (16, 32), (1, 16)])])
def test_the_module_has_two_layers_for_grey_images_and_three_for_colour(c, layers):
    d = quick(epochs=1).fit(images(20, 0, c))
    assert [tuple(layer.weight.shape) for layer in d.model_.scorer.layers] == layers


def test_gates_are_noisy_in_training_only():
    d = quick(epochs=1, l0="hard-concrete").fit(images(20, 0))
    batch = torch.from_numpy(images(9, 1))
    drawn = [d._draw(batch, torch.arange(9), torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    one, two = (d._parts(*some)[1] for some in drawn)
    assert not torch.equal(one, two)
    np.testing.assert_array_equal(d.parts(batch)[1], d.parts(batch)[1])


def test_without_the_module_the_score_is_the_error_and_novelty_zero():
    d = quick(use_ns=False, normalize="none").fit(images(30, 0))
    error, novelty = d.parts(images(9, 1))
    np.testing.assert_array_equal(error, d.anomaly_score(images(9, 1)))
    assert not novelty.any() and not hasattr(d.model_, "scorer")


def test_the_l0_count_changes_no_weight_and_hard_concrete_does():
    x = images(40, 0)
    plain, counted = (quick(lam2=lam2).fit(x) for lam2 in (0.0, 0.5))
    np.testing.assert_array_equal(plain.anomaly_score(x), counted.anomaly_score(x))
    assert plain.history_ != counted.history_
    gated = [quick(lam2=lam2, l0="hard-concrete").fit(x) for lam2 in (0.0, 0.5)]
    assert not np.array_equal(*(d.anomaly_score(x) for d in gated))
    open_gates = [expected_l0(d.model_.log_alpha).item() for d in gated]
    assert open_gates[1] > open_gates[0]  # Eq. 4 rewards entries that are not 0


def test_the_learning_rate_falls_to_a_tenth_every_thirty_epochs():
    d = NoveltyNormalization(lr=0.1)
    np.testing.assert_allclose([d._lr(epoch) for epoch in (0, 29, 30, 59, 60)], [0.1, 0.1, 0.01, 0.01, 0.001])


def test_training_follows_the_learning_rate_of_the_epoch():
    class Stops(NoveltyNormalization):
        def _lr(self, epoch):
            return 1e-3 if epoch == 0 else 1e-12

    x = images(40, 0)
    one, three = (Stops(net=Mean, epochs=epochs, batch_size=8).fit(x) for epochs in (1, 3))
    np.testing.assert_allclose(three.parts(x), one.parts(x), rtol=1e-4, atol=1e-6)
    assert not np.allclose(one.parts(x)[1], quick(net=Mean, epochs=3, batch_size=8).fit(x).parts(x)[1], rtol=1e-3)


# ---- testing


def test_the_map_of_testing_is_affine_and_rises(fitted):
    x = np.concatenate([images(30, 1), images(30, 2, anomalous=True)])
    error, novelty = fitted.parts(x)
    before = 0.5 * error + 0.5 * novelty if fitted.use_ns else error
    after = fitted.anomaly_score(x)
    slope, intercept = np.polyfit(before, after, 1)
    assert slope > 0
    np.testing.assert_allclose(after, slope * before + intercept, rtol=1e-3, atol=1e-4)
    y = np.repeat([0, 1], 30)
    assert auroc(y, after) == pytest.approx(auroc(y, before), abs=1e-9)


def test_the_extremes_are_means_over_all_training_batches(monkeypatch):
    seen, x = [], images(60, 0)
    d = quick()
    note = d._note_extremes
    monkeypatch.setattr(d, "_note_extremes", lambda s: (seen.append((s.min().item(), s.max().item())), note(s)))
    d.fit(x)
    assert len(seen) == d.model_.batches == 4 * 4
    np.testing.assert_allclose([d.model_.low, d.model_.high], np.mean(seen, 0), rtol=1e-5)


def test_saving_keeps_extremes_and_gates(fitted, tmp_path):
    save(fitted, tmp_path / "d")
    x = images(9, 1)
    np.testing.assert_array_equal(load(tmp_path / "d").anomaly_score(x), fitted.anomaly_score(x))


def test_equal_images_can_be_learned():
    x = np.full((20, 1, 16, 16), 90, np.uint8)
    assert np.isfinite(quick().fit(x).anomaly_score(images(5, 0))).all()


@pytest.mark.parametrize("settings", [{"lam1": 1.5}, {"lam2": -1}, {"normalize": "batch"}, {"l0": 1}, {"error": "l1"}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        quick(**settings).fit(images(9, 0))
