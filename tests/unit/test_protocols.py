"""What a point of a sweep measures."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_sweep import DIGITS, SPEC, Mean, changed, commit, first_point, keys, run, run_points, write_spec

import adlib
from adlib import FCDD, KNN, DeepSVDD, data, nets
from adlib.companion import attacked, canaries, claims, datasets, heatmaps, protocols, recorded, sweep, tiles
from adlib.companion.hindsight import ocsvm_in_hindsight
from adlib.fcdd import receptive_field
from adlib.metrics import auroc, f1_at_ratio

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_line_says_what_was_run_and_rescoring_does_not_refit(checkout):
    key = keys()[1]
    torch.set_num_threads(2)
    run_points([key])
    line = json.loads(Path(f"build/{key}.json").read_text())
    near, far = line["values"]["01-toy/auroc_8v3_near"], line["values"]["01-toy/auroc_8v3_far"]
    assert near == pytest.approx(1 - far) and 0 < near < 1 and near != far
    assert Mean.fits == 2  # the point's own and the canary's
    digits = data.load("digits")
    assert line["dataset"] == {"label": DIGITS, "exact": True, "fingerprint": digits.fingerprint}
    assert line["point"]["seed"] == 1 and line["key"] == key == recorded.key_of(line["point"])
    head = subprocess.run(["git", "rev-parse", "HEAD"], text=True, capture_output=True).stdout.strip()
    assert line["commit"] == head and line["profile"] == "reduced" and line["sweep"] == "toy"
    assert line["versions"]["torch"] == torch.__version__ and line["device"]
    assert line["canary"]["shape"] == [1, 32, 32] and torch.get_num_threads() == 1


def test_the_auroc_of_a_point_is_that_of_a_hand_made_run(checkout):
    point = recorded.read_sweep(Path("results/sweeps/toy.yml")).points()[keys()[0]]
    point = {**point, "n_train": 20, "data": {**point["data"], "pad_to": 36}}
    values, _, shape = protocols.evaluate(point)
    digits = data.load("digits")
    train = digits.x_train[digits.y_train == 8]
    train = np.pad(protocols.subset(train, 20, 0, "n_train")[0], ((0, 0), (0, 0), (2, 2), (2, 2)))
    keep = (digits.y_test == 8) | (digits.y_test == 3)
    test = np.pad(digits.x_test[keep], ((0, 0), (0, 0), (2, 2), (2, 2)))
    scores = Mean(lr=0.5).fit(train).anomaly_score(test)
    is_three = digits.y_test[keep] == 3
    pairs = scores[is_three][:, None] - scores[~is_three][None, :]
    assert values["01-toy/auroc_8v3_near"] == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    assert shape == (1, 36, 36)


def test_several_classes_can_be_normal_together(checkout):
    spec = changed(SPEC, evidence="01-toy/auroc_{normal}", normal=[3, [8, 5]], anomaly=None)
    write_spec(checkout, {**spec, "seeds": 1})
    first, second = recorded.read_sweep(Path("results/sweeps/toy.yml")).points().values()
    assert [first["evidence"], second["evidence"]] == ["01-toy/auroc_3", "01-toy/auroc_8_5"]
    digits = data.load("digits")
    scores = Mean(lr=0.5).fit(digits.x_train[np.isin(digits.y_train, [8, 5])]).anomaly_score(digits.x_test)
    assert protocols.evaluate(second)[0]["01-toy/auroc_8_5_near"] == auroc(~np.isin(digits.y_test, [8, 5]), scores)


def test_a_subset_is_drawn_with_the_seed_and_keeps_the_order():
    x = np.arange(100)
    (one, rows), (two, _) = (protocols.subset(x, 10, seed, "n_train") for seed in (0, 1))
    assert len(set(one)) == 10 and (np.diff(one) > 0).all() and set(one) != set(two)
    assert np.array_equal(one, protocols.subset(x, 10, 0, "n_test")[0]) and np.array_equal(one, x[rows])
    assert np.array_equal(protocols.subset(x, 0, 0, "n_train")[0], x)
    with pytest.raises(recorded.SweepError, match="n_train=101 is more than the 100"):
        protocols.subset(x, 101, 0, "n_train")


def eight_and_three():
    """Digits: training images of 8, test images of 8 and 3, and whether these are 3."""
    digits = data.load("digits")
    keep = (digits.y_test == 8) | (digits.y_test == 3)
    return digits.x_train[digits.y_train == 8], digits.x_test[keep], digits.y_test[keep] == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_n_test_draws_test_images_with_the_seed(checkout, seed):
    values, _, _ = protocols.evaluate(first_point(n_test=30, seed=seed))
    train, test, is_three = eight_and_three()
    rows = np.sort(np.random.default_rng(seed).choice(len(test), size=30, replace=False))
    detector = Mean(lr=0.5, random_state=seed).fit(train)
    assert values["01-toy/auroc_8v3_near"] == auroc(is_three[rows], detector.anomaly_score(test[rows]))
    assert values != protocols.evaluate(first_point(n_test=0, seed=seed))[0]


def test_turned_turns_training_and_test_images_each_with_a_stream_of_its_own(checkout, monkeypatch):
    turn, streams = data.flip_and_rotate, []

    def record(x, degrees, seed):
        streams.append((len(x), x.shape[-1], degrees, seed))
        return turn(x, degrees, seed)

    monkeypatch.setattr(data, "flip_and_rotate", record)
    point = first_point(seed=4, turned=30, n_train=20, n_test=30)
    values, _, shape = protocols.evaluate({**point, "data": {**point["data"], "pad_to": 36}})
    assert streams == [(20, 32, 30, [4, 0]), (30, 32, 30, [4, 1])] and shape == (1, 36, 36)  # turned, then padded
    train, test, is_three = eight_and_three()
    (train, _), (test, rows) = protocols.subset(train, 20, 4, "n_train"), protocols.subset(test, 30, 4, "n_test")
    train, test = data.pad(turn(train, 30, [4, 0]), 36), data.pad(turn(test, 30, [4, 1]), 36)
    by_hand = auroc(is_three[rows], Mean(lr=0.5, random_state=4).fit(train).anomaly_score(test))
    assert values["01-toy/auroc_8v3_near"] == by_hand


def test_contamination_and_contrast_are_those_of_the_data_module(checkout):
    point = first_point(seed=4, n_train=20, n_test=30, contamination=0.2, contrast=True)
    values, _, _ = protocols.evaluate(point)
    train, test, is_three = eight_and_three()
    (train, _), (test, rows) = protocols.subset(train, 20, 4, "n_train"), protocols.subset(test, 30, 4, "n_test")
    train = data.contaminate(train, data.load("digits"), 8, 0.2, 4)
    assert len(train) == 24
    train, test = data.normalize_contrast(train, test)
    by_hand = auroc(is_three[rows], Mean(lr=0.5, random_state=4).fit(train).anomaly_score(test))
    assert values["01-toy/auroc_8v3_near"] == by_hand


@pytest.mark.parametrize("in_sample", [False, True])
def test_attacked_images_are_scored_against_the_class_one_attack_at_a_time(checkout, monkeypatch, in_sample):
    steps = [5] if in_sample else [5, 50]
    ds = data.load("digits")
    train, test = ds.x_train[ds.y_train == 8], ds.x_test[ds.y_test == 8]
    threes = ds.x_test[ds.y_test == 3]  # the attacks must not all come out alike
    attacks = {n: attacked.Attack((threes if n == 5 else test)[:4], n / 10, 0.75) for n in steps}
    split = attacked.Attacked(train, np.concatenate([test, *(a.images for a in attacks.values())]),
                              np.repeat([0, *steps], [len(test)] + [4] * len(steps)), attacks)  # fmt: skip
    asked = []
    monkeypatch.setattr(attacked, "attacked_split", lambda ds, *more: asked.append((ds.name, *more)) or split)
    more = {"in_sample": True} if in_sample else {}
    point = first_point(seed=4, contrast=True, rescore={}, attack_steps=steps, **more)
    values, _, _ = protocols.evaluate(point)
    assert asked == [("digits", 8, steps, 4, in_sample)] and set(values) == set(recorded.value_keys(point))
    train, x = data.normalize_contrast(train, split.x_test)
    scores = Mean(lr=0.5, random_state=4).fit(train).anomaly_score(x)
    for i, n in enumerate(steps):
        some = np.r_[np.arange(len(test)), len(test) + 4 * i + np.arange(4)]
        assert values[f"01-toy/auroc_8v3_s{n}"] == auroc(np.repeat([0, 1], [len(test), 4]), scores[some])
        assert values[f"01-toy/auroc_8v3_rms_s{n}"] == n / 10
    assert values["01-toy/auroc_8v3_accuracy"] == 0.75


@pytest.mark.parametrize("where", ["anomalous", "both", "masked"])
def test_a_watermark_is_measured_as_the_chapter_does(checkout, where):
    from adlib.companion import watermark

    point = first_point(seed=4, rescore={}, n_train=20, n_test=30, n_outliers=8, watermark=where, watermark_share=0.5)
    values, _, _ = protocols.evaluate(point)
    assert set(values) == set(recorded.value_keys(point)) and len(values) == 5
    train, test, is_three = eight_and_three()
    known = data.load("digits").x_train[data.load("digits").y_train == 3]
    (train, _), (known, _) = protocols.subset(train, 20, 4, ""), protocols.subset(known, 8, 4, "")
    test, rows = protocols.subset(test, 30, 4, "")
    is_three = is_three[rows]
    train, known = watermark.training_set(train, known, 0.5, 4, where)
    mean = Mean(lr=0.5, random_state=4).fit(train, outliers=known)
    shown = watermark.masked if where == "masked" else (lambda x: x)
    score, heat = lambda x: mean.anomaly_score(shown(x)), lambda x: mean.heatmap(shown(x))
    by_hand = watermark.measure(score, heat, test[~is_three], test[is_three])
    assert values == {f"01-toy/auroc_8v3_{name}": value for name, value in by_hand.items()}


def test_outliers_are_drawn_from_another_data_set(checkout):
    point = first_point(seed=4, rescore={}, n_train=20, n_test=30, outliers="digits", n_outliers=9)
    values, _, _ = protocols.evaluate(point)
    train, test, is_three = eight_and_three()
    (train, _), (test, rows) = protocols.subset(train, 20, 4, ""), protocols.subset(test, 30, 4, "")
    known, _ = protocols.subset(data.load("digits").x_train, 9, 4, "")
    mean = Mean(lr=0.5, random_state=4).fit(train, outliers=known)
    assert values == {"01-toy/auroc_8v3": auroc(is_three[rows], mean.anomaly_score(test))}


def test_measures_beside_the_auroc_are_those_of_the_chapter(checkout):
    point = first_point(seed=4, rescore={}, n_train=20, n_test=30, also=["turned", "middle", "hottest"])
    values, _, _ = protocols.evaluate(point)
    assert list(values) == recorded.value_keys(point)
    train, test, is_three = eight_and_three()
    (train, _), (test, rows) = protocols.subset(train, 20, 4, ""), protocols.subset(test, 30, 4, "")
    mean = Mean(lr=0.5, random_state=4).fit(train)
    for name in point["also"]:
        assert values[f"01-toy/auroc_8v3_{name}"] == getattr(heatmaps, name)(mean, test, is_three[rows])


@pytest.mark.parametrize("known", ["none", "defects"])
def test_tiles_are_split_and_measured_as_the_chapter_does(checkout, monkeypatch, known):
    squares, monkeyed = tiles.drawn(24, seed=0, pieces=24), []
    monkeypatch.setattr(tiles, "resized", lambda ds, size: monkeyed.append((ds.name, size)) or squares)
    point = first_point(
        seed=4, rescore={}, n_train=10, n_test=6, tiles=known, tile_size=24, also=["each", "pooled"], widths=[4, 12]
    )
    monkeypatch.setattr(Mean, "heatmap", lambda self, x: np.abs(x - self.mean_)[:, 0] * self.lr)
    monkeypatch.setattr(Mean, "sigma", None, raising=False)
    monkeypatch.setattr(Mean, "set_params", lambda self, **new: self.__dict__.update(new) or self)
    values, _, shape = protocols.evaluate(point)
    assert list(values) == recorded.value_keys(point) and len(values) == 7
    assert shape == (1, 24, 24) and monkeyed == [("digits", 24)]
    part = tiles.split(squares, 10, 6, 4)
    mean = Mean(lr=0.5, random_state=4).fit(part.x_train, **tiles.known(part, known))
    found = tiles.measure(mean, part)
    assert values["01-toy/auroc_8v3_image"] == found["image"]
    assert values["01-toy/auroc_8v3_sigma12_each"] == values["01-toy/auroc_8v3_each"] == found["each"]


def test_a_network_may_have_arguments(checkout, monkeypatch):
    monkeypatch.setattr(adlib, "METHODS", {"FCDD": FCDD})
    point = first_point(method="FCDD", rescore={}, settings={"net": {"name": "fcn_field", "kernel": 9, "width": 8}})
    assert receptive_field(protocols.build(point).net((1, 32, 32)))[0] == 24
    with pytest.raises(sweep.SweepError, match="net='none' is not a factory"):
        protocols.build({**point, "settings": {"net": {"name": "none"}}})


def test_epochs_at_scores_as_a_shorter_run_would(checkout):
    point = first_point(settings={"lr": 0.25, "epochs": 5}, epochs_at=[1, 3])
    values, _, _ = protocols.evaluate(point)
    suffixes = ["_e1_near", "_e1_far", "_e3_near", "_e3_far", "_near", "_far"]
    assert list(values) == [f"01-toy/auroc_8v3{suffix}" for suffix in suffixes] and len(set(values.values())) == 6
    assert set(values) == set(recorded.value_keys(point))
    for epochs in (1, 3, 5):
        shorter, _, _ = protocols.evaluate(first_point(settings={"lr": 0.25, "epochs": epochs}))
        for score in ("near", "far"):
            mark = f"_e{epochs}" if epochs < 5 else ""
            assert values[f"01-toy/auroc_8v3{mark}_{score}"] == shorter[f"01-toy/auroc_8v3_{score}"]


class Clock:
    """Time that goes on only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def table_point(**changes):
    label = data.load("digits").label
    return {
        "evidence": "01-toy/x", "method": "DeepSVDD", "settings": {"epochs": 3}, "normal": 0, "anomaly": None,
        "data": {"name": "digits", "label": label, "pad_to": None}, "n_train": 0, "rescore": {}, "seed": 0,
        "costs": True, **changes,
    }  # fmt: skip


