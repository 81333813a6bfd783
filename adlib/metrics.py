"""What the papers measure. ``y`` is 1 for an anomaly and 0 for a normal row, and larger scores are more anomalous.

Every function refuses bad input with a ValueError of one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score


def auroc(y, s) -> float:
    """Area under the ROC curve, in [0, 1]: the chance that an anomaly scores above a normal row, ties counted half."""
    return float(roc_auc_score(*_labels_and_scores(y, s)))


def average_precision(y, s) -> float:
    """Average precision with anomalies as the positive class, in [0, 1]; chance level is the share of anomalies."""
    return float(average_precision_score(*_labels_and_scores(y, s)))


def threshold_at(s_normal, fpr: float) -> float:
    """The smallest threshold such that the share of ``s_normal`` strictly above it is at most ``fpr``.

    It is one of the scores. Flag a row when its score is *above* it. Use normal rows that were not trained on.
    """
    s = _finite(s_normal, "s_normal")
    _inside(fpr, "fpr")
    allowed = int(fpr * s.size) + 1
    while allowed / s.size > fpr:  # the largest count whose share is at most fpr, exact where fpr * n rounds
        allowed -= 1
    return float(np.sort(s)[s.size - 1 - allowed])


def recall_at_fpr(y, s, fpr: float) -> float:
    """Share of the anomalies above ``threshold_at(scores of the normal rows, fpr)``, in [0, 1].

    DROCC-LF (Goyal et al. 2020, Section 5.2) asks for the recall of the *normal* class at a share ``fpr`` of
    anomalies that pass for normal: ``recall_at_fpr(1 - y, -s, fpr)``.
    """
    y, s = _labels_and_scores(y, s)
    return float(np.mean(s[y == 1] > threshold_at(s[y == 0], fpr)))


def f1_at_ratio(y, s, ratio: float, positive: str) -> float:
    """F1 of the ``positive`` class ("anomaly" or "normal") when a share ``ratio`` of the rows is called anomalous.

    The threshold is the (1 - ratio) quantile of all scores, linearly interpolated. A row exactly on it goes to the
    positive class, as in the two protocols that are in use:

    - "anomaly", with the true share of anomalies as ``ratio``: DAGMM, GOAD (Bergman and Hoshen 2020, their code).
      A row is called an anomaly when its score is at or above the threshold.
    - "normal", with ``ratio`` 0.2 on as many anomalies as normal rows: DROCC (Goyal et al. 2020, their code).
      A row is called normal when its score is at or below the threshold. A perfect ranking reaches about 0.77, not 1.
    """
    y, s = _labels_and_scores(y, s)
    _inside(ratio, "ratio")
    if positive == "anomaly":
        return float(f1_score(y == 1, s >= np.quantile(s, 1 - ratio)))
    if positive == "normal":
        return float(f1_score(y == 0, -s >= np.quantile(-s, ratio)))
    raise ValueError(f'positive={positive!r}: must be "anomaly" or "normal"')


def pixel_auroc(masks, maps, per_image: bool) -> float:
    """AUROC over pixels of ``masks`` (n, h, w), 1 = anomalous, against heat maps ``maps`` (n, h, w).

    ``per_image=False`` pools the pixels of all images. ``per_image=True`` is the mean of one AUROC an image, over the
    images whose mask holds both kinds of pixel; the others (normal images, as a rule) have none and are left out.
    """
    masks, maps = np.asarray(masks), np.asarray(maps)
    if masks.shape != maps.shape or masks.ndim != 3:
        raise ValueError(f"masks {masks.shape} and maps {maps.shape}: both must have the same shape (n, h, w)")
    if not per_image:
        return auroc(masks.ravel(), maps.ravel())
    mixed = [i for i, m in enumerate(masks) if m.any() and not m.all()]
    if not mixed:
        raise ValueError("masks: no image holds both normal and anomalous pixels")
    return float(np.mean([auroc(masks[i].ravel(), maps[i].ravel()) for i in mixed]))


def distinct_share(s) -> float:
    """Share of distinct values among the scores ``s`` (n,), from 1/n to 1. Equal rows count once: leave them out."""
    s = _finite(s, "scores")
    return np.unique(s).size / s.size


def relative_spread(s) -> float:
    """Distance of the 5 % and 95 % quantiles of the scores ``s`` (n,), in units of the median of ``|s|``; 0 if equal.

    Scores that differ by rounding alone have one below about 1e-5. Scores that may be of any sign need another look:
    subtract no threshold, which could make their level as small as the rounding.
    """
    s = _finite(s, "scores")
    low, high = np.quantile(s, [0.05, 0.95])
    level = np.median(np.abs(s))
    return 0.0 if high == low else float((high - low) / level) if level else np.inf


def has_collapsed(s, distinct: float = 0.5, spread: float = 1e-4) -> bool:
    """Whether the scores ``s`` (n,) of distinct rows tell them apart no more, as where a network maps all to one point.

    That is if at most the share ``distinct`` of them is distinct, or if their ``relative_spread`` is at most
    ``spread``. Both bounds are ours. Says nothing of whether the order is right: that is ``auroc``, with labels.
    """
    return distinct_share(s) <= distinct or relative_spread(s) <= spread


def bootstrap_ci(values: Sequence[float], level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """(lo, hi) for the mean of ``values``, one a seed: percentile bootstrap, 10,000 resamples; one value v: (v, v)."""
    v = _finite(values, "values")
    _inside(level, "level")
    means = v[np.random.default_rng(seed).integers(v.size, size=(10_000, v.size))].mean(axis=1)
    lo, hi = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)


def _labels_and_scores(y, s) -> tuple[np.ndarray, np.ndarray]:
    y, s = np.asarray(y), _finite(s, "scores")
    if y.shape != s.shape:
        raise ValueError(f"y {y.shape} and scores {s.shape}: must have the same shape (n,)")
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"y holds {y[~np.isin(y, (0, 1))][0]!r}: must be 0 (normal) or 1 (anomaly)")
    if np.unique(y).size < 2:
        raise ValueError(f"y holds only {int(y[0])}: both normal rows (0) and anomalies (1) are needed")
    return y.astype(np.int64), s


def _finite(values, name: str) -> np.ndarray:
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1 or v.size == 0:
        raise ValueError(f"{name} has shape {v.shape}: must be (n,) with at least one value")
    if not np.isfinite(v).all():
        raise ValueError(f"{name} holds {v[~np.isfinite(v)][0]} at {int(np.argmax(~np.isfinite(v)))}: must be finite")
    return v


def _inside(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value!r}: must lie between 0 and 1, both excluded")
