"""What is measured of a detector that has seen a watermark, on detectors that are written down."""

import numpy as np
import pytest

from adlib.companion import watermark
from adlib.data import stamp_box

BOX = stamp_box(32)


def images(n, seed, level=(0, 256)):
    return np.random.default_rng(seed).integers(*level, (n, 1, 32, 32), np.uint8)


def test_training_sets_with_and_without_a_remedy():
    nominal, anomalous = images(20, 0), images(10, 1)
    same, stamped = watermark.training_set(nominal, anomalous, 0.5, 3)
    changed = (stamped != anomalous).any((1, 2, 3))
    assert same is nominal and changed.sum() == 5
    np.testing.assert_array_equal(stamped[changed], watermark.marked(anomalous)[changed])
    both, also = watermark.training_set(nominal, anomalous, 0.5, 3, "both")
    changed = (both != nominal).any((1, 2, 3))
    assert changed.sum() == 10
    np.testing.assert_array_equal(both[changed], watermark.marked(nominal)[changed])
    np.testing.assert_array_equal(also, stamped)
    blanks = watermark.training_set(nominal, anomalous, 0.5, 3, "masked")
    for x, blank in zip((nominal, anomalous), blanks, strict=True):
        np.testing.assert_array_equal(blank, watermark.masked(x))
        assert not blank[:, :, *BOX].any() and (blank[:, :, :20] == x[:, :, :20]).all()
    with pytest.raises(ValueError, match="where='crop': must be anomalous, both or masked"):
        watermark.training_set(nominal, anomalous, 0.5, 3, "crop")


def test_mass_of_flat_empty_and_pointed_maps():
    maps = np.zeros((3, 32, 32), np.float32)
    maps[0] = 2
    maps[1, 31, 0] = 3
    maps[1, 0, 0] = 1
    area = 7 * 14 / 32**2
    np.testing.assert_allclose(watermark.mass_in_box(maps), [area, 0.75, area])
    assert watermark.box_area(32) == area == watermark.box_area(64)


def test_a_detector_that_sees_the_mark_alone():
    def brightness_of_the_box(x):  # white letters: marked images have 255 somewhere in the box
        return (x[:, 0, *BOX] == 255).mean((1, 2))

    def map_of_the_box(x):
        maps = np.full((len(x), 32, 32), 1e-9)
        maps[:, *BOX] += x[:, 0, *BOX] == 255
        return maps

    found = watermark.measure(brightness_of_the_box, map_of_the_box, images(30, 0, (0, 200)), images(20, 1, (0, 200)))
    assert (found["present"], found["removed"], found["moved"]) == (1.0, 0.5, 0.0)
    assert found["mass"] > 0.99 and found["mass_removed"] == pytest.approx(watermark.box_area(32))


def test_a_detector_that_does_not_look_there():
    def upper_half(x):
        return x[:, 0, :16].mean((1, 2))

    def map_of_the_upper_half(x):
        maps = np.zeros((len(x), 32, 32))
        maps[:, :16] = x[:, 0, :16]
        return maps

    found = watermark.measure(upper_half, map_of_the_upper_half, images(30, 0, (0, 100)), images(20, 1, (120, 200)))
    assert found == {"present": 1.0, "removed": 1.0, "moved": 1.0, "mass": 0.0, "mass_removed": 0.0}