def rows_of_digits(n=60):
    ds = data.load("digits")
    rows = ds.x_train[:, 0, 2::4, 2::4].reshape(len(ds.x_train), -1) / 255
    return datasets.generated("rows", rows[:n], ds.y_train[:n] > 4)


def tiny_net(shape):
    return nets.MLP(shape[0], (3, 2), bias=False)


def test_costs_are_recorded_beside_the_scores(monkeypatch):
    monkeypatch.setattr(nets, "tiny_net", tiny_net, raising=False)
    point = table_point(settings={"epochs": 2, "net": "tiny_net"}, split="half")
    values, shape = protocols.measure(point, rows_of_digits())
    assert set(values) == set(recorded.value_keys(point)) and shape == (64,)
    costs = {name: values[f"01-toy/x_{name}"] for name in recorded.COSTS}
    assert costs["parameters"] == 64 * 3 + 3 * 2
    assert 0 <= costs["fit_s"] < np.inf and costs["rows_per_s"] > 0
    assert costs["distinct"] == 1 and costs["collapsed"] == 0


def test_shallow_methods_have_no_parameters():
    values, _ = protocols.measure(table_point(method="KNN", settings={}, split="half"), rows_of_digits())
    assert values["01-toy/x_parameters"] == 0


def test_the_seconds_of_a_fit_are_those_of_training_alone(monkeypatch):
    """Epochs take 1 s each, scores 100 s: those in between and those of the test do not count, the last offset does."""
    clock = Clock()
    monkeypatch.setattr(protocols, "clock", clock)

    def end_epoch(self, x):
        clock.now += 1

    def scores(self, x, scores=DeepSVDD._scores):
        clock.now += 100
        return scores(self, x)

    monkeypatch.setattr(DeepSVDD, "_end_epoch", end_epoch)
    monkeypatch.setattr(DeepSVDD, "_scores", scores)
    point = table_point(settings={"epochs": 5}, split="half", epochs_at=[1, 3])
    values, _ = protocols.measure(point, rows_of_digits())
    assert values["01-toy/x_fit_s"] == 5 + 100
    assert clock.now == 5 + 100 * (2 * 2 + 1 + 2)  # two marks with both parts, the offset, the test part, the costs


