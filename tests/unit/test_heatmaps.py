"""What chapter 10 and its sweeps measure of heatmaps."""

import numpy as np
import pytest

from adlib.companion import heatmaps


class Picture:
    """A detector whose heatmap is the image itself, and whose score is the mean of its upper half."""

    def heatmap(self, x):
        return x[:, 0].astype(np.float32)

    def anomaly_score(self, x):
        return x[:, 0, : x.shape[2] // 2].mean((1, 2)).astype(float)


def test_heat_is_measured_on_anomalies_alone():
    x = np.zeros((3, 1, 8, 8), np.uint8)
    x[0], x[1] = 1, 1  # a normal image, never looked at, and a flat anomaly
    x[2, 0, 3:5, 3:5] = 9
    y = np.array([0, 1, 1])
    flat, peaked = y * [0, 1, 0] == 1, y * [0, 0, 1] == 1
    assert heatmaps.middle(Picture(), x, flat) == pytest.approx(1 / 4)
    assert heatmaps.hottest(Picture(), x, flat) == pytest.approx(6 / 64)  # six of 64 pixels are the hottest tenth
    assert heatmaps.middle(Picture(), x, peaked) == heatmaps.hottest(Picture(), x, peaked) == 1
    assert heatmaps.middle(Picture(), x, y) == pytest.approx(5 / 8)
    assert heatmaps.middle(Picture(), np.zeros_like(x), y) == 0  # no heat at all


def test_turned_compares_the_normal_images_with_themselves():
    x = np.zeros((4, 1, 6, 6), np.uint8)
    x[:2, 0, 3:] = 5  # heat below; turned, half of it stands above
    x[2:] = 200
    assert heatmaps.turned(Picture(), x, np.array([0, 0, 1, 1])) == 1
    assert heatmaps.turned(Picture(), x[2:], np.array([0, 0])) == 0.5  # the same from all sides


def test_alike_gives_grey_crops_and_borders():
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    grey = heatmaps.alike(x, (1, 28, 28))
    assert grey.shape == (2, 1, 28, 28) and grey.dtype == np.uint8
    assert grey[0, 0, 0, 0] == round(float(x[0, :, 2, 2] @ [0.299, 0.587, 0.114]))
    padded = heatmaps.alike(grey, (1, 32, 32))
    assert np.array_equal(padded[:, :, 2:30, 2:30], grey) and not padded[:, :, :2].any()
    assert np.array_equal(heatmaps.alike(x, (3, 32, 32)), x)
    with pytest.raises(ValueError, match="1 channels cannot stand for images of 3"):
        heatmaps.alike(grey, (3, 28, 28))
