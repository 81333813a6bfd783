"""The shallow detectors against scikit-learn."""

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from adlib import KDE, KNN, LOF, OCSVM, IsolationForest, load, save
from adlib.shallow import in_blocks


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
    np.testing.assert_allclose(KDE(variance=0.6, bandwidth=0.5).fit(x).anomaly_score(x), expected, rtol=1e-9)


@pytest.mark.parametrize("setting,value", [("variance", 1.0), ("bandwidth", 0), ("bandwidth", "scott")])
def test_bad_settings_of_kde(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        KDE(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))


@pytest.mark.parametrize("setting,value", [("nu", 0), ("nu", 1.5), ("gamma", -1.0), ("gamma", "wide")])
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        OCSVM(**{setting: value}).fit(np.random.default_rng(0).normal(size=(10, 2)))


# ---- isolation forest, local outlier factor, nearest neighbours


def forest(rows, seed=0):
    return ensemble.IsolationForest(n_estimators=30, max_samples=32, random_state=seed).fit(rows).score_samples


def lof(rows):
    return LocalOutlierFactor(n_neighbors=7, novelty=True).fit(rows).score_samples


def neighbours(rows):
    tree = NearestNeighbors(n_neighbors=3).fit(rows)
    return lambda new: -tree.kneighbors(new)[0][:, -1]


AGAINST = [
    (IsolationForest(n_estimators=30, max_samples=32), forest),
    (LOF(n_neighbors=7), lof),
    (KNN(n_neighbors=3), neighbours),
]


@pytest.mark.parametrize("ours,reference", AGAINST)
@pytest.mark.parametrize("d", [5, 40])  # trees and brute force
def test_scores_are_minus_scikit_learns(ours, reference, d):
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(80, d)), rng.normal(size=(700, d))
    np.testing.assert_allclose(ours.fit(x).anomaly_score(new), -reference(x)(new), rtol=0, atol=1e-9)


@pytest.mark.parametrize("ours,theirs", [
    (OCSVM(), OneClassSVM(nu=0.1)),
    (KDE(bandwidth=2.0), KernelDensity(bandwidth=2.0)),
    (LOF(), LocalOutlierFactor(novelty=True)),
    (IsolationForest(), ensemble.IsolationForest(max_samples=100, random_state=0)),
    (KNN(), None),
])  # fmt: skip
def test_on_digits_they_agree_with_scikit_learn(ours, theirs):
    x, y = load_digits(return_X_y=True)
    train, test = x[y == 3][:100] / 16, x[:600] / 16
    if theirs is None:
        expected = NearestNeighbors().fit(train).kneighbors(test)[0][:, -1]
    else:
        expected = -theirs.fit(train).score_samples(test)
    np.testing.assert_allclose(ours.fit(train).anomaly_score(test), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ours,reference", AGAINST)
def test_images_are_flattened_to_the_unit_interval(ours, reference):
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 6, 6)).astype(np.uint8)
    rows = x.reshape(40, 36) / 255
    np.testing.assert_allclose(ours.fit(x).anomaly_score(x), -reference(rows)(rows), rtol=0, atol=1e-7)


def test_the_forest_follows_its_seed_and_no_other():
    x = np.random.default_rng(0).normal(size=(80, 5))

    def scores(seed):
        return IsolationForest(n_estimators=30, max_samples=32, random_state=seed).fit(x).anomaly_score(x)

    np.testing.assert_allclose(scores(3), -forest(x, 3)(x), rtol=0, atol=1e-9)
    assert not np.array_equal(scores(3), scores(4))
    np.testing.assert_array_equal(scores(np.random.RandomState(3)), scores(np.random.RandomState(3)))


@pytest.mark.parametrize("seed", [None, np.random.RandomState(3)])
def test_the_loaded_forest_is_the_saved_one(seed, tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 5))
    fitted = IsolationForest(random_state=seed).fit(x)
    save(fitted, tmp_path / "forest")
    np.testing.assert_array_equal(load(tmp_path / "forest").anomaly_score(x), fitted.anomaly_score(x))


@pytest.mark.parametrize("method", [LOF, KNN])
def test_offset_leaves_each_row_out(method):
    x = np.random.default_rng(0).normal(size=(60, 3))
    if method is KNN:
        scores = [KNN().fit(np.delete(x, i, 0)).anomaly_score(x[i : i + 1])[0] for i in range(60)]
    else:
        scores = -LocalOutlierFactor(n_neighbors=20).fit(x).negative_outlier_factor_
    assert method().fit(x).offset_ == pytest.approx(np.quantile(-np.array(scores), 0.05), abs=1e-9)


@pytest.mark.parametrize("detector", [KNN(n_neighbors=1, fpr=0.2), KNN(fpr=0.2), LOF(fpr=0.2)])
def test_predict_calls_the_share_fpr_of_new_rows_anomalous(detector):
    rng = np.random.default_rng(0)
    predicted = detector.fit(rng.normal(size=(1000, 4))).predict(rng.normal(size=(4000, 4)))
    assert np.mean(predicted == -1) == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("method", [LOF, KNN])
def test_few_rows_are_all_neighbours(method):
    x, new = np.array([[0.0], [1.0], [3.0]]), np.array([[10.0]])
    expected = method(n_neighbors=2).fit(x).anomaly_score(new)
    np.testing.assert_array_equal(method(n_neighbors=50).fit(x).anomaly_score(new), expected)


@pytest.mark.parametrize("detector", [LOF(), KNN()])
def test_brute_force_scores_do_not_depend_on_the_neighbours(detector):
    rng = np.random.default_rng(0)
    x, new, order = rng.normal(size=(907, 61)), rng.normal(size=(600, 61)), rng.permutation(600)
    whole = detector.fit(x).anomaly_score(new)
    np.testing.assert_array_equal(detector.anomaly_score(new[order]), whole[order])
    parts = [detector.anomaly_score(part) for part in np.split(new, range(1, 100))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_blocks_are_of_one_size(n):
    rows, sizes = np.arange(2.0 * n).reshape(n, 2), []
    scores = in_blocks(lambda block: sizes.append(len(block)) or block.sum(1), rows, size=4)
    assert scores.tolist() == rows.sum(1).tolist() and set(sizes) == {4}


@pytest.mark.parametrize(
    "method,setting", [(IsolationForest, "n_estimators"), (IsolationForest, "max_samples"), (LOF, "n_neighbors")]
)
def test_bad_settings_of_trees_and_neighbours(method, setting):
    with pytest.raises(ValueError, match=f"{setting}.*0"):
        method(**{setting: 0}).fit(np.random.default_rng(0).normal(size=(10, 2)))
