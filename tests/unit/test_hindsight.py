"""The OC-SVM chosen on the test AUROC, against a brute-force grid."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from adlib.companion.hindsight import GAMMA, NU, ocsvm_in_hindsight


@pytest.fixture(scope="module")
def images():
    """(x_train, x_test, y_test): small noisy uint8 images, anomalies a little brighter."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 200, (90, 1, 3, 3)).astype(np.uint8)
    y = np.arange(50) % 2
    x[40:][y == 1] += 30
    return x[:40], x[40:], y


def every_auroc(x_train, x_test, y_test):
    """{(nu, gamma): test AUROC} of scikit-learn's own RBF kernel on rows in [-1, 1]."""
    train, test = ((x.reshape(len(x), -1) / 255 * 2 - 1) for x in (x_train, x_test))
    fitted = {(nu, gamma): OneClassSVM(nu=nu, gamma=gamma).fit(train) for nu in NU for gamma in GAMMA}
    return {settings: roc_auc_score(y_test, -svm.score_samples(test)) for settings, svm in fitted.items()}


def test_the_grid_is_the_papers():
    assert NU == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert GAMMA == (1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4)


def test_it_is_the_best_of_a_brute_force_grid(images):
    brute, best = every_auroc(*images), ocsvm_in_hindsight(*images)
    assert best.auroc == pytest.approx(max(brute.values()), abs=1e-9)
    assert all(best.auroc >= single - 1e-9 for single in brute.values())
    assert brute[best.nu, best.gamma] == pytest.approx(best.auroc, abs=1e-9)
    assert max(brute.values()) - min(brute.values()) > 0.02  # the choice matters


def test_each_cell_of_the_grid_is_that_of_scikit_learn(images):
    brute = every_auroc(*images)
    for (nu, gamma), expected in list(brute.items())[::7]:
        alone = ocsvm_in_hindsight(*images, nu=[nu], gamma=[gamma])
        assert alone[1:] == (nu, gamma) and alone.auroc == pytest.approx(expected, abs=1e-9)


def test_rows_are_not_scaled_and_nothing_is_changed(images):
    x_train, x_test, y = images
    rows = [x.reshape(len(x), -1) / 127.5 - 1 for x in (x_train, x_test)]
    before = [x.copy() for x in (*images, *rows)]
    small = {"nu": [0.5], "gamma": [0.125, 1.0]}
    assert ocsvm_in_hindsight(*rows, y, **small) == ocsvm_in_hindsight(*images, **small)
    for old, now in zip(before, (*images, *rows), strict=True):
        np.testing.assert_array_equal(old, now)
