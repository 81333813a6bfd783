"""GEOM's formulas against independent computations."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.special import gammaln, psi
from scipy.stats import dirichlet

from adlib import GEOM, load, save
from adlib.geom import (
    apply_transforms,
    ascend_normality,
    dirichlet_mle,
    dirichlet_score,
    gamma,
    gaussian_blur,
    sharpen,
    simple_score,
    transform_table,
)
from adlib.nets import small_cnn


def transform(image, flip, row, col, turn, border="symmetric"):
    """One image (h, w), one transformation, written out: output pixel (i, j) is the input's (i + row, j + col)."""
    out = np.fliplr(image) if flip else image
    h, w = out.shape
    reach = max(abs(row), abs(col))
    padded = np.pad(out, reach, mode=border)
    out = np.array([[padded[reach + i + row, reach + j + col] for j in range(w)] for i in range(h)])
    return np.rot90(out, turn)


def test_transform_table_equals_numpy_transforms():
    rng = np.random.default_rng(0)
    image = rng.random((32, 32)).astype(np.float32)
    ours = apply_transforms(torch.from_numpy(image)[None, None], transform_table(32, 8))[0, :, 0].numpy()
    expected = [
        transform(image, flip, row, col, turn)
        for flip in (False, True)
        for row in (0, -8, 8)
        for col in (0, -8, 8)
        for turn in range(4)
    ]
    np.testing.assert_array_equal(ours, np.stack(expected))


@pytest.mark.parametrize("border", ["symmetric", "reflect", "edge", "wrap"])
def test_borders(border):
    image = np.arange(36.0).reshape(6, 6)
    table = transform_table(6, 2, flips=(False,), rows=(0, 2), cols=(-2,), turns=(0, 1), border=border)
    ours = apply_transforms(torch.from_numpy(image)[None, None], table)[0, :, 0].numpy()
    expected = [transform(image, False, row, -2, turn, border) for row in (0, 2) for turn in (0, 1)]
    np.testing.assert_array_equal(ours, np.stack(expected))


