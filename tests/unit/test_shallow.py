"""The shallow detectors against scikit-learn."""

import numpy as np
import pytest
from sklearn.svm import OneClassSVM

from adlib import OCSVM


@pytest.mark.parametrize("nu,gamma", [(0.1, "scale"), (0.5, "auto"), (0.8, 0.3)])
def test_ocsvm_is_scikit_learns_with_the_other_sign(nu, gamma):
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(80, 5)), rng.normal(size=(30, 5))
    reference = OneClassSVM(nu=nu, gamma=gamma).fit(x)
    ours = OCSVM(nu=nu, gamma=gamma).fit(x).anomaly_score(new)
    np.testing.assert_allclose(ours, -reference.score_samples(new), rtol=0, atol=1e-9)


def test_ocsvm_flattens_images_to_the_unit_interval():
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 6, 6)).astype(np.uint8)
    reference = OneClassSVM(nu=0.1, gamma=0.2).fit(x.reshape(40, 36) / 255)
    expected = -reference.score_samples(x.reshape(40, 36) / 255)
    np.testing.assert_allclose(OCSVM(gamma=0.2).fit(x).anomaly_score(x), expected, atol=1e-9)


@pytest.mark.parametrize("setting,value", [("nu", 0), ("nu", 1.5), ("gamma", -1.0), ("gamma", "wide")])
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        OCSVM(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))
