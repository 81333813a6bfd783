"""Sweeps, their points, the record and its canaries."""

import ast
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.base import BaseEstimator

import adlib
from adlib import FCDD, KNN, DeepSVDD, data, nets
from adlib.companion import attacked, canaries, claims, datasets, heatmaps, protocols, recorded, sweep, tiles
from adlib.companion.hindsight import ocsvm_in_hindsight
from adlib.fcdd import receptive_field
from adlib.metrics import auroc, f1_at_ratio

ROOT = Path(__file__).parents[2]
DIGITS = "scikit-learn digits (8x8, bilinear to 32x32)"
SPEC = {
    "profile": "reduced",
    "seeds": 2,
    "defaults": {
        "method": "Mean",
        "data": {"name": "digits", "label": DIGITS},
        "settings": {"lr": 0.5},
        "rescore": {"score": ["near", "far"]},
    },
    "experiments": [
        {"evidence": "01-toy/auroc_8v3", "normal": 8, "anomaly": 3},
        {"evidence": "01-toy/auroc_{normal}", "normal": [3, 8], "settings": {"epochs": 4}},
    ],
}


class Mean(BaseEstimator):
    """Distance to the mean row; `score` is read when scoring, like GEOM's."""

    fits = 0
    takes_outliers = True

    def __init__(self, score="near", lr=1.0, epochs=1, batch_size=8, device="auto", random_state=0):
        self.score, self.lr, self.epochs, self.batch_size = score, lr, epochs, batch_size
        self.device, self.random_state = device, random_state

    def _validate_params(self):
        if self.score not in ("near", "far"):
            raise ValueError(f"score={self.score!r}: allowed are 'near' and 'far'")

    def fit(self, X, on_epoch=None, outliers=None):
        type(self).fits += 1
        X = X if outliers is None else np.concatenate([X, outliers])
        for epoch in range(self.epochs):
            self.mean_ = X.mean(axis=0) * self.lr * (epoch + 1) + self.random_state
            if on_epoch is not None:
                on_epoch(epoch, 0.0)
        return self

    def _items(self, X):
        return len(X)

    def heatmap(self, X):
        return np.abs(X - self.mean_).mean(axis=1)

    def anomaly_score(self, X):
        distance = np.abs(X - self.mean_).reshape(len(X), -1).mean(axis=1)
        return distance if self.score == "near" else -distance


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A clean git checkout with the sweep `toy`, as the current folder; Mean is the only method."""
    monkeypatch.setattr(adlib, "METHODS", {"Mean": Mean})
    monkeypatch.setattr(Mean, "fits", 0)
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path, SPEC)
    (tmp_path / ".gitignore").write_text("build/\n")
    git("init", "-q")
    commit()
    return tmp_path


def git(*arguments):
    names = {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], check=True, capture_output=True, env={**os.environ, **names})


def commit():
    git("add", "-A")
    git("commit", "-qm", "x")


def write_spec(folder, spec, name="toy"):
    (folder / "results/sweeps").mkdir(parents=True, exist_ok=True)
    (folder / f"results/sweeps/{name}.yml").write_text(yaml.safe_dump(spec))


def changed(spec, **experiment):
    return {**spec, "experiments": [{**spec["experiments"][0], **experiment}]}


def run(*arguments):
    return sweep.main([str(a) for a in arguments])


def keys():
    return recorded.missing_keys("toy")


def run_points(some):
    assert run("points", "toy", "build", *some) == 0


def record_all():
    run_points(keys())
    assert run("append", "toy", "build") == 0
    commit()


# Plan


def test_points_are_the_product_of_classes_and_seeds(checkout):
    points = recorded.read_sweep(Path("results/sweeps/toy.yml")).points()
    told = [(p["evidence"], p["normal"], p["anomaly"], p["seed"], p["settings"]) for p in points.values()]
    plain, longer = {"lr": 0.5}, {"lr": 0.5, "epochs": 4}
    assert told == [
        ("01-toy/auroc_8v3", 8, 3, 0, plain), ("01-toy/auroc_8v3", 8, 3, 1, plain),
        ("01-toy/auroc_3", 3, None, 0, longer), ("01-toy/auroc_8", 8, None, 0, longer),
        ("01-toy/auroc_3", 3, None, 1, longer), ("01-toy/auroc_8", 8, None, 1, longer),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"method": "Other"},
        {"settings": {"lr": 0.25}},
        {"normal": 7},
        {"anomaly": 4},
        {"n_train": 10},
        {"evidence": "01-toy/other"},
        {"rescore": {"score": ["near"]}},
        {"data": {"name": "digits", "label": "other pixels"}},
        {"data": {"name": "digits", "label": DIGITS, "pad_to": 40}},
        {"n_test": 10},
        {"turned": 30},
        {"contamination": 0.1},
        {"attack_steps": [5]},
        {"watermark": "both"},
        {"outliers": "digits"},
        {"contrast": True},
        {"epochs_at": [1]},
        {"hindsight": {"nu": [0.1]}},
    ],
)
def test_a_key_changes_with_everything_that_decides_the_values(tmp_path, change):
    write_spec(tmp_path, changed(SPEC))
    write_spec(tmp_path, changed(SPEC, **change), "other")
    one, two = (set(recorded.read_sweep(tmp_path / f"results/sweeps/{n}.yml").points()) for n in ("toy", "other"))
    assert len(one) == len(two) == 2 and not one & two


def test_keys_are_the_same_in_another_process_and_do_not_depend_on_the_order_of_the_file(checkout):
    there = subprocess.run(
        [sys.executable, "-m", "adlib.companion.sweep", "keys", "toy"],
        text=True,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
    )
    assert there.stdout.split() == keys() and len(keys()) == 6
    path, in_order = Path("results/sweeps/toy.yml"), {"lr": 0.5, "epochs": 2}
    both = [changed(SPEC, settings=settings) for settings in (in_order, dict(reversed(in_order.items())))]
    both[1]["defaults"] = {**SPEC["defaults"], "settings": {}}
    found = []
    for spec in both:
        path.write_text(yaml.safe_dump(spec, sort_keys=False))
        found.append(keys())
    assert found[0] == found[1]


def test_a_point_without_the_later_fields_keeps_its_key(tmp_path):
    points = recorded.read_sweep(ROOT / "results/sweeps/geom-intuition.yml").points()
    lines = recorded.read_lines(ROOT / "results/recorded/geom-intuition.jsonl")
    kept = next(line["point"] for line in lines if line["key"] == "00149435ea99")
    assert points["00149435ea99"] == kept and recorded.key_of(kept) == "00149435ea99"
    write_spec(tmp_path, changed(SPEC))
    nothing = {"n_test": 0, "turned": 0, "contamination": 0, "contrast": False, "epochs_at": [], "split": None}
    nothing |= {"hindsight": {}, "seeds": None}
    write_spec(tmp_path, changed(SPEC, **nothing), "other")
    one, two = (recorded.read_sweep(tmp_path / f"results/sweeps/{n}.yml").points() for n in ("toy", "other"))
    assert one == two


def test_an_experiment_may_have_seeds_of_its_own(tmp_path):
    write_spec(tmp_path, changed(SPEC))
    write_spec(tmp_path, changed(SPEC, seeds=[1, 5]), "other")
    one, two = (recorded.read_sweep(tmp_path / f"results/sweeps/{n}.yml").points() for n in ("toy", "other"))
    assert [[p["seed"] for p in points.values()] for points in (one, two)] == [[0, 1], [1, 5]]
    assert list(one)[1] == list(two)[0]  # the same point, whichever list its seed comes from


@pytest.mark.parametrize(
    "spec, words",
    [
        ({**SPEC, "profile": "smoke"}, "profile='smoke'"),
        ({**SPEC, "seeds": 0}, "seeds=0"),
        ({**SPEC, "colour": "red"}, "colour='red'"),
        (changed(SPEC, anomalie=3), "experiments.0.anomalie=3"),
        ({**SPEC, "experiments": [SPEC["experiments"][0]] * 2}, "stands twice"),
        (changed(SPEC, normal=[7, 8]), "01-toy/auroc_8v3_far, seed 0 has two points: put {normal}"),
        ({**SPEC, "experiments": [changed(SPEC)["experiments"][0],
                                  {"evidence": "01-toy/auroc_8v3_near", "normal": 8, "rescore": {}}]},
         "01-toy/auroc_8v3_near, seed 0 has two points"),
        (changed(SPEC, n_test=-1), "experiments.0.n_test=-1"),
        (changed(SPEC, turned=200), "experiments.0.turned=200"),
        (changed(SPEC, contamination=1.5), "experiments.0.contamination=1.5"),
        ([1, 2], "is not a sweep file"),
    ],
)
def test_a_bad_sweep_file_is_one_sentence(tmp_path, monkeypatch, capsys, spec, words):
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path, spec)
    assert run("keys", "toy") == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_an_unknown_sweep_names_those_that_exist(checkout, capsys):
    assert run("keys", "nosuch") == 1
    assert "no sweep 'nosuch'" in (error := capsys.readouterr().err) and "there are: toy" in error


# A point


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


def first_point(**changes):
    """The point of class 8 against 3 with seed 0, of the sweep `toy`."""
    return {**recorded.read_sweep(Path("results/sweeps/toy.yml")).points()[keys()[0]], **changes}


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
    monkeypatch.setattr(data, "load", lambda name: rows)
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


# Recording


def test_points_that_this_commit_has_run_are_not_run_again(checkout, monkeypatch):
    first, second = keys()[:2]
    run_points([first])
    ran = []
    monkeypatch.setattr(sweep, "run_point", lambda name, key: ran.append(key) or {"key": key})
    run_points([first, second])
    assert ran == [second]
    Path("words.txt").write_text("")
    commit()
    run_points([first])
    assert ran == [second, first]


def test_append_adds_each_finished_point_once_sorted_by_key(checkout):
    wanted = keys()
    run_points(wanted[:3])
    assert run("append", "toy", "build") == 0
    commit()
    assert keys() == wanted[3:]
    first = Path("results/recorded/toy.jsonl").read_text()
    run_points(wanted[3:])
    assert run("append", "toy", "build") == 0  # the folder still holds the first three
    lines = Path("results/recorded/toy.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == sorted(wanted)
    assert set(first.splitlines()) <= set(lines)
    commit()
    assert sweep.append("toy", Path("build")) == 0 and keys() == []
    assert Path("results/recorded/toy.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize("cut", ["missing", "empty", "half", "other key", "other point"])
def test_append_leaves_out_what_is_not_a_whole_point(checkout, cut):
    good, bad = keys()[:2]
    run_points([good, bad])
    path = Path(f"build/{bad}.json")
    text = path.read_text()
    line = json.loads(text)
    if cut == "missing":
        path.unlink()
    elif cut == "other key":
        path.write_text(json.dumps({**line, "key": good}))
    elif cut == "other point":
        path.write_text(json.dumps({**line, "point": {**line["point"], "seed": 9}}))
    else:
        path.write_text("" if cut == "empty" else text[: len(text) // 2])
    assert sweep.append("toy", Path("build")) == 1
    assert [json.loads(x)["key"] for x in Path("results/recorded/toy.jsonl").read_text().splitlines()] == [good]


def test_lines_of_former_settings_stay_in_the_file_and_out_of_use(checkout):
    record_all()
    before = Path("results/recorded/toy.jsonl").read_text().splitlines()
    write_spec(checkout, changed(SPEC, settings={"lr": 0.7}))
    commit()
    assert len(keys()) == 2 and recorded.records()[0].lines == {}
    record_all()
    assert set(before) < set(Path("results/recorded/toy.jsonl").read_text().splitlines())


def test_values_are_the_lines_in_use_of_one_chapter(checkout):
    record_all()
    table = recorded.values("01-toy", checkout)
    assert list(table.columns) == ["key", "seed", "value", "label", "profile", "sweep", "commit"]
    lines = recorded.records()[0].lines.values()
    told = sorted([key, line["point"]["seed"], value] for line in lines for key, value in line["values"].items())
    assert [[f"01-toy/{key}", *rest] for key, *rest in table.iloc[:, :3].values] == told and len(table) == 12
    head = subprocess.run(["git", "rev-parse", "HEAD~1"], text=True, capture_output=True).stdout
    constant = table.drop(columns=["key", "seed", "value"]).drop_duplicates()
    assert constant.values.tolist() == [[DIGITS, "reduced", "toy", head[:10]]]
    assert recorded.values("01-to", checkout).empty and recorded.values("02-other", checkout).empty

    write_spec(checkout, changed(SPEC))  # no longer asks for all
    assert set(recorded.values("01-toy", checkout)["key"]) == {"auroc_8v3_near", "auroc_8v3_far"}


def test_values_come_from_the_checkout_of_the_package_wherever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = recorded.read_lines(ROOT / "results/recorded/geom-intuition.jsonl")[0]
    table = recorded.values("01-geom-intuition").set_index(["sweep", "key", "seed"])["value"]
    for key, value in line["values"].items():
        assert table["geom-intuition", key.split("/")[1], line["point"]["seed"]] == value


def test_values_of_a_package_without_a_checkout_are_an_empty_table(tmp_path):
    table = recorded.values("01-toy", tmp_path)
    assert table.empty and list(table.columns) == ["key", "seed", "value", "label", "profile", "sweep", "commit"]
    assert table.groupby("key")["value"].mean().empty and table["value"].dtype == float


def test_two_appends_at_once_lose_no_line(checkout, monkeypatch):
    wanted = keys()
    run_points(wanted)
    monkeypatch.setattr(sweep, "clean_commit", lambda: "c")  # the first append makes the tree dirty for the second
    for i, key in enumerate(wanted):
        Path(f"part{i}").mkdir()
        Path(f"build/{key}.json").rename(f"part{i}/{key}.json")
    threads = [threading.Thread(target=sweep.append, args=("toy", Path(f"part{i}"))) for i in range(len(wanted))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys() == []


def test_a_dirty_tree_is_refused_by_point_and_append(checkout, capsys):
    key = keys()[0]
    run_points([key])
    Path("new.py").write_text("")
    for command in (("points", "toy", "build", key), ("append", "toy", "build")):
        assert run(*command) == 1
        assert "new.py" in (error := capsys.readouterr().err) and "clean worktree" in error
    assert not Path("results/recorded/toy.jsonl").exists() and not Path("build/x.json").exists()


def test_a_folder_without_git_is_refused(checkout, monkeypatch, tmp_path_factory, capsys):
    outside = tmp_path_factory.mktemp("outside")
    write_spec(outside, SPEC)
    monkeypatch.chdir(outside)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(outside.parent))
    assert run("append", "toy", "build") == 1
    assert "needs a git checkout" in capsys.readouterr().err


def test_a_damaged_record_is_refused_and_left_as_it_is(checkout, capsys):
    record_all()
    path = Path("results/recorded/toy.jsonl")
    path.write_text(path.read_text()[:-20])
    damaged = path.read_text()
    assert run("keys", "toy") == 1 and "line 6 is not JSON" in capsys.readouterr().err
    commit()
    assert run("append", "toy", "build") == 1
    assert path.read_text() == damaged


# Canaries


def test_canary_rows_are_frozen():
    images, rows = canaries.rows_of((1, 32, 32)), canaries.rows_of((5,))
    assert images.dtype == np.uint8 and images.shape == (32, 1, 32, 32) and rows.shape == (32, 5)
    assert images[0, 0, 0, :4].tolist() == [250, 102, 226, 9] and images.sum(dtype=np.int64) == 4170135
    assert rows[0, 0] == pytest.approx(-0.276767596147759, abs=1e-12)


def test_a_canary_takes_two_steps_with_the_settings_and_the_seed():
    steps = []

    class Counting(adlib.METHODS["GEOM"]):
        def _draw(self, x, index, generator):
            steps.append(len(index))
            return super()._draw(x, index, generator)

    table = {"size": 8, "shift": 0, "rows": [0], "cols": [0], "turns": [0]}
    point = {
        "method": "GEOM",
        "seed": 0,
        "rescore": {"score": ["simple", "dirichlet"]},
        "settings": {"net": "small_cnn", "epochs": 9, "batch_size": 7, "table": table},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adlib, "METHODS", {"GEOM": Counting})
        one = canaries.canary(point, (1, 8, 8))
    assert steps == [64, 64]  # 32 rows times two transforms, twice
    assert set(one) == {"_simple", "_dirichlet"} and all(len(scores) == 32 for scores in one.values())
    assert canaries.canary(point, (1, 8, 8)) == one
    for change in ({"seed": 1}, {"settings": {**point["settings"], "lr": 0.01}}):
        assert canaries.largest_difference(one, canaries.canary({**point, **change}, (1, 8, 8))) > 1e-3


def test_a_canary_of_72_transformations_is_two_small_steps_in_float32(monkeypatch):
    steps = []

    class Watched(adlib.GEOM):
        def _draw(self, x, index, generator):
            steps.append((len(index), self.amp, self.device, x.dtype))
            return super()._draw(x, index, generator)

    monkeypatch.setattr(adlib, "METHODS", {"GEOM": Watched})
    point = {"method": "GEOM", "seed": 0, "rescore": {}, "settings": {"net": "small_cnn", "amp": True}}
    (scores,) = canaries.canary(point, (1, 8, 8)).values()
    assert steps == [(canaries.ITEMS, False, "cpu", torch.uint8)] * 2 and canaries.ITEMS < 32 * 72
    assert len(scores) == 32 and np.isfinite(scores).all() and len(set(scores)) > 16


def test_a_canary_raises_a_nu_that_is_less_than_one_of_its_rows():
    point = {"method": "OCNN", "seed": 0, "rescore": {}, "settings": {"nu": 0.001}}
    raised = canaries.canary(point, (5,))
    assert raised == canaries.canary(point | {"settings": {"nu": 1 / 32}}, (5,))
    assert raised != canaries.canary(point | {"settings": {"nu": 0.2}}, (5,))


def test_a_canary_knows_outliers_where_the_point_does():
    point = {"method": "HSC", "settings": {}, "rescore": {}, "seed": 0, "outliers": "digits"}
    rows = canaries.rows_of((1, 32, 32))
    by_hand = adlib.HSC(epochs=2, batch_size=256, device="cpu").fit(rows, outliers=255 - rows).anomaly_score(rows)
    np.testing.assert_allclose(canaries.canary(point, (1, 32, 32))[""], by_hand, rtol=1e-5)


@pytest.mark.parametrize("where", ["anomalous", "both", "masked"])
def test_a_canary_knows_anomalies_and_marks_where_the_point_does(where):
    from adlib.companion import watermark

    point = {"method": "HSC", "settings": {}, "rescore": {}, "seed": 0}
    marks = {"watermark": where, "watermark_share": 0.5}
    alone, known = (canaries.canary(point | more, (1, 32, 32))[""] for more in ({}, marks))
    rows = canaries.rows_of((1, 32, 32))
    nominal, odd = watermark.training_set(rows, 255 - rows, 0.5, 0, where)
    by_hand = adlib.HSC(epochs=2, batch_size=256, device="cpu").fit(nominal, outliers=odd).anomaly_score(rows)
    np.testing.assert_allclose(known, by_hand, rtol=1e-5)
    assert not np.allclose(alone, known)


def test_a_canary_knows_of_defects_what_the_point_does():
    point = {"method": "FCDD", "settings": {"net": "fcn_narrow"}, "rescore": {}, "seed": 0}
    ways = [canaries.canary(point | {"tiles": way}, (1, 32, 32))[""] for way in ("none", "defects", "masks")]
    rows = canaries.rows_of((1, 32, 32))
    told = {"outliers": 255 - rows, "masks": (rows[:, 0] > 127).astype(np.float32)}
    fcdd = FCDD(net=nets.fcn_narrow, epochs=2, batch_size=256, device="cpu")
    np.testing.assert_allclose(ways[2], fcdd.fit(rows, **told).anomaly_score(rows), rtol=1e-5)
    assert not any(np.allclose(ways[i], ways[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_canary_warms_up_for_one_of_its_steps():
    settings = {"epochs": 60, "warmup_epochs": 50, "ascent_steps": 0}
    point = {"method": "DROCC", "settings": settings, "seed": 0, "rescore": {}}
    assert len(canaries.canary(point, (3,))[""]) == 32
    assert canaries.canary(point | {"settings": settings | {"warmup_epochs": 0}}, (3,)) != canaries.canary(point, (3,))



@pytest.mark.parametrize("method, shape", [("OCSVM", (4,)), ("DeepSVDD", (4,))])
def test_a_canary_exists_for_rows_and_for_methods_without_epochs(method, shape):
    point = {"method": method, "seed": 0, "rescore": {}, "settings": {}}
    (scores,) = canaries.canary(point, shape).values()
    assert len(scores) == 32 and len(set(scores)) > 16


@pytest.mark.parametrize(
    "now, worst",
    [
        ({"": [1.0, -4.0]}, 0.0),
        ({"": [1.002, -4.0]}, 0.0005),
        ({"": [1.0, -4.02]}, 0.005),
        ({"": [1.0, float("nan")]}, float("inf")),
        ({"": [1.0]}, float("inf")),
        ({"_other": [1.0, -4.0]}, float("inf")),
    ],
)
def test_the_difference_is_relative_to_the_largest_score(now, worst):
    assert canaries.largest_difference({"": [1.0, -4.0]}, now) == pytest.approx(worst, abs=1e-9)


def test_canaries_agree_until_the_code_changes(checkout, monkeypatch):
    record_all()
    monkeypatch.setattr(Mean, "fits", 0)
    assert run("canaries", "build/canaries.json") == 0
    report = json.loads(Path("build/canaries.json").read_text())
    assert len(report["toy"]) == 6
    assert all(c == {"ok": True, "max_rel": 0.0, "reason": "", "data": "same"} for c in report["toy"].values())
    assert Mean.fits == 2  # once for each distinct settings, not for each line

    honest = Mean.anomaly_score
    monkeypatch.setattr(Mean, "anomaly_score", lambda self, X: honest(self, X) * 1.0005)
    assert all(check["ok"] for check in canaries.check_canaries()["toy"].values())
    monkeypatch.setattr(Mean, "anomaly_score", lambda self, X: honest(self, X) * 1.002)
    checks = canaries.check_canaries()["toy"].values()
    assert not any(check["ok"] for check in checks)
    assert all("the canary differs by 2.0e-03" in check["reason"] for check in checks)
    monkeypatch.setattr(Mean, "anomaly_score", lambda self, X: honest(self, X) * float("nan"))
    assert run("canaries", "build/canaries.json") == 0
    assert json.loads(Path("build/canaries.json").read_text())["toy"].popitem()[1]["max_rel"] is None


@pytest.mark.parametrize("more", [{"watermark": "both"}, {"outliers": "digits"}])
def test_lines_that_differ_in_known_anomalies_have_canaries_of_their_own(checkout, monkeypatch, more):
    monkeypatch.setattr(canaries, "canary", lambda point, shape: {"": [2.0 if more.items() <= point.items() else 1.0]})
    plain = {"commit": "c", "point": first_point(), "canary": {"shape": [1, 32, 32], "scores": {"": [1.0]}}}
    known = plain | {"point": first_point(**more)}
    computed = {}
    assert [canaries._canary_difference(line, computed) for line in (plain, known, plain)] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("shapes, computed", [([[5], [9]], 1), ([[1, 8, 8], [1, 9, 9]], 2), ([[64], [1, 8, 8]], 2)])
def test_one_table_speaks_for_all_but_each_shape_of_image_for_itself(checkout, monkeypatch, shapes, computed):
    monkeypatch.setattr(canaries, "canary", lambda point, shape: {"": [1.0]})
    seen = {}
    for shape in shapes:
        line = {"commit": "c", "point": first_point(), "canary": {"shape": shape, "scores": {"": [1.0]}}}
        assert canaries._canary_difference(line, seen) == 0.0
    assert len(seen) == computed


def test_a_canary_that_no_longer_runs_makes_its_lines_stale(checkout, monkeypatch):
    record_all()
    monkeypatch.setattr(adlib, "METHODS", {})
    assert all("no longer runs" in check["reason"] for check in canaries.check_canaries()["toy"].values())


def edit_lines(**changes):
    path = Path("results/recorded/toy.jsonl")
    lines = [{**json.loads(text), **changes} for text in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {check["ok"]: check for check in canaries.check_canaries()["toy"].values()}


def test_another_torch_or_other_data_make_a_line_stale(checkout):
    record_all()
    major, minor, *_ = torch.__version__.split(".")
    assert edit_lines(versions={"torch": f"{major}.{minor}.99+other"}).keys() == {True}
    other = edit_lines(versions={"torch": f"{major}.{int(minor) + 1}.0"})
    assert other.keys() == {False} and f"recorded with torch {major}.{int(minor) + 1}" in other[False]["reason"]
    edit_lines(versions={"torch": torch.__version__})
    altered = edit_lines(dataset={"label": DIGITS, "exact": True, "fingerprint": "0" * 64})
    assert altered.keys() == {False} and "fingerprint of digits differs" in altered[False]["reason"]


def test_data_that_are_not_at_hand_are_not_checked(checkout, monkeypatch):
    record_all()
    other = edit_lines(dataset={"label": "another edition", "exact": True, "fingerprint": "0" * 64})
    assert other[True]["data"] == f"{DIGITS} here: not checked"

    def missing(name):
        raise data.DataNotFound(f"{name} is not at hand")

    monkeypatch.setattr(data, "fingerprint", missing)
    assert edit_lines()[True]["data"] == "not at hand: not checked"


# The sweep that stands behind chapter 01


def chapter_parameters(slug):
    """Defaults of the chapter's parameters cell."""
    cells = (ROOT / f"notebooks/{slug}.py").read_text().split("# %%")
    (cell,) = (cell for cell in cells if cell.split("\n")[0].strip() == 'tags=["parameters"]')
    nodes = ast.parse(cell.split("\n", 1)[1]).body
    return {node.target.id: ast.literal_eval(node.value) for node in nodes if isinstance(node, ast.AnnAssign)}


