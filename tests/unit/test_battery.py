"""The contract of DESIGN section 4, held against every class in METHODS: a new detector joins by being listed."""

import copy
import json
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.estimator_checks import parametrize_with_checks

from adlib import METHODS, Detector, load, save
from adlib.geom import transform_table
from adlib.nets import fcn_narrow, mlp_autoencoder, small_cnn

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves none of epochs")  # of short trainings; own tests say when

# settings that make a method quick on the small data below
QUICK = {
    "ADGAN": {"epochs": 100, "batch_size": 16, "lr": 2e-3, "search_steps": 20},
    "Autoencoder": {"epochs": 30, "batch_size": 16, "lr": 1e-2},
    "DAGMM": {"net": mlp_autoencoder, "components": 2, "epochs": 100, "batch_size": 40, "lr": 1e-2},
    "DROCC": {"epochs": 20, "batch_size": 16, "ascent_steps": 2, "ascent_step": 0.1, "lr": 1e-2},
    "DROCCLF": {"epochs": 20, "batch_size": 16, "ascent_steps": 2, "ascent_step": 0.1, "project_every": 2, "lr": 1e-2},
    "DROCCOE": {"epochs": 20, "batch_size": 16, "ascent_steps": 0, "lr": 1e-2},
    "DSEBM": {"epochs": 40, "batch_size": 16, "lr": 3e-3},
    "DeepSAD": {"epochs": 60, "batch_size": 16, "lr": 3e-3},
    "DeepSVDD": {"epochs": 60, "batch_size": 16, "lr": 3e-3},
    "FCDD": {"net": fcn_narrow, "epochs": 8, "batch_size": 16, "lr": 1e-2, "crop": 0},
    "GEOM": {"table": transform_table(16, 4, rows=(0,), cols=(0,)), "net": small_cnn, "epochs": 4, "batch_size": 64},
    "GOAD": {"transformations": 32, "d_out": 8, "epochs": 20, "batch_size": 16, "lr": 1e-2},
    "HSC": {"epochs": 30, "batch_size": 16, "lr": 3e-3, "crop": 0, "flip": False},
    "IsolationForest": {},
    "KDE": {},
    "KNN": {},
    "LOF": {"n_neighbors": 5},
    "NoveltyNormalization": {"epochs": 20, "batch_size": 16},
    "OCNN": {"nu": 0.1, "activation": "cosine", "hidden": 256, "epochs": 100, "batch_size": 16, "lr": 1e-2},
    "OCSVM": {},
    "RCAE": {"epochs": 30, "update_every": 7, "batch_size": 16, "lr": 1e-2},
    "RandomFeatures": {},
    "SoftDeepSVDD": {"warmup_epochs": 20, "epochs": 60, "batch_size": 16, "lr": 3e-3},
    "VAE": {"epochs": 40, "batch_size": 16, "lr": 1e-2},
}
LEAVES_ONE_OUT = {"KNN", "LOF"}  # the offset is for new rows: a row of X would find itself in predict
NAMES = sorted(METHODS)
IMAGE_ONLY = [name for name in NAMES if METHODS[name].image_only]
ROWS = [name for name in NAMES if name not in IMAGE_ONLY]
TRAINED = [name for name in NAMES if "lr" in METHODS[name]().get_params()]


def rows(n, seed, anomalous=False):
    """Rows near a 3-dimensional subspace of 8 dimensions; anomalies stand off it, by less than the spread inside it."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, 8))
    x[:, :3] = rng.normal(0, 2, (n, 3))
    return x + rng.normal(0, 1.0 if anomalous else 0.05, (n, 8))


def images(n, seed, anomalous=False):
    """Grey 16 x 16 images, uint8: a bright bar with a knob to the right of its upper end; anomalies: to the left."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 40, (n, 1, 16, 16))
    for image, col in zip(x[:, 0], rng.integers(4, 11, n), strict=True):
        image[2:14, col] += 180
        image[2:5, col - 3 : col] += 120 * anomalous
        image[2:5, col + 1 : col + 4] += 120 * (not anomalous)
    return x.clip(0, 255).astype(np.uint8)