def test_scores_of_the_training_rows_are_spared_between_the_marks():
    detector, calls = DeepSVDD(epochs=4), []
    detector._training_scores = lambda x: calls.append(len(detector.history_)) or np.zeros(len(x))
    protocols._spare_training_scores(detector, [2])
    detector.fit(np.random.default_rng(0).normal(size=(8, 3)), on_epoch=lambda epoch, loss: None)
    assert calls == [2, 4]


def test_a_training_that_ends_by_itself_has_its_last_scores_at_later_marks(monkeypatch):
    monkeypatch.setattr(DeepSVDD, "_end_epoch", lambda self, x: len(self.history_) == 2)
    values, _ = protocols.measure(
        table_point(settings={"epochs": 9}, split="half", epochs_at=[1, 5]), rows_of_digits()
    )
    assert values["01-toy/x_e5"] == values["01-toy/x"] != values["01-toy/x_e1"]


def test_equal_rows_do_not_count_as_collapse():
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(size=(10, 3)), 5, axis=0)
    found = protocols.costs(KNN().fit(random.normal(size=(40, 3))), x, 0.0)
    assert found["distinct"] == 1 and found["collapsed"] == 0


@pytest.mark.filterwarnings("ignore:.*leaves none of epochs")
@pytest.mark.parametrize("method", ["SoftDeepSVDD", "OCNN"])
def test_a_collapsed_network_is_found_behind_its_threshold(method):
    x = np.random.default_rng(0).normal(size=(50, 3))
    detector = adlib.METHODS[method](epochs=1).fit(x)
    assert protocols.costs(detector, x, 0.0)["collapsed"] == 0
    with torch.no_grad():  # all rows are mapped to about one point: the score is a threshold and a breath
        for weight in detector.model_.parameters():
            weight.mul_(1e-9)
        if method == "OCNN":
            detector.model_.r.fill_(1.0)
    assert protocols.costs(detector, x, 0.0)["collapsed"] == 1


