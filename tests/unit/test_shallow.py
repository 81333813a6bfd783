"""The shallow detectors against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KernelDensity
from sklearn.svm import OneClassSVM

from adlib import KDE, OCSVM, load, save


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


def test_kde_is_minus_the_log_density():
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(80, 5)), rng.normal(size=(30, 5))
    square = ((new[:, None] - x) ** 2).sum(2)
    density = np.exp(-square / 2 / 0.7**2).mean(1) / (0.7 * np.sqrt(2 * np.pi)) ** 5
    np.testing.assert_allclose(KDE(bandwidth=0.7).fit(x).anomaly_score(new), -np.log(density), rtol=1e-9)


def test_kde_chooses_its_bandwidth_by_the_likelihood_of_rows_left_out():
    x = 8 * np.random.default_rng(0).normal(size=(100, 2))
    likelihood = {}
    for width in 2 ** np.arange(0.5, 5.5, 0.5):
        folds = np.array_split(np.arange(100), 5)
        fits = [(KernelDensity(bandwidth=width).fit(np.delete(x, fold, 0)), x[fold]) for fold in folds]
        likelihood[width] = sum(density.score(rows) for density, rows in fits)
    best = max(likelihood, key=likelihood.get)
    assert KDE().fit(x).bandwidth_ == pytest.approx(best) and 2**0.5 < best < 32


def test_kde_is_loaded_without_a_second_search(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(40, 3))
    fitted = KDE().fit(x)
    save(fitted, tmp_path / "kde")
    monkeypatch.delattr(KDE, "_best_bandwidth")
    np.testing.assert_array_equal(load(tmp_path / "kde").anomaly_score(x), fitted.anomaly_score(x))


def test_kde_in_principal_components_of_images():
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 6, 6)).astype(np.uint8)
    rows = x.reshape(60, 36) / 255
    pca = PCA(0.6).fit(rows)
    expected = -KernelDensity(bandwidth=0.5).fit(pca.transform(rows)).score_samples(pca.transform(rows))
    assert 1 < pca.n_components_ < 36
    np.testing.assert_allclose(KDE(variance=0.6, bandwidth=0.5).fit(x).anomaly_score(x), expected, rtol=1e-6)


@pytest.mark.parametrize("setting,value", [("variance", 1.0), ("bandwidth", 0), ("bandwidth", "scott")])
def test_bad_settings_of_kde(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        KDE(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))


@pytest.mark.parametrize("setting,value", [("nu", 0), ("nu", 1.5), ("gamma", -1.0), ("gamma", "wide")])
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        OCSVM(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))
