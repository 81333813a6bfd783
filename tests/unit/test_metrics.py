"""Every metric against an independent computation: pairs, counts and hand-made cases."""

import numpy as np
import pytest
import sklearn.metrics

from adlib import metrics


def _case(seed, n=60, levels=8):
    """Labels and scores with many ties."""
    rng = np.random.default_rng(seed)
    y = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    return y, rng.integers(0, levels, n).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_counts_pairs_with_ties_half(seed):
    y, s = _case(seed)
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in s[y == 1] for b in s[y == 0]]
    assert metrics.auroc(y, s) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_auroc_direction():
    assert metrics.auroc([0, 0, 1, 1], [0.0, 1.0, 2.0, 3.0]) == 1.0
    assert metrics.auroc([0, 0, 1, 1], [3.0, 2.0, 1.0, 0.0]) == 0.0
    assert metrics.auroc(np.array([False, True]), np.array([5, 5], dtype=np.float32)) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_sums_precision_over_recall_steps(seed):
    y, s = _case(seed)
    total, recall_before = 0.0, 0.0
    for t in np.unique(s)[::-1]:
        called = s >= t
        recall = (y[called] == 1).sum() / (y == 1).sum()
        total += (recall - recall_before) * (y[called] == 1).mean()
        recall_before = recall
    assert metrics.average_precision(y, s) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.1, 0.29, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("n", [1, 3, 10, 100])
def test_threshold_is_the_smallest_that_keeps_the_rate(fpr, n):
    for levels in (4, 10**6):  # with and without ties
        s = np.random.default_rng(n).integers(0, levels, n).astype(float)
        kept = [t for t in s if (s > t).sum() / n <= fpr]  # a smallest threshold is always one of the scores
        assert metrics.threshold_at(s, fpr) == min(kept)


def test_threshold_where_fpr_times_n_rounds_down():
    # 0.29 * 100 is 28.999999999999996, yet 29 of 100 is a share of 0.29
    s = np.arange(100.0)
    assert (s > metrics.threshold_at(s, 0.29)).sum() == 29


def test_recall_at_fpr_by_hand():
    y = np.array([0] * 10 + [1] * 4)
    s = np.r_[np.arange(10.0), 7.5, 8.0, 8.5, 20.0]
    assert metrics.recall_at_fpr(y, s, 0.1) == 0.5  # threshold 8: one of ten normal rows is above it
    assert metrics.recall_at_fpr(y, s, 0.05) == 0.25  # threshold 9
    assert metrics.recall_at_fpr(y, s, 0.2) == 1.0  # threshold 7


def test_recall_of_the_normal_class_is_the_mirror_image():
    y, s = _case(1, n=300, levels=10**6)
    threshold = max(t for t in s if (s[y == 1] < t).mean() <= 0.03)
    expected = (s[y == 0] < threshold).mean()
    assert metrics.recall_at_fpr(1 - y, -s, 0.03) == pytest.approx(expected, abs=1e-12)


def _f1(truth, called):
    hits = (truth & called).sum()
    return 2 * hits / (truth.sum() + called.sum())


@pytest.mark.parametrize("seed", range(4))
def test_f1_at_ratio_with_anomalies_as_goad_does(seed):
    y, s = _case(seed, n=97, levels=10**6)
    share = y.mean()
    called = s >= np.percentile(s, 100 * (1 - share))
    assert metrics.f1_at_ratio(y, s, share, "anomaly") == pytest.approx(_f1(y == 1, called), abs=1e-12)
    assert metrics.f1_at_ratio(y, s, share, "anomaly") == pytest.approx(sklearn.metrics.f1_score(y, called), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_f1_at_ratio_with_normal_rows_as_drocc_does(seed):
    y, s = _case(seed, n=97, levels=10**6)
    normality = -s  # DROCC's logit: larger is more normal
    called = normality >= np.percentile(normality, 20)
    assert metrics.f1_at_ratio(y, s, 0.2, "normal") == pytest.approx(_f1(y == 0, called), abs=1e-12)


@pytest.mark.parametrize("n", [66, 93, 534, 29])  # anomalies of arrhythmia, thyroid, annthyroid, abalone
def test_f1_of_a_perfect_ranking_in_droccs_protocol(n):
    # by counting: of 2n rows, those at or above position 0.2 (2n - 1) are called normal
    y, s = np.repeat([0, 1], n), np.arange(2.0 * n)
    called = 2 * n - int(np.ceil(0.2 * (2 * n - 1) - 1e-9))
    assert metrics.f1_at_ratio(y, s, 0.2, "normal") == pytest.approx(2 * n / (n + called), abs=1e-12)
    assert metrics.f1_at_ratio(y, s, 0.2, "normal") == pytest.approx(0.77, abs=5e-3)


def test_f1_at_ratio_puts_the_row_on_the_threshold_into_the_positive_class():
    y, s = np.array([0, 0, 1, 1, 1]), np.arange(5.0)  # ratio 0.5: the threshold is the score 2
    assert metrics.f1_at_ratio(y, s, 0.5, "anomaly") == 1.0  # 2, 3, 4 are called anomalies
    assert metrics.f1_at_ratio(y, s, 0.5, "normal") == pytest.approx(0.8)  # 0, 1, 2 are called normal


def test_pixel_auroc_pooled_and_per_image():
    rng = np.random.default_rng(0)
    masks = (rng.random((4, 5, 6)) < 0.3).astype(np.uint8)
    masks[1] = 0  # a normal image: has no AUROC of its own
    maps = rng.random((4, 5, 6)).astype(np.float32)

    def by_pairs(mask, heat):
        a, b = heat[mask == 1], heat[mask == 0]
        return np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))

    assert metrics.pixel_auroc(masks, maps, per_image=False) == pytest.approx(by_pairs(masks, maps), abs=1e-12)
    each = [by_pairs(masks[i], maps[i]) for i in (0, 2, 3)]
    assert metrics.pixel_auroc(masks, maps, per_image=True) == pytest.approx(np.mean(each), abs=1e-12)
    assert metrics.pixel_auroc(masks, maps, per_image=True) != metrics.pixel_auroc(masks, maps, per_image=False)