def test_names_of_data_become_parts_of_keys():
    assert recorded.word("adbench/satimage-2") == "adbench_satimage_2" and recorded.word("cifar10") == "cifar10"
    every = {recorded.word(name) for name in data.NAMES}
    assert len(every) == len(data.NAMES)
    for name in every:
        assert claims.keys_of(f"11-leaderboard/{name}_knn_f1")


def test_the_name_of_the_data_stands_in_the_key_as_a_word(tmp_path):
    spec = changed(SPEC, evidence="01-toy/{data}_x", data={"name": "adbench/WBC", "label": "x"})
    write_spec(tmp_path, spec)
    point = next(iter(recorded.read_sweep(tmp_path / "results/sweeps/toy.yml").points().values()))
    assert point["evidence"] == "01-toy/adbench_wbc_x" and point["data"]["name"] == "adbench/WBC"


def test_scoring_in_between_leaves_the_settings_as_they_were(checkout, monkeypatch):
    fit, seen = Mean.fit, []

    def watched(self, X, on_epoch=None):
        return fit(self, X, lambda epoch, loss: (on_epoch(epoch, loss), seen.append(self.score)))

    monkeypatch.setattr(Mean, "fit", watched)
    protocols.evaluate(first_point(settings={"epochs": 3}, epochs_at=[1]))
    assert seen == ["near"] * 3  # though the last that was scored after epoch 1 is "far"


