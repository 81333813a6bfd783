"""A sweep of a toy method in a git checkout of its own, for the tests of what records."""

import os
import subprocess
from pathlib import Path

import numpy as np
import yaml
from sklearn.base import BaseEstimator

from adlib.companion import recorded, sweep

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


def first_point(**changes):
    """The point of class 8 against 3 with seed 0, of the sweep `toy`."""
    return {**recorded.read_sweep(Path("results/sweeps/toy.yml")).points()[keys()[0]], **changes}
