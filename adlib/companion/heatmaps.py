"""What chapter 10 and its sweeps measure of a detector of images and its heatmaps."""

from typing import Any

import numpy as np

from adlib.data import pad
from adlib.metrics import auroc


def turned(detector: Any, x: np.ndarray, y: np.ndarray) -> float:
    """AUROC of the normal images (y 0) turned by a right angle against the same images upright."""
    upright = x[y == 0]
    both = np.concatenate([upright, np.rot90(upright, axes=(2, 3))])
    return auroc(np.repeat([0, 1], len(upright)), detector.anomaly_score(both))


def hottest(detector: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Share of an anomaly's heat (y 1) in the hottest tenth of its pixels, mean; a tenth for a flat map."""
    maps = detector.heatmap(x[y == 1])
    ranked = np.sort(maps.reshape(len(maps), -1), axis=1)[:, ::-1]
    return _share(ranked[:, : ranked.shape[1] // 10], ranked)


def middle(detector: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Share of an anomaly's heat (y 1) in the middle quarter of the image, mean; a quarter for a flat map."""
    maps = detector.heatmap(x[y == 1])
    edge = maps.shape[1] // 4
    return _share(maps[:, edge:-edge, edge:-edge], maps)


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    part, whole = (a.reshape(len(a), -1).sum(1, dtype=float) for a in (part, whole))
    return float((part / np.maximum(whole, 1e-12)).mean())


def alike(x: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Images (n, c, s, s) uint8 as (n, *shape): colours to grey, the middle of larger ones, a border around smaller."""
    channels, side = shape[0], shape[-1]
    if (x.shape[1], channels) == (3, 1):
        x = np.rint(np.tensordot(x, np.array([0.299, 0.587, 0.114]), (1, 0))[:, None]).astype(np.uint8)
    if x.shape[1] != channels:
        raise ValueError(f"images of {x.shape[1]} channels cannot stand for images of {channels}")
    edge = max(0, x.shape[-1] - side) // 2
    x = x[:, :, edge : edge + side, edge : edge + side]
    return pad(x, side) if x.shape[-1] < side else x
