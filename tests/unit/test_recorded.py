"""Sweeps: the plan, recording, and the record."""

import ast
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from toy_sweep import (
    DIGITS,
    SPEC,
    changed,
    commit,
    keys,
    record_all,
    run,
    run_points,
    write_spec,
)

from adlib.companion import recorded, sweep

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("one_thread")


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