def stained_images(n, seed, anomalous=False):
    """Grey 32 x 32 images, uint8: light noise; anomalies have a darker square."""
    rng = np.random.default_rng(seed)
    x = rng.integers(150, 220, (n, 1, 32, 32))
    for image, row, col in zip(x[:, 0], rng.integers(2, 24, n), rng.integers(2, 24, n), strict=True):
        image[row : row + 6, col : col + 6] -= 80 * anomalous
    return x.astype(np.uint8)


def data_of(name):
    if name == "FCDD":
        return stained_images  # without outliers it needs 32 pixels, and learns to find what is like confetti
    return images if METHODS[name].image_only else rows


def make(name, **settings):
    return METHODS[name](**(QUICK[name] | settings))


@pytest.fixture(scope="module")
def fitted():
    """One fitted detector a method; tests must not change them."""
    return {name: make(name).fit(data_of(name)(80, 0)) for name in NAMES}


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@parametrize_with_checks([METHODS[n](**({"epochs": 2} if n in TRAINED else {})) for n in ROWS])
@pytest.mark.filterwarnings("ignore")  # scikit-learn's own checks warn, of skipped optional ones too
def test_scikit_learn(estimator, check):
    check(estimator)


# ---- the class


def test_settings_of_the_battery_cover_every_method():
    assert sorted(QUICK) == NAMES


def test_dataclass_leaves_equality_and_repr_alone(name):
    method = METHODS[name]
    assert method.__eq__ is object.__eq__ and method.__hash__ is object.__hash__
    assert method.__repr__ is BaseEstimator.__repr__


def test_inheritance_is_flat(name):
    """One parent a class; what stands between a method and Detector is in the method's own file."""
    line = METHODS[name].__mro__[: METHODS[name].__mro__.index(Detector)]
    assert all(len(cls.__bases__) == 1 and cls.__module__ == METHODS[name].__module__ for cls in line)


def test_clone_get_params_and_pickle(name, fitted):
    twin = clone(fitted[name])
    assert twin.get_params().keys() == fitted[name].get_params().keys()
    with pytest.raises(NotFittedError):
        twin.anomaly_score(data_of(name)(4, 1))
    x = data_of(name)(4, 1)
    again = pickle.loads(pickle.dumps(fitted[name]))
    np.testing.assert_array_equal(again.anomaly_score(x), fitted[name].anomaly_score(x))


@pytest.mark.parametrize("name", ROWS)
def test_pipeline_and_grid_search(name):
    x = rows(60, 0)
    pipe = make_pipeline(StandardScaler(), make(name)).fit(x)
    assert pipe.predict(x).shape == (60,)
    search = GridSearchCV(
        make(name), {"fpr": [0.1, 0.3]}, cv=2, scoring=lambda d, x, y: -abs(np.mean(d.predict(x) < 0) - 0.3)
    )
    assert set(search.fit(x, np.zeros(60)).cv_results_["param_fpr"]) == {0.1, 0.3}


# ---- randomness


def test_refit_and_fresh_object_give_the_same_scores(name, fitted):
    x, again = data_of(name)(80, 0), make(name).fit(data_of(name)(80, 0))
    first = again.anomaly_score(x)
    np.testing.assert_array_equal(first, fitted[name].anomaly_score(x))
    np.testing.assert_array_equal(first, again.fit(x).anomaly_score(x))


@pytest.mark.parametrize("name", TRAINED)
def test_the_seed_matters(name, fitted):
    x = data_of(name)(80, 0)
    assert not np.array_equal(make(name, random_state=1).fit(x).anomaly_score(x), fitted[name].anomaly_score(x))