def test_epochs_at_of_geom_is_exactly_the_shorter_run():
    table = {"size": 32, "shift": 8, "flips": [False], "rows": [0, 8], "cols": [0], "turns": [0]}
    point = {
        "evidence": "01-toy/x", "method": "GEOM", "normal": 8, "anomaly": 3, "n_train": 16, "n_test": 24, "seed": 1,
        "data": {"name": "digits", "label": DIGITS, "pad_to": None}, "rescore": {"score": ["simple", "dirichlet"]},
    }  # fmt: skip
    settings = {"net": "small_cnn", "table": table, "batch_size": 16}
    longer, _, _ = protocols.evaluate({**point, "settings": {**settings, "epochs": 4}, "epochs_at": [3]})
    shorter, _, _ = protocols.evaluate({**point, "settings": {**settings, "epochs": 3}})
    assert {key: longer[key.replace("/x", "/x_e3")] for key in shorter} == shorter
    assert {key: longer[key] for key in shorter} != shorter
    assert 0 < shorter["01-toy/x_dirichlet"] != shorter["01-toy/x_simple"]


def test_an_epoch_that_never_comes_is_refused(checkout):
    with pytest.raises(sweep.SweepError, match="01-toy/auroc_8v3_e9_near has no value: every one of epochs_at"):
        protocols.evaluate(first_point(epochs_at=[9]))


