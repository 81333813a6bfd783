"""The tiles of chapter 10 and how they are split."""

import numpy as np
import pytest

from adlib import data
from adlib.companion import tiles
from adlib.metrics import auroc


@pytest.fixture(scope="module")
def squares():
    return tiles.drawn(48, seed=0, pieces=40)


def test_drawn_tiles_have_defects_where_their_masks_say_so(squares):
    assert squares.x.shape == (80, 1, 48, 48) and squares.x.dtype == np.uint8 and squares.masks.dtype == bool
    assert set(squares.y) == {0, 1, 2} and np.array_equal(squares.y > 0, squares.masks.any((1, 2)))
    for image, mask in zip(squares.x[:, 0].astype(float), squares.masks, strict=True):
        if mask.any():
            assert abs(image[mask].mean() - image[~mask].mean()) > 0.5 * image[~mask].std()
    again = tiles.drawn(48, seed=0, pieces=40)
    assert again.fingerprint == squares.fingerprint != tiles.drawn(48, seed=1, pieces=40).fingerprint


def test_no_group_is_on_both_sides_of_a_split(squares):
    marked = tiles.Tiles(  # each tile carries the number of its group in its first pixel
        "", True, "", squares.classes, squares.x.copy(), squares.masks, squares.y, squares.group
    )
    marked.x[:, 0, 0, 0] = marked.group
    for seed in range(3):
        part = tiles.split(marked, 1000, 1000, seed)
        trained = set(part.x_train[:, 0, 0, 0]) | set(part.known[:, 0, 0, 0])
        assert not trained & set(part.x_test[:, 0, 0, 0])
        assert len(part.known) == 2 and part.known_masks.any((1, 2)).all()
        assert np.array_equal(part.y_test > 0, part.test_masks.any((1, 2)))


def test_sizes_and_seeds_of_a_split(squares):
    part = tiles.split(squares, 10, 6, 0)
    assert len(part.x_train) == 10 and len(part.x_test) == 12 and (part.y_test > 0).sum() == 6
    assert np.array_equal(part.x_test, tiles.split(squares, 10, 6, 0).x_test)
    assert not np.array_equal(part.x_test, tiles.split(squares, 10, 6, 1).x_test)
    one = squares.group == 1
    few = tiles.Tiles(
        "", True, "", squares.classes, *(a[one] for a in (squares.x, squares.masks, squares.y, squares.group))
    )
    with pytest.raises(data.DataError, match="no training group"):
        tiles.split(few, 10, 6, 0)


def test_shrinking_averages_areas():
    x = np.arange(36, dtype=np.float64).reshape(1, 6, 6)
    assert np.allclose(tiles._shrink(x, 3)[0], x[0].reshape(3, 2, 3, 2).mean((1, 3)))
    uneven = tiles._shrink(x, 4)  # edges within pixels: the mean stays
    assert uneven.shape == (1, 4, 4) and np.isclose(uneven.mean(), x.mean())
    assert np.isclose(uneven[0, 0, 0], np.average(x[0, :2, :2], weights=np.outer([1, 0.5], [1, 0.5])))


class Bright:
    """A detector whose heatmap is the darkness of each pixel, and whose score is its largest."""

    def heatmap(self, x):
        return 255 - x[:, 0].astype(np.float32)

    def anomaly_score(self, x):
        return self.heatmap(x).max((1, 2)).astype(float)


def test_tiles_are_measured_by_image_and_by_pixel(squares):
    part = tiles.split(squares, 10, 6, 0)
    found = tiles.measure(Bright(), part)
    maps = Bright().heatmap(part.x_test)
    assert found["image"] == auroc(part.y_test > 0, maps.max((1, 2)))
    assert found["pooled"] == auroc(part.test_masks.ravel(), maps.ravel()) != found["each"]
    odd = part.y_test > 0
    each = [auroc(m.ravel(), h.ravel()) for m, h in zip(part.test_masks[odd], maps[odd], strict=True)]
    assert found["each"] == pytest.approx(np.mean(each))
    assert tiles.measure(Bright(), part, ["each"]).keys() == {"image", "each"}


def test_known_defects_are_told_with_or_without_their_masks(squares):
    part = tiles.split(squares, 10, 6, 0)
    assert tiles.known(part, "none") == {}
    assert tiles.known(part, "defects").keys() == {"outliers"}
    told = tiles.known(part, "masks")
    assert told["outliers"] is part.known and np.array_equal(told["masks"] > 0, part.known_masks)
    with pytest.raises(ValueError, match="way='all': must be none, defects or masks"):
        tiles.known(part, "all")