def test_the_callers_random_state_is_untouched(name, fitted, tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    make(name).fit(data_of(name)(20, 0)).anomaly_score(data_of(name)(20, 1))
    save(fitted[name], tmp_path / "d")
    load(tmp_path / "d")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_the_callers_random_state_does_not_matter(name, fitted):
    torch.manual_seed(99)
    np.random.seed(99)
    x = data_of(name)(80, 0)
    np.testing.assert_array_equal(make(name).fit(x).anomaly_score(x), fitted[name].anomaly_score(x))


def test_two_threads_do_not_disturb_each_other(name, fitted):
    x, scores = data_of(name)(80, 0), {}

    def work(i):
        scores[i] = make(name).fit(x).anomaly_score(x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        np.testing.assert_array_equal(scores[i], fitted[name].anomaly_score(x))


# ---- scores


def test_scores_are_float64_vary_and_rise_with_anomaly(name, fitted):
    make_data = data_of(name)
    x = np.concatenate([make_data(60, 2), make_data(60, 3, anomalous=True)])
    s = fitted[name].anomaly_score(x)
    assert s.shape == (120,) and s.dtype == np.float64
    assert len(np.unique(s)) > 0.9 * 120
    # OC-NN's kernel is as wide as the data, and the anomalies here stand off them by less
    assert roc_auc_score(np.repeat([0, 1], 60), s) > (0.75 if name == "OCNN" else 0.85)


def test_scikit_learn_signs(name, fitted):
    d, x = fitted[name], data_of(name)(80, 0)
    s = d.anomaly_score(x)
    np.testing.assert_array_equal(d.score_samples(x), -s)
    np.testing.assert_allclose(d.decision_function(x), -s - d.offset_)
    np.testing.assert_array_equal(d.predict(x), np.where(-s - d.offset_ >= 0, 1, -1))
    if name not in LEAVES_ONE_OUT:
        assert np.mean(d.predict(x) == -1) == pytest.approx(d.fpr, abs=1 / 80)


def other_values(detector):
    """{setting: another allowed value}, of the settings that are numbers, switches or one of several words."""
    found = {}
    for name, value in detector.get_params().items():
        words = [c for c in detector._parameter_constraints.get(name, []) if isinstance(c, StrOptions)]
        if isinstance(value, bool):
            found[name] = not value
        elif isinstance(value, int | float):
            found[name] = value * 0.5 or 0.5 if isinstance(value, float) else value + 1
        elif words:
            found[name] = min(words[0].options - {value}, default=value)
    return found


def test_predict_refuses_a_score_other_than_that_of_fit(name, fitted):
    """And every setting that a score depends on is known to be one."""
    x, d = data_of(name)(20, 5), copy.deepcopy(fitted[name])
    scores, asked = d.anomaly_score(x), d.get_params()
    for setting, value in (other_values(d) | {"VAE": {"sigma": 2.0}}.get(name, {})).items():
        d.set_params(**{setting: value})
        if setting in d.scored_by:
            with pytest.raises(ValueError, match=f"{setting}=.*offset_ belongs to {setting}="):
                d.predict(x)
        else:
            np.testing.assert_array_equal(d.anomaly_score(x), scores, err_msg=setting)
            d.predict(x)
        d.set_params(**asked)
    d.predict(x)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_beats_untrained(name, fitted):
    make_data = data_of(name)
    x = np.concatenate([make_data(100, 2), make_data(100, 3, anomalous=True)])
    y = np.repeat([0, 1], 100)
    untrained = make(name, lr=1e-12, epochs=1).fit(make_data(80, 0))
    assert roc_auc_score(y, fitted[name].anomaly_score(x)) > roc_auc_score(y, untrained.anomaly_score(x)) + 0.05


def test_a_rows_score_does_not_depend_on_its_neighbours(name, fitted):
    d, x = fitted[name], data_of(name)(70, 4)
    whole = d.anomaly_score(x)
    order = np.random.default_rng(0).permutation(70)
    np.testing.assert_array_equal(d.anomaly_score(x[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([d.anomaly_score(part) for part in np.split(x, [1, 8, 33])]), whole)


def test_scoring_changes_nothing(name, fitted):
    d, x = fitted[name], data_of(name)(30, 4)
    before = {k: v.clone() for k, v in d._state().items()}
    settings, first = copy.deepcopy(d.get_params()), d.anomaly_score(x)
    assert np.array_equal(d.anomaly_score(x), first) and str(d.get_params()) == str(settings)
    assert all(torch.equal(v, before[k]) for k, v in d._state().items())


# ---- input


def test_input_is_never_changed_and_may_be_read_only_or_mapped(name, fitted, tmp_path):
    x = data_of(name)(40, 0)
    kept = x.copy()
    x.flags.writeable = False
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = make(name).fit(kept).anomaly_score(kept)
    for given in (x, mapped, x[::-1][::-1], np.asfortranarray(x)):
        np.testing.assert_array_equal(make(name).fit(given).anomaly_score(given), expected)
    np.testing.assert_array_equal(x, kept)


def test_tensors_and_lists_score_as_arrays_do(name, fitted):
    x = data_of(name)(20, 4)
    if x.dtype != np.uint8:
        x = x.astype(np.float32)
    expected = fitted[name].anomaly_score(x)
    for given in (torch.from_numpy(x), torch.from_numpy(x).requires_grad_() if x.dtype != np.uint8 else x):
        np.testing.assert_allclose(fitted[name].anomaly_score(given), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8", np.int16, np.uint8, np.int64, bool])
def test_any_dtype(name, fitted, dtype):
    x = data_of(name)(20, 4).clip(0, 100).astype(dtype)
    assert np.isfinite(fitted[name].anomaly_score(x)).all()
    if dtype not in (">f8", bool):
        np.testing.assert_allclose(
            fitted[name].anomaly_score(torch.from_numpy(x)), fitted[name].anomaly_score(x), rtol=1e-5
        )


def test_uint8_images_are_scaled_to_one(name):
    x = data_of(name)(40, 0) if METHODS[name].image_only else images(40, 0)
    more = {"ascent_step": 0.5} if name.startswith("DROCC") else {}  # in 256 dimensions
    more |= {"net": None} if name == "DAGMM" else {}  # the quick one is for rows
    scores = [
        make(name, **more).fit(given).anomaly_score(given) for given in (x, (x / 255).astype(np.float32))
    ]
    np.testing.assert_allclose(*scores, rtol=2e-2, atol=1e-4)


def test_y_is_ignored(name, fitted):
    x = data_of(name)(80, 0)
    np.testing.assert_array_equal(
        make(name).fit(x, y=["anything"] * 3).anomaly_score(x), fitted[name].anomaly_score(x)
    )


def bad_inputs(name):
    x = data_of(name)(10, 0)
    nan = x.astype(float)
    nan.flat[3] = np.nan
    return {
        "nan": (nan, "NaN"),
        "inf": (np.where(np.isnan(nan), np.inf, nan), "inf"),
        "empty": (x[:0], "0 sample|minimum"),
        "wrong rank": (x.reshape(10, -1, 2), r"3-D|dim"),
        "one number": (np.float64(3.0), "array|expects|takes"),
        "strings": (np.full(x.shape, "a"), "convert|numeric|string"),
        "complex": (x.astype(complex), "[Cc]omplex"),
        "nan tensor": (torch.from_numpy(nan), "NaN"),
        "empty tensor": (torch.from_numpy(x[:0]), "0 sample"),
        "wrong rank tensor": (torch.from_numpy(x).reshape(10, -1, 2), "3-D"),
    }


@pytest.mark.parametrize("kind", bad_inputs("OCSVM"))
def test_bad_input_is_one_clear_sentence(name, fitted, kind):
    x, words = bad_inputs(name)[kind]
    for call in (make(name).fit, fitted[name].anomaly_score):
        with pytest.raises((ValueError, TypeError), match=words) as caught:
            call(x)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", TRAINED)
def test_rows_beyond_float32_are_refused_in_fit_and_in_scoring(name, fitted):
    x = data_of(name)(10, 0) * 1e39
    for call in (make(name).fit, fitted[name].anomaly_score):
        with pytest.raises(ValueError, match="X has values beyond the range of float32|X goes from 1"):
            call(x)


def test_one_row_cannot_be_fitted_but_scored(name, fitted):
    x = data_of(name)(1, 0)
    for given in (x, torch.from_numpy(x)):
        with pytest.raises(ValueError, match="1 sample"):
            make(name).fit(given)
        assert fitted[name].anomaly_score(given).shape == (1,)


def test_other_shape_than_at_fit(name, fitted):
    x = data_of(name)(10, 0)
    wider = np.concatenate([x, x], axis=-1)
    for given in (wider, torch.from_numpy(wider)):
        with pytest.raises(ValueError, match=str(wider.shape[-1])):
            fitted[name].anomaly_score(given)


def test_side_information_is_checked_and_at_hand_while_training(monkeypatch):
    class Informed(METHODS["DeepSVDD"]):
        takes_outliers = takes_masks = True

        def _draw(self, x, index, generator):
            seen.append((self._outliers, self._masks))
            return super()._draw(x, index, generator)

    x, seen = images(10, 0) / 255, []
    d = Informed(epochs=1).fit(x, outliers=x[:3], masks=x[:3, 0] > 0.5)
    assert seen[0][0].shape == (3, 1, 16, 16) and torch.equal(seen[0][1], torch.tensor(x[:3, 0] > 0.5).float())
    assert "_outliers" not in vars(d) and "_masks" not in vars(d)
    for bad, words in ((x[:, :, :4], "4"), (np.full((2, 1, 16, 16), np.nan), "NaN")):
        with pytest.raises(ValueError, match=words):
            d.fit(x, outliers=bad)
    nan = np.where(np.arange(16) < 15, 1.0, np.nan)
    for bad, words in (
        (x[:2, 0], r"\(2, 16, 16\): \(3, 16, 16\) is needed"),
        (x[:3], r"\(3, 1, 16, 16\): \(3, 16, 16\)"),
        (255 * x[:3, 0].round(), "masks hold 255: from 0 .* to 1"),
        (torch.full((3, 16, 16), -1), "masks hold -1"),
        (np.broadcast_to(nan, (3, 16, 16)), "masks hold nan"),
        ("m", "masks are of type <U1: bool, or numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            d.fit(x, outliers=x[:3], masks=bad)
    with pytest.raises(ValueError, match="masks without outliers"):
        d.fit(x, masks=x[:3, 0])


def test_unused_side_information_is_refused(name):
    x = data_of(name)(10, 0)
    for kind in ("outliers", "masks"):
        if not getattr(METHODS[name], f"takes_{kind}"):
            with pytest.raises(ValueError, match=f"takes no {kind}"):
                make(name).fit(x, **{kind: x})


@pytest.mark.parametrize("setting,value", [("fpr", 0), ("fpr", 1.5), ("random_state", "a"), ("device", 3)])
def test_bad_settings_name_the_value(name, setting, value):
    with pytest.raises(ValueError, match=f"(?s){setting}.*{value}"):
        make(name, **{setting: value}).fit(data_of(name)(10, 0))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("setting,value", [("epochs", 0), ("batch_size", 1), ("lr", -1.0), ("net", "resnet")])
def test_bad_training_settings_name_the_value(name, setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        make(name, **{setting: value}).fit(data_of(name)(10, 0))


@pytest.mark.parametrize("name", TRAINED)
def test_a_module_is_no_factory(name):
    with pytest.raises(ValueError, match="net is a module: a factory is needed"):
        make(name, net=torch.nn.Linear(8, 4)).fit(data_of(name)(10, 0))


@pytest.mark.parametrize("device", ["gpu9", "cuda:77", "meta"])
def test_unknown_device(name, device):
    with pytest.raises(ValueError, match=f"device='{device}'.*allowed here: auto, cpu"):
        make(name, device=device).fit(data_of(name)(10, 0))


def test_a_fit_that_fails_leaves_the_detector_unfitted(name):
    d = make(name).fit(data_of(name)(20, 0))
    with pytest.raises(ValueError):
        d.fit(data_of(name)(20, 0)[:1])
    with pytest.raises(NotFittedError):
        d.predict(data_of(name)(2, 0))


# ---- training


@pytest.mark.parametrize("name", TRAINED)
def test_history_and_on_epoch(name):
    x, seen = data_of(name)(40, 0), []
    d = make(name, epochs=3)
    d.fit(x, on_epoch=lambda epoch, loss: seen.append((epoch, loss, d.anomaly_score(x), d.predict(x))))
    assert [s[0] for s in seen] == [0, 1, 2] and [s[1] for s in seen] == d.history_
    for epoch, _, scores, predictions in seen:  # the callback sees the detector as if it had been trained that long
        shorter = make(name, epochs=epoch + 1).fit(x)
        np.testing.assert_array_equal(scores, shorter.anomaly_score(x))
        np.testing.assert_array_equal(predictions, shorter.predict(x))
    np.testing.assert_array_equal(d.anomaly_score(x), make(name, epochs=3).fit(x).anomaly_score(x))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("rest", [1, 2])
def test_a_short_last_batch_is_trained_on(name, rest, fitted):
    x, seen = data_of(name)(33, 0), []
    items = fitted[name]._items(x)
    d = make(name, epochs=1, batch_size=items - rest)
    draw = d._draw
    d._draw = lambda x, index, generator: seen.append(len(index)) or draw(x, index, generator)
    d.fit(x)
    assert seen == ([items] if rest == 1 else [items - 2, 2]) and np.isfinite(d.history_).all()


@pytest.mark.parametrize("name", TRAINED)
def test_diverging_training_is_an_error(name):
    x = data_of(name)(40, 0)
    with pytest.raises(ValueError, match="lower lr"):
        make(name, lr=1e30, epochs=3).fit(x)


@pytest.mark.parametrize("name", TRAINED)
def test_amp_trains_and_scores_in_float32(name):
    x = data_of(name)(40, 0)
    d = make(name, amp=True).fit(x)
    assert all(v.dtype != torch.bfloat16 for v in d._state().values())
    other = np.concatenate([x, data_of(name)(40, 1, anomalous=True)])
    assert roc_auc_score(np.repeat([0, 1], 40), d.anomaly_score(other)) > 0.7


@pytest.mark.parametrize("name", TRAINED)
def test_compile_gives_the_same_detector(name, monkeypatch):
    x, used, real = data_of(name)(32, 0), [], torch.compile

    def compile_without_a_c_compiler(function):
        used.append(function)
        return real(function, backend="aot_eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", compile_without_a_c_compiler)
    eager, compiled = (make(name, epochs=1, batch_size=32, compile=c).fit(x).anomaly_score(x) for c in (False, True))
    assert len(used) == 1
    np.testing.assert_allclose(compiled, eager, rtol=1e-3)


def test_nothing_is_printed(name, capfd):
    make(name).fit(data_of(name)(20, 0)).anomaly_score(data_of(name)(20, 0))
    assert capfd.readouterr() == ("", "")


# ---- saving


LOAD_AND_SCORE = "import sys, numpy; from adlib import load; d = load(sys.argv[1]); x = numpy.load(sys.argv[2]); " \
    "numpy.save(sys.argv[3], numpy.stack([d.anomaly_score(x), d.decision_function(x)]))"  # fmt: skip


def test_save_and_load_in_another_process(name, fitted, tmp_path):
    x = data_of(name)(30, 4)
    np.save(tmp_path / "x.npy", x)
    save(fitted[name], tmp_path / "d.safetensors")
    files = [str(tmp_path / f) for f in ("d.safetensors", "x.npy", "s.npy")]
    subprocess.run([sys.executable, "-c", LOAD_AND_SCORE, *files], check=True)
    scores, decisions = np.load(tmp_path / "s.npy")
    np.testing.assert_allclose(scores, fitted[name].anomaly_score(x), rtol=1e-5)
    np.testing.assert_allclose(decisions, fitted[name].decision_function(x), rtol=1e-4, atol=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.safetensors", "s.npy", "x.npy"]


def test_load_gives_back_settings_and_learned_values(name, fitted, tmp_path):
    save(fitted[name], tmp_path / "d")
    d = load(tmp_path / "d")
    assert str(d.get_params()) == str(fitted[name].get_params())
    assert d._learned() == fitted[name]._learned()
    assert d.fit(data_of(name)(20, 0)) is d


def test_a_threshold_of_your_own_is_kept(name, fitted, tmp_path):
    d = copy.deepcopy(fitted[name])
    d.offset_ = np.float32(-123)
    save(d, tmp_path / "d")
    assert load(tmp_path / "d").offset_ == -123


def test_a_pipeline_and_a_class_of_your_own_are_not_saved(fitted, tmp_path):
    class Mine(METHODS["KNN"]):
        pass

    for given in (make_pipeline(StandardScaler(), make("KNN")), Mine().fit(rows(20, 0))):
        with pytest.raises(ValueError, match=f"A {type(given).__name__} is no detector of adlib"):
            save(given, tmp_path / "d")
    assert not list(tmp_path.iterdir())


def test_tied_weights_and_settings_of_numpy_are_saved(tmp_path):
    def tied(shape):
        net = mlp_autoencoder(shape)
        net.again = next(net.children())
        return net

    d = METHODS["Autoencoder"](net=tied, epochs=np.int64(2)).fit(rows(20, 0))
    save(d, tmp_path / "d")
    again = load(tmp_path / "d", net=tied)
    np.testing.assert_array_equal(again.anomaly_score(rows(5, 1)), d.anomaly_score(rows(5, 1)))
    assert again.epochs == 2


def test_a_method_without_network_takes_none(fitted, tmp_path):
    save(fitted["KNN"], tmp_path / "d")
    with pytest.raises(ValueError, match="KNN has no network"):
        load(tmp_path / "d", net=mlp_autoencoder)


@pytest.mark.parametrize("content", [b"", b"not a detector", b"PK\x03\x04" * 100])
def test_foreign_file(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ValueError, match="not a file written by adlib.save"):
        load(tmp_path / "f")


@pytest.mark.parametrize(
    "change,words",
    [
        ({"format": 2}, "format 2"),
        ({"method": "Nothing"}, "'Nothing'"),
        ({"settings": {"nosuch": 1}}, "does not fit this.*nosuch"),
        ({"settings": {"net": "nosuch"}}, "does not fit this.*nosuch"),
        ({"learned": {}}, "does not fit this"),
    ],
)
def test_files_of_another_version(name, fitted, tmp_path, change, words):
    path = tmp_path / "d"
    save(fitted[name], path)
    with safe_open(path, "pt") as file:
        head = json.loads(file.metadata()["adlib"])
        tensors = {key: file.get_tensor(key) for key in file.keys() if not key.startswith("setting.")}
    save_file(tensors, path, {"adlib": json.dumps(head | change)})
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_saving_into_a_missing_folder(name, fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        save(fitted[name], tmp_path / "nodir" / "d")


def test_what_is_saved_does_not_follow_the_callers_array(name, tmp_path):
    x = data_of(name)(40, 0)
    d = make(name).fit(x)
    kept, scores = x.copy(), d.anomaly_score(x)
    x[:] = 0
    save(d, tmp_path / "d")
    np.testing.assert_allclose(load(tmp_path / "d").anomaly_score(kept), scores, rtol=1e-5)


def test_truncated_missing_and_unfitted(name, fitted, tmp_path):
    path = tmp_path / "d"
    save(fitted[name], path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged"):
        load(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "nothing")
    with pytest.raises(NotFittedError):
        save(make(name), tmp_path / "unfitted")
    assert not (tmp_path / "unfitted").exists()


class OwnNet(torch.nn.Linear):
    """Features of flattened rows, and a way back, so that every method can train it."""

    def __init__(self, shape, features):
        super().__init__(int(np.prod(shape)), features, bias=False)
        self.shape = shape

    def forward(self, x):
        return super().forward(x.flatten(1))

    encode = forward

    def decode(self, code):
        return (code @ self.weight).view(-1, *self.shape)


def own_net(shape):
    return OwnNet(shape, 4)


def narrower_net(shape):
    return OwnNet(shape, 3)


def own_maps(shape):
    return torch.nn.Conv2d(shape[0], 1, 5, padding=2)


def narrower_maps(shape):
    return torch.nn.Conv2d(shape[0], 1, 3, padding=1)


@pytest.mark.parametrize("name", TRAINED)
def test_a_net_of_your_own_is_asked_for(name, tmp_path):
    x = data_of(name)(20, 0)
    own, narrower = (own_maps, narrower_maps) if name == "FCDD" else (own_net, narrower_net)
    d = make(name, net=own, epochs=1).fit(x)
    save(d, tmp_path / "d")
    with pytest.raises(ValueError, match=r"load\(path, net=...\)"):
        load(tmp_path / "d")
    np.testing.assert_array_equal(load(tmp_path / "d", net=own).anomaly_score(x), d.anomaly_score(x))
    with pytest.raises(ValueError, match="does not fit this"):
        load(tmp_path / "d", net=narrower)
