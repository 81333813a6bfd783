"""Canaries: whether a recorded line still holds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_sweep import DIGITS, Mean, first_point, record_all, run

import adlib
from adlib import FCDD, data, nets
from adlib.companion import canaries

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_only_methods_that_amplify_rounding_have_another_tolerance(monkeypatch):
    monkeypatch.setattr(canaries, "_check_data", lambda line: ("", "same"))
    monkeypatch.setattr(canaries, "_canary_difference", lambda line, computed: 5e-3)
    line = {"versions": {"torch": torch.__version__}}
    ok = {name: canaries._check_line(line | {"point": {"method": name}}, {})["ok"] for name in adlib.METHODS}
    assert [name for name in ok if ok[name]] == ["FCDD", "HSC"]


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
