"""Tiles with defects and pixel masks: magnetic tiles, or squares with drawn scratches and spots.

Chapter 10 and its sweep measure by these functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from adlib import data
from adlib.metrics import auroc, pixel_auroc


@dataclass(frozen=True, eq=False)
class Tiles:
    """Grey tiles uint8 (n, 1, s, s) with masks bool (n, s, s), kinds y (n,), 0 = free of defects, and groups (n,).

    Tiles of a group are pictures of one piece, or may be: they belong on one side of a split.
    """

    label: str
    exact: bool
    fingerprint: str
    classes: tuple[str, ...]
    x: np.ndarray
    masks: np.ndarray
    y: np.ndarray
    group: np.ndarray


class TileSplit(NamedTuple):
    """Tiles to train on, a few known defects with masks, and a test part; y_test is the kind of defect, 0 for none."""

    x_train: np.ndarray
    known: np.ndarray
    known_masks: np.ndarray
    x_test: np.ndarray
    test_masks: np.ndarray
    y_test: np.ndarray


def resized(ds: data.Dataset, size: int) -> Tiles:
    """A data set of one part with masks, at size x size pixels; a pixel is a defect's from half of its area on."""
    x = np.rint(_shrink(ds.x_train[:, 0], size)).astype(np.uint8)[:, None]
    masks = _shrink(ds.extra["masks"], size) >= 0.5
    label = f"{ds.label}, at {size} pixels"
    return Tiles(label, ds.exact, ds.fingerprint, ds.classes, x, masks, ds.y_train, ds.extra["group"])


def _shrink(x: np.ndarray, size: int) -> np.ndarray:
    """Images (n, h, h) by averages over areas, (n, size, size) float32."""
    edge = np.linspace(0, x.shape[1], size + 1)
    pixel = np.arange(x.shape[1])
    weights = np.clip(np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel), 0, None)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return np.concatenate([weights @ part.astype(np.float32) @ weights.T for part in np.array_split(x, 16)])


def drawn(size: int, seed: int, pieces: int = 120, shots: int = 2) -> Tiles:
    """Textured squares, each shown `shots` times as bright and less bright; half of them with a scratch or a spot."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:size, :size] / size
    x, masks, y, group = [], [], [], []
    for piece in range(pieces):
        kind = (0, 1, 0, 2)[piece % 4]
        rough = gaussian_filter(random.standard_normal((size, size)), size / 24)
        texture = 0.5 + 0.08 * rough / rough.std() + 0.03 * random.standard_normal((size, size))
        angle, (top, left), reach = random.uniform(0, np.pi), random.uniform(0.25, 0.75, 2), random.uniform(0.1, 0.25)
        along = (rows - top) * np.sin(angle) + (cols - left) * np.cos(angle)
        across = (rows - top) * np.cos(angle) - (cols - left) * np.sin(angle)
        scratch = (np.abs(along) < reach) & (np.abs(across) < 0.02)
        spot = along**2 + across**2 < (reach / 2) ** 2
        mask = (np.zeros_like(spot), scratch, spot)[kind]
        damaged = texture - 0.25 * mask * random.choice([-1, 1])
        for light in random.uniform(0.7, 1.2, shots):
            x.append(np.rint(255 * np.clip(light * damaged, 0, 1)).astype(np.uint8)[None])
            masks.append(mask)
            y.append(kind)
            group.append(piece)
    arrays = {"x": np.stack(x), "masks": np.stack(masks), "y": np.array(y), "group": np.array(group)}
    label = f"drawn scratches and spots at {size} pixels"
    return Tiles(label, True, data.digest(arrays), ("Free", "Scratch", "Spot"), **arrays)


def split(tiles: Tiles, n_train: int, n_test: int, seed: int) -> TileSplit:
    """Half of the groups, drawn with the seed, for training, the others for the test.

    The training part has `n_train` tiles without defects (or all there are) and one known defect of each kind. The test
    part has `n_test` tiles without and as many with a defect. Defects whose mask is empty are left out.
    """
    random = np.random.default_rng(seed)
    groups = random.permutation(np.unique(tiles.group))
    training = np.isin(tiles.group, groups[: len(groups) // 2])
    free, shown = tiles.y == 0, (tiles.y > 0) & tiles.masks.any((1, 2))
    kinds = [np.flatnonzero(training & shown & (tiles.y == kind)) for kind in range(1, len(tiles.classes))]
    if not all(len(kind) for kind in kinds):
        raise data.DataError(f"seed {seed}: a kind of defect is in no training group")
    train = random.permutation(np.flatnonzero(training & free))[:n_train]
    known = np.array([random.choice(kind) for kind in kinds])
    test = [random.permutation(np.flatnonzero(~training & part))[:n_test] for part in (free, shown)]
    test = np.concatenate(test)
    return TileSplit(
        tiles.x[train], tiles.x[known], tiles.masks[known], tiles.x[test], tiles.masks[test], tiles.y[test]
    )


def known(part: TileSplit, way: str) -> dict[str, Any]:
    """What `fit` is told of defects: "none", "defects" for the images alone, "masks" for their pixels as well."""
    if way not in ("none", "defects", "masks"):
        raise ValueError(f"way={way!r}: must be none, defects or masks")
    told = {} if way == "none" else {"outliers": part.known}
    return told | ({"masks": part.known_masks.astype(np.float32)} if way == "masks" else {})


def measure(detector: Any, part: TileSplit, of_pixels: Sequence[str] = ("each", "pooled")) -> dict[str, float]:
    """AUROC "image", of test tiles with a defect against those without, and of pixels by the heatmaps.

    "each": mean over the tiles with a defect, each on its own; "pooled": all pixels of all tiles together.
    """
    found = {"image": auroc(part.y_test > 0, detector.anomaly_score(part.x_test))}
    maps = detector.heatmap(part.x_test) if of_pixels else None
    return found | {name: pixel_auroc(part.test_masks, maps, per_image=name == "each") for name in of_pixels}