def test_bootstrap_interval():
    values = np.random.default_rng(3).normal(0.8, 0.05, 40)
    lo, hi = metrics.bootstrap_ci(values)
    standard_error = values.std(ddof=1) / np.sqrt(40)  # of this many values the mean is close to normal
    assert lo == pytest.approx(values.mean() - 1.96 * standard_error, abs=0.2 * standard_error)
    assert hi == pytest.approx(values.mean() + 1.96 * standard_error, abs=0.2 * standard_error)
    narrow = metrics.bootstrap_ci(values, level=0.5)
    assert lo < narrow[0] < narrow[1] < hi
    assert metrics.bootstrap_ci(values) == (lo, hi)
    assert metrics.bootstrap_ci(values, seed=1) != (lo, hi)


def test_bootstrap_interval_of_two_values_is_exhaustive():
    # the mean of a resample of (0, 1) is 0, 1/2 or 1 with chances 1/4, 1/2, 1/4
    assert metrics.bootstrap_ci([0.0, 1.0], level=0.95) == (0.0, 1.0)
    assert metrics.bootstrap_ci([0.0, 1.0], level=0.4) == (0.5, 0.5)


def test_bootstrap_interval_of_one_value():
    assert metrics.bootstrap_ci([0.75]) == (0.75, 0.75)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.auroc([0, 1], [0.0, np.nan]), r"scores holds nan at 1: must be finite"),
        (lambda: metrics.auroc([0, 1], [0.0, np.inf]), r"scores holds inf at 1"),
        (lambda: metrics.auroc([0, 0], [0.0, 1.0]), r"y holds only 0: both normal rows"),
        (lambda: metrics.average_precision([1, 1], [0.0, 1.0]), r"y holds only 1"),
        (lambda: metrics.auroc([0, 1, 1], [0.0, 1.0]), r"y \(3,\) and scores \(2,\): must have the same shape"),
        (lambda: metrics.auroc([[0, 1]], [[0.0, 1.0]]), r"scores has shape \(1, 2\)"),
        (lambda: metrics.auroc([1, -1], [0.0, 1.0]), r"y holds .*-1.*must be 0 \(normal\) or 1"),
        (lambda: metrics.auroc([], []), r"scores has shape \(0,\)"),
        (lambda: metrics.recall_at_fpr([0, 1], [0.0, 1.0], 0), r"fpr=0: must lie between 0 and 1"),
        (lambda: metrics.recall_at_fpr([0, 1], [0.0, 1.0], 1.0), r"fpr=1.0"),
        (lambda: metrics.threshold_at([0.0], 5), r"fpr=5"),
        (lambda: metrics.threshold_at([0.0], float("nan")), r"fpr=nan"),
        (lambda: metrics.threshold_at([], 0.1), r"s_normal has shape \(0,\)"),
        (lambda: metrics.f1_at_ratio([0, 1], [0.0, 1.0], 1.2, "normal"), r"ratio=1.2"),
        (lambda: metrics.f1_at_ratio([0, 1], [0.0, 1.0], 0.2, "inlier"), r"positive='inlier': must be \"anomaly\""),
        (lambda: metrics.pixel_auroc(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), True), r"masks \(1, 2, 2\) and maps"),
        (lambda: metrics.pixel_auroc(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), True), r"no image holds both"),
        (lambda: metrics.bootstrap_ci([]), r"values has shape"),
        (lambda: metrics.bootstrap_ci([1.0], level=95), r"level=95"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# ---- collapse


def test_distinct_share_and_relative_spread_by_hand():
    assert metrics.distinct_share([1.0, 2.0, 2.0, 3.0]) == 0.75 and metrics.distinct_share(np.full(10, 4.0)) == 0.1
    s = np.arange(101.0)  # quantiles 5 and 95, median 50
    assert metrics.relative_spread(s) == pytest.approx(90 / 50) == metrics.relative_spread(-3 * s)
    assert metrics.relative_spread(np.full(5, 7.0)) == 0 == metrics.relative_spread(np.zeros(5))


def test_collapsed_scores_are_seen_and_others_are_not():
    rng = np.random.default_rng(0)
    s = rng.random(500)
    assert not metrics.has_collapsed(s) and not metrics.has_collapsed(1000 * s) and not metrics.has_collapsed(1 + s)
    assert metrics.has_collapsed(np.ones(500))
    assert metrics.has_collapsed(np.float32(3) + np.float32(1e-6) * s.astype(np.float32))  # rounding
    assert metrics.has_collapsed(1 + 1e-6 * s)  # all distinct, and all the same
    assert metrics.has_collapsed(np.where(np.arange(500) < 300, 0.0, s))  # most of them in one point
    assert not metrics.has_collapsed(np.where(np.arange(500) < 100, 0.0, s))


@pytest.mark.parametrize("function", [metrics.distinct_share, metrics.relative_spread, metrics.has_collapsed])
def test_collapse_of_no_scores_is_an_error(function):
    for bad in ([], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="scores"):
            function(bad)
