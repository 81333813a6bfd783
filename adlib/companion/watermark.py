"""A watermark on known anomalies, and what a detector makes of it (Liznerski et al. 2021, Section 4.3, with numbers).

Chapter 09 and its sweep measure by these functions.
"""

from collections.abc import Callable

import numpy as np

from adlib.data import stamp, stamp_box
from adlib.metrics import auroc

Images = np.ndarray  # (n, c, s, s) uint8


def marked(x: Images) -> Images:
    """Every image with the watermark."""
    return stamp(x, 1.0, 0)[0]


def masked(x: Images) -> Images:
    """Every image with black where the watermark is or would be."""
    rows, cols = stamp_box(x.shape[-1])
    x = x.copy()
    x[:, :, rows, cols] = 0
    return x


def training_set(nominal: Images, anomalous: Images, share: float, seed: int, where: str = "anomalous"):
    """(nominal, anomalous) images to train on; that share of the anomalous ones carries the watermark.

    `where`: "anomalous", no other image has it; "both": the same share of the nominal images carries it, then it says
    nothing; "masked": its place is black in every image, whatever the share. What is trained so must be shown `masked`
    images.
    """
    if where not in ("anomalous", "both", "masked"):
        raise ValueError(f"where={where!r}: must be anomalous, both or masked")
    anomalous = stamp(anomalous, share, seed)[0]
    if where == "both":
        nominal = stamp(nominal, share, seed)[0]
    return (masked(nominal), masked(anomalous)) if where == "masked" else (nominal, anomalous)


def mass_in_box(maps: np.ndarray) -> np.ndarray:
    """Share of each heatmap (n, s, s), of values from 0 on, that lies in the watermark's box, (n,).

    For a flat map that is the area of the box, and so it is taken to be for a map of zeros.
    """
    rows, cols = stamp_box(maps.shape[-1])
    total, inside = maps.sum((1, 2), dtype=float), maps[:, rows, cols].sum((1, 2), dtype=float)
    return np.divide(inside, total, out=np.full(len(maps), box_area(maps.shape[-1])), where=total > 0)


def box_area(size: int) -> float:
    """Share of an image of size x size pixels that the watermark covers."""
    rows, cols = stamp_box(size)
    return (rows.stop - rows.start) * (cols.stop - cols.start) / size**2


def measure(
    score: Callable[[Images], np.ndarray], heatmap: Callable[[Images], np.ndarray], nominal: Images, anomalous: Images
) -> dict[str, float]:
    """What a trained detector makes of test images, none of which has a watermark yet.

    AUROC of the anomalous against the nominal images: "present" (the anomalous ones marked), "removed" (none marked),
    "moved" (the nominal ones marked). "mass" and "mass_removed": mean share of the heatmap in the box, for anomalous
    images with the watermark and without it.
    """
    y = np.repeat([0, 1], [len(nominal), len(anomalous)])
    normal, odd = ({"clean": score(x), "marked": score(marked(x))} for x in (nominal, anomalous))
    pairs = {"present": ("clean", "marked"), "removed": ("clean", "clean"), "moved": ("marked", "clean")}
    found = {name: auroc(y, np.concatenate([normal[a], odd[b]])) for name, (a, b) in pairs.items()}
    return found | {
        "mass": float(mass_in_box(heatmap(marked(anomalous))).mean()),
        "mass_removed": float(mass_in_box(heatmap(anomalous)).mean()),
    }