def test_table_starts_with_the_identity_and_holds_72_different_transformations():
    table = transform_table(32, 8)
    assert table.shape == (72, 1024) and table.dtype == torch.int64
    assert torch.equal(table[0], torch.arange(1024))
    assert len({tuple(row.tolist()) for row in table}) == 72


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_indexed_transforms_are_rows_of_all_transforms(dtype):
    x = (torch.rand(9, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255).to(dtype)
    table = transform_table(8, 3)
    everything = apply_transforms(x, table)  # (9, 72, 3, 8, 8)
    index = torch.tensor([0, 71, 5, 5, 17, 40, 33, 2, 60])
    assert torch.equal(apply_transforms(x, table, index), everything[torch.arange(9), index])


@pytest.mark.parametrize(
    "arguments,words",
    [
        ({"size": 8, "shift": 8}, "shift of 8"),
        ({"size": 8, "shift": 2, "border": "zeros"}, "border='zeros'"),
        ({"size": 8, "shift": 2, "turns": ()}, "empty"),
    ],
)
def test_bad_tables(arguments, words):
    with pytest.raises(ValueError, match=words):
        transform_table(**arguments)


@pytest.mark.parametrize(
    "table,words",
    [
        (torch.zeros(2, 9, dtype=torch.int64), r"\(T, 64\)"),
        (torch.zeros(2, 64), "float32"),
        (torch.full((2, 64), 64), "0 ... 63"),
        (torch.zeros(1, 64, dtype=torch.int64), "two transformations"),
    ],
)
def test_geom_refuses_a_table_that_does_not_fit(table, words):
    with pytest.raises(ValueError, match=words):
        GEOM(table=table).fit(np.zeros((4, 1, 8, 8), np.uint8))


def test_geom_refuses_oblong_images():
    with pytest.raises(ValueError, match="square images, got 8 x 6"):
        GEOM().fit(np.zeros((4, 1, 8, 6), np.uint8))


# ---- filters


@pytest.mark.parametrize("sigma", [0.28, 1.0, 2.5])
def test_gaussian_blur_is_scipys(sigma):
    x = np.random.default_rng(0).random((2, 3, 9, 7)).astype(np.float32)
    ours = gaussian_blur(torch.from_numpy(x), sigma)
    expected = gaussian_filter(x.astype(np.float64), (0, 0, sigma, sigma), mode="nearest", truncate=4)
    assert ours.dtype == torch.float32 and ours.shape == x.shape
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_sharpen_and_gamma_are_their_formulas():
    x = np.random.default_rng(1).random((2, 1, 8, 8)).astype(np.float32)
    blurred = gaussian_filter(x.astype(np.float64), (0, 0, 1, 1), mode="nearest", truncate=4)
    sharp = 2 * x - blurred
    assert sharp.min() < 0 and sharp.max() > 1  # so that the clipping is seen
    np.testing.assert_allclose(sharpen(torch.from_numpy(x)), sharp.clip(0, 1), atol=1e-6)
    np.testing.assert_array_equal(gamma(torch.from_numpy(x)), x**2)


@pytest.mark.parametrize("flips, turns", [((False, True), (0, 1, 2, 3)), ((False,), (0,))])
def test_filters_follow_the_table_in_the_order_given_in_training_and_in_scoring(flips, turns):
    names = ("gamma", "blur", "sharpen")
    table = transform_table(12, 3, flips=flips, rows=(0,), cols=(0,), turns=turns)
    d = GEOM(table=table, filters=names, net=small_cnn, epochs=1).fit(bars(6, 0))
    x = torch.from_numpy(bars(3, 1))
    every = d._transformed(x.float() / 255)  # (3, T, 1, 12, 12)
    last = len(table)
    assert every.shape[1] == last + 3 == d._items(x) // 3 == d.log_softmax(x).shape[1]
    expected = [filtered(x.float() / 255) for filtered in (gamma, gaussian_blur, sharpen)]
    torch.testing.assert_close(every[:, last:], torch.stack(expected, 1))
    torch.testing.assert_close(every[:, :last], apply_transforms(x.float() / 255, table))
    d.set_params(filters=())  # settings changed after fit are for the next one
    images, label = d._draw(x, torch.arange(every.shape[0] * every.shape[1]), None)
    torch.testing.assert_close(images, every.flatten(0, 1))
    assert label.tolist() == list(range(last + 3)) * 3


@pytest.mark.parametrize(
    "filters, words",
    [(("blur", "emboss"), "'emboss'; allowed are 'blur', 'sharpen', 'gamma'"), ("blur", "'filters' .* 'blur'")],
)
def test_unknown_filters_are_refused_in_one_sentence(filters, words):
    with pytest.raises(ValueError, match=words) as error:
        GEOM(filters=filters, net=small_cnn).fit(bars(4, 0))
    assert "\n" not in str(error.value)


def test_a_saved_detector_with_filters_scores_the_same(tmp_path):
    table = transform_table(12, 3, rows=(0,), cols=(0,), turns=(0,))
    d = GEOM(table=table, filters=("sharpen", "blur"), net=small_cnn, epochs=1).fit(bars(20, 0))
    save(d, tmp_path / "d.safetensors")
    again = load(tmp_path / "d.safetensors")
    assert tuple(again.filters) == ("sharpen", "blur")
    np.testing.assert_array_equal(again.anomaly_score(bars(5, 1)), d.anomaly_score(bars(5, 1)))
    np.testing.assert_array_equal(again.fit(bars(20, 0)).anomaly_score(bars(5, 1)), d.anomaly_score(bars(5, 1)))


# ---- scores


def log_probabilities(n, k, seed):
    rng = np.random.default_rng(seed)
    return np.log(rng.dirichlet(rng.uniform(0.5, 5, k), size=(n, k)))


def test_dirichlet_score_is_the_papers_sum():
    log_p, alpha = log_probabilities(5, 4, 0), np.random.default_rng(1).uniform(0.2, 9, (4, 4))
    expected = [sum((alpha[i, j] - 1) * row[i, j] for i in range(4) for j in range(4)) for row in log_p]
    np.testing.assert_allclose(dirichlet_score(torch.from_numpy(log_p), torch.from_numpy(alpha)), expected)


def test_dirichlet_score_orders_as_the_log_likelihood():
    log_p, alpha = log_probabilities(50, 4, 2), np.random.default_rng(3).uniform(0.2, 9, (4, 4))
    likelihood = [sum(dirichlet.logpdf(np.exp(row[i]), alpha[i]) for i in range(4)) for row in log_p]
    score = dirichlet_score(torch.from_numpy(log_p), torch.from_numpy(alpha)).numpy()
    np.testing.assert_allclose(np.diff(score - likelihood), 0, atol=1e-8)


def test_simple_score_is_the_mean_probability_of_the_true_transformation():
    log_p = log_probabilities(5, 4, 0)
    expected = [np.mean([np.exp(row[i, i]) for i in range(4)]) for row in log_p]
    np.testing.assert_allclose(simple_score(torch.from_numpy(log_p)), expected)


def fixed_point(log_p, iterations=20000):
    """Minka's fixed point for one fit, with SciPy: the slow reference."""
    mean_log = log_p.mean(0)
    alpha = np.ones(len(mean_log))
    for _ in range(iterations):
        target = psi(alpha.sum()) + mean_log
        new = alpha.copy()
        for _ in range(30):  # inverse digamma by damped Newton steps
            h = 1e-6 * new
            new = np.maximum(new - (psi(new) - target) / ((psi(new + h) - psi(new - h)) / (2 * h)), new / 10)
        if np.abs(new - alpha).max() < 1e-12:
            break
        alpha = new
    return alpha


@pytest.mark.parametrize("alpha", [(1.0, 1.0), (0.3, 5.0, 2.0), (40.0, 1.0, 0.5, 3.0), (0.05, 0.05, 0.1)])
def test_dirichlet_mle_equals_the_fixed_point(alpha):
    log_p = np.log(np.random.default_rng(0).dirichlet(alpha, 400).clip(1e-250))
    ours = dirichlet_mle(torch.from_numpy(log_p)).numpy()
    np.testing.assert_allclose(ours, fixed_point(log_p), rtol=1e-5)


ALPHAS = [(1.0, 1.0), (0.3, 5.0, 2.0), (40.0, 1.0, 0.5, 3.0), (0.05, 0.05, 0.1)]


def draws(alpha, n):
    """Logarithms of Dirichlet draws (n, k); a draw that rounds to 0 is set to the smallest number."""
    return torch.from_numpy(np.log(dirichlet.rvs(alpha, n, random_state=0).clip(1e-300)))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_fixed_point_alone_and_newtons_steps_agree(alpha):
    log_p = draws(alpha, 400)
    slow = dirichlet_mle(log_p, newton=False, max_iterations=20000, tolerance=1e-12)
    torch.testing.assert_close(slow, dirichlet_mle(log_p), rtol=1e-6, atol=0)
    few = [dirichlet_mle(log_p, newton=newton, max_iterations=4) for newton in (True, False)]
    assert (few[0] - slow).abs().max() < (few[1] - slow).abs().max() / 10  # they are two ways


@pytest.mark.parametrize("alpha", ALPHAS)
def test_ten_newton_steps_are_enough(alpha):
    log_p = draws(alpha, 400)
    converged = dirichlet_mle(log_p, max_iterations=100, tolerance=0)
    torch.testing.assert_close(dirichlet_mle(log_p, max_iterations=10), converged, rtol=1e-9, atol=0)


@pytest.mark.parametrize("newton", [True, False])
@pytest.mark.parametrize("alpha", [(1.0, 1.0), (0.3, 5.0, 2.0), (40.0, 1.0, 0.5, 3.0)])
def test_dirichlet_mle_finds_the_parameters_of_many_draws(alpha, newton):
    found = dirichlet_mle(draws(alpha, 100_000), newton=newton)
    np.testing.assert_allclose(found, alpha, rtol=0.02)


@pytest.mark.parametrize("newton", [True, False])
@pytest.mark.parametrize(
    "log_p",
    [
        torch.log_softmax(100 * torch.eye(4)[torch.arange(50) % 4], 1),
        torch.log_softmax(100 * torch.eye(4)[torch.zeros(50, dtype=torch.int64)], 1),
        torch.log_softmax(1000 * torch.eye(72)[torch.zeros(9, dtype=torch.int64)], 1),
        torch.log_softmax(torch.tensor([[1.0, 2.0, 0.0], [0.5, 0.1, 3.0]]), 1),
        torch.log_softmax(torch.tensor([[1.0, 2.0, 0.0]] * 20), 1),
        torch.log_softmax(torch.zeros(2, 3), 1),
        torch.log_softmax(100 * torch.eye(72)[torch.arange(144) % 72], 1),
    ],
    ids=["one-hot", "one-hot, one kind", "very sharp", "two rows", "identical rows", "uniform", "one-hot, 72 kinds"],
)
def test_dirichlet_mle_of_degenerate_rows_is_finite(log_p, newton):
    alpha = dirichlet_mle(log_p, newton=newton)
    assert alpha.isfinite().all() and (alpha > 0).all() and alpha.max() <= 1e8
    assert alpha.dtype == torch.float64 and alpha.shape == log_p.shape[1:]


def test_dirichlet_mle_maximises_the_likelihood():
    log_p = log_probabilities(200, 3, 5)[:, 0]

    def loss(log_alpha):
        a = np.exp(log_alpha)
        return -(gammaln(a.sum()) - gammaln(a).sum() + ((a - 1) * log_p.mean(0)).sum())

    best = np.exp(minimize(loss, np.zeros(3), tol=1e-10).x)
    np.testing.assert_allclose(dirichlet_mle(torch.from_numpy(log_p)), best, rtol=1e-3)


def test_dirichlet_mle_is_batched():
    log_p = torch.from_numpy(log_probabilities(100, 6, 7)).transpose(0, 1)  # (6, 100, 6)
    assert dirichlet_mle(log_p).shape == (6, 6)
    np.testing.assert_allclose(dirichlet_mle(log_p), np.stack([dirichlet_mle(rows) for rows in log_p]), rtol=1e-6)


@pytest.mark.parametrize("logits", [200.0, 1.0, 1e-4])
def test_dirichlet_mle_of_sharp_or_equal_softmax_is_finite(logits):
    log_p = torch.log_softmax(logits * torch.eye(4)[torch.zeros(50, dtype=torch.int64)], 1)  # every row the same
    alpha = dirichlet_mle(log_p)
    assert alpha.isfinite().all() and (alpha > 0).all()


def test_dirichlet_mle_of_one_hot_softmax_is_finite():
    log_p = torch.log_softmax(90 * torch.eye(4)[torch.arange(60) % 2], 1)
    alpha = dirichlet_mle(log_p)
    assert alpha.isfinite().all() and (alpha > 0).all()


@pytest.mark.parametrize(
    "log_p,words", [(torch.zeros(1, 3), "1 row"), (torch.full((5, 3), -torch.inf), "log_softmax")]
)
def test_dirichlet_mle_refuses(log_p, words):
    with pytest.raises(ValueError, match=words):
        dirichlet_mle(log_p)


# ---- the detector


def bars(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 60, (n, 1, 12, 12))
    x[:, :, 1:4, 2:9] += 150
    return x.astype(np.uint8)


def test_score_can_be_changed_after_fit_and_both_agree_with_the_formulas():
    table = transform_table(12, 3, rows=(0,), cols=(0,))
    d = GEOM(table=table, net=small_cnn, epochs=2).fit(bars(60, 0))
    x = bars(20, 1)
    log_p = d.log_softmax(x)
    assert log_p.shape == (20, 8, 8) and torch.allclose(log_p.exp().sum(2), torch.ones(20, 8))
    alpha = dirichlet_mle(d.log_softmax(bars(60, 0)).transpose(0, 1))
    np.testing.assert_allclose(d.anomaly_score(x), -dirichlet_score(log_p, alpha), rtol=1e-5)
    np.testing.assert_allclose(d.set_params(score="simple").anomaly_score(x), -simple_score(log_p), rtol=1e-5)
    with pytest.raises(ValueError, match="offset_ belongs to score='dirichlet'"):
        d.predict(x)
    with pytest.raises(ValueError, match="'score'.*'typo'"):
        d.set_params(score="typo").anomaly_score(x)


def test_log_softmax_is_the_classifiers_answer_to_each_transformed_image():
    table = transform_table(12, 3, rows=(0,), cols=(0, 3), turns=(0,))
    d = GEOM(table=table, net=small_cnn, epochs=1).fit(bars(40, 0))
    x = torch.from_numpy(bars(3, 1)).float() / 255
    log_p = d.log_softmax(x)
    for t, (flip, col) in enumerate([(False, 0), (False, 3), (True, 0), (True, 3)]):
        moved = np.stack([transform(image[0].numpy(), flip, 0, col, 0) for image in x])[:, None]
        with torch.no_grad():
            logits = d.model_.head(d.model_.body(2 * torch.from_numpy(moved) - 1))
        torch.testing.assert_close(log_p[:, t], torch.log_softmax(logits, 1), rtol=1e-4, atol=1e-5)


def test_an_epoch_passes_over_every_image_under_every_transformation_once(monkeypatch):
    x, seen = np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(144, 3).reshape(10, 1, 12, 12), []
    draw = GEOM._draw

    def record(self, x, index, generator):
        images, label = draw(self, x, index, generator)
        seen.extend(zip((images[:, 0, 0, 0] * 255).round().int().tolist(), label.tolist(), strict=True))
        return images, label

    monkeypatch.setattr(GEOM, "_draw", record)
    GEOM(table=transform_table(12, 3), net=small_cnn, epochs=1, batch_size=50).fit(x)
    assert sorted(seen) == [(image, kind) for image in range(10) for kind in range(72)]


def test_a_drawn_image_carries_the_label_of_its_transformation():
    table = transform_table(12, 3)
    d = GEOM(table=table, net=small_cnn, epochs=1).fit(bars(4, 0))
    x = torch.from_numpy(bars(4, 0))
    images, label = d._draw(x, torch.tensor([0, 71, 72, 200]), None)
    expected = apply_transforms(x.float() / 255, table)[[0, 0, 1, 2], [0, 71, 0, 56]]
    torch.testing.assert_close(images, expected)
    assert label.tolist() == [0, 71, 0, 56]


def test_default_epochs_are_the_papers():
    d = GEOM(net=small_cnn)
    d.model_ = d._build((1, 12, 12), "cpu")
    assert d._epochs() == 3  # ceil(200 / 72)


# ---- Figure 1


def test_plain_ascent_climbs_and_stays_in_range():
    target = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    x = torch.full((2, 1, 6, 6), 0.5)
    out = ascend_normality(lambda x: -(x - target).square().sum((1, 2, 3)), x, steps=50, step=0.1)
    torch.testing.assert_close(out, target.expand(2, 1, 6, 6), atol=1e-3, rtol=0)
    assert torch.equal(x, torch.full((2, 1, 6, 6), 0.5))


def test_blur_is_a_gaussian_filter():
    x = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    for sigma in (0.28, 1.0):
        out = ascend_normality(lambda x: 0 * x.sum((1, 2, 3)), x, steps=1, blur=sigma)
        expected = gaussian_filter(x[0, 0].double().numpy(), sigma, mode="nearest")
        np.testing.assert_allclose(out[0, 0], expected, atol=1e-6)


def test_mask_drops_the_gradient_where_it_moves_little():
    x = torch.linspace(0.1, 1, 10).reshape(1, 1, 2, 5) / 2
    out = ascend_normality(lambda x: x.sum((1, 2, 3)), x, steps=1, step=0.1, mask_quantile=0.8)
    moved = (out - x).abs() > 1e-6
    assert moved.flatten().tolist() == [False] * 8 + [True] * 2  # |gradient * x| = x here


def test_clean_sets_the_darkest_pixels_to_zero():
    x = torch.linspace(0.05, 0.95, 10).reshape(1, 1, 2, 5)
    out = ascend_normality(lambda x: 0 * x.sum((1, 2, 3)), x, steps=1, clean_quantile=0.8)
    assert (out == 0).flatten().tolist() == [True] * 8 + [False] * 2