@pytest.mark.parametrize("split, balanced", [("balanced", True), ("half", False)])
def test_rows_without_a_test_part_are_split_standardised_and_have_an_f1(checkout, monkeypatch, split, balanced):
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(3, 2, (60, 2)), random.normal(9, 2, (12, 2))])
    rows = data.Dataset(
        "thyroid", DIGITS, True, "f", ("normal", "anomaly"), x, np.repeat([0, 1], [60, 12]), x[:0], np.zeros(0, int)
    )
    monkeypatch.setattr(protocols, "_loaded", lambda name: rows)
    point = first_point(normal=0, anomaly=None, split=split, rescore={}, settings={"lr": 1.0})
    values, _, shape = protocols.evaluate(point)
    assert list(values) == ["01-toy/auroc_8v3", "01-toy/auroc_8v3_f1"] == recorded.value_keys(point) and shape == (2,)
    train, test, y = data.split_rows(rows, point["seed"], balanced)
    scores = np.abs((test - train.mean(0)) / train.std(0)).mean(1)  # Mean's, whose mean row is now 0
    assert values["01-toy/auroc_8v3"] == auroc(y, scores)
    protocol = (0.2, "normal") if balanced else (y.mean(), "anomaly")
    assert values["01-toy/auroc_8v3_f1"] == f1_at_ratio(y, scores, *protocol)