def test_the_sweep_has_the_settings_of_the_chapter():
    chapter = chapter_parameters("01-geom-intuition")
    points = recorded.read_sweep(ROOT / "results/sweeps/geom-intuition.yml").points().values()
    stay, shift = [0], [0, chapter["shift"]]
    by_axis = {"rows": (shift, stay), "columns": (stay, shift)}
    rows, cols = by_axis[chapter["shift_axis"]]
    size = chapter["pad_to"]
    flip = {"size": size, "shift": 0, "flips": [False, True], "rows": stay, "cols": stay, "turns": [0]}
    moved = {"size": size, "shift": chapter["shift"], "flips": [False], "rows": rows, "cols": cols, "turns": [0]}
    tables = {"auroc_8v3_flip": (8, 3, flip), "auroc_3v8_flip": (3, 8, flip), "auroc_8v3_shift": (8, 3, moved)}
    assert len(points) == 30 and {p["evidence"].split("/")[1] for p in points} == set(tables)
    for point in points:
        normal, anomaly, table = tables[point["evidence"].split("/")[1]]
        named = {name: chapter[name] for name in ("epochs", "batch_size", "weight_decay")}
        assert point["settings"] == {"net": chapter["network"], "table": table, **named}
        assert point["data"] == {"name": "mnist", "label": "MNIST", "pad_to": size}
        assert (point["normal"], point["anomaly"], point["n_train"]) == (normal, anomaly, 0)  # the chapter takes a part
        assert point["rescore"] == {"score": ["simple", "dirichlet"]}