def test_hindsight_stands_beside_the_value_of_the_settings(checkout):
    grid = {"nu": [0.1, 0.5], "gamma": [0.001, 0.01, 4.0]}
    point = first_point(hindsight=grid, n_train=30, n_test=40, rescore={})
    values, _, _ = protocols.evaluate(point)
    assert list(values) == ["01-toy/auroc_8v3", "01-toy/auroc_8v3_hindsight"] == recorded.value_keys(point)
    train, test, is_three = eight_and_three()
    (train, _), (test, rows) = protocols.subset(train, 30, 0, "n_train"), protocols.subset(test, 40, 0, "n_test")
    best = ocsvm_in_hindsight(train, test, is_three[rows], **grid)
    assert values["01-toy/auroc_8v3_hindsight"] == best.auroc > 0.5
    assert values["01-toy/auroc_8v3"] == protocols.evaluate(first_point(n_train=30, n_test=40, rescore={}))[0][
        "01-toy/auroc_8v3"
    ]


def test_a_canary_goes_past_the_warm_up_of_a_method_that_has_one_by_default(checkout, monkeypatch):
    from adlib.svdd import SoftDeepSVDD

    monkeypatch.setattr(adlib, "METHODS", {"SoftDeepSVDD": SoftDeepSVDD})
    points = [first_point(method="SoftDeepSVDD", settings={"nu": nu}, rescore={}) for nu in (0.1, 0.9)]
    first, second = (np.array(canaries.canary(point, (5,))[""]) for point in points)
    assert np.ptp(first - second) > 1e-6  # R^2 alone would move all scores alike


def test_an_encoder_comes_from_an_autoencoder_that_is_trained_on_the_same_rows(checkout, monkeypatch):
    from adlib.autoencoder import Autoencoder
    from adlib.ocnn import OCNN

    monkeypatch.setattr(adlib, "METHODS", {"Autoencoder": Autoencoder, "OCNN": OCNN})
    encoder = {"net": "lenet_autoencoder", "epochs": 2}
    settings = {"activation": "cosine", "epochs": 2, "encoder": encoder}
    point = first_point(method="OCNN", settings=settings, rescore={}, n_train=60)
    values, _, shape = protocols.evaluate(point)
    train, test, is_three = eight_and_three()
    train, _ = protocols.subset(train, 60, 0, "n_train")
    trained = Autoencoder(net=nets.lenet_autoencoder, epochs=2, random_state=0).fit(train).model_.encoder
    by_hand = OCNN(activation="cosine", epochs=2, encoder=trained, random_state=0).fit(train)
    assert values["01-toy/auroc_8v3"] == auroc(is_three, by_hand.anomaly_score(test))
    without = {**point, "settings": {"activation": "cosine", "epochs": 2, "net": "lenet"}}
    assert canaries.canary(point, shape) == canaries.canary(point, shape) != canaries.canary(without, shape)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"method": "Nosuch"}, "unknown method 'Nosuch'"),
        ({"settings": {"nosuch": 1}}, "nosuch"),
        ({"settings": {"net": "nosuch"}}, "net='nosuch' is not a factory"),
        ({"rescore": {"score": ["near", "farr"]}}, "score='farr'"),
        ({"data": {"name": "digits", "label": "MNIST"}}, "the sweep records 'MNIST'"),
    ],
)
def test_a_point_that_cannot_run_is_one_sentence_and_leaves_no_file(checkout, capsys, change, words):
    write_spec(checkout, changed(SPEC, **change))
    commit()
    assert run("points", "toy", "build", keys()[0]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(Path().glob("build/*"))


def test_names_in_a_sweep_become_networks_and_tables():
    point = {
        "method": "GEOM",
        "seed": 3,
        "rescore": {"score": ["simple", "dirichlet"]},
        "settings": {
            "net": "small_cnn",
            "table": {"size": 8, "shift": 2, "flips": [False], "rows": [0], "cols": [0, 2], "turns": [0]},
        },
    }
    detector = protocols.build(point, epochs=1)
    assert detector.net is adlib.nets.small_cnn and detector.random_state == 3 and detector.epochs == 1
    first_row = np.asarray(detector.table)[1][:8]
    assert np.asarray(detector.table).shape == (2, 64) and list(first_row) == [2, 3, 4, 5, 6, 7, 7, 6]
