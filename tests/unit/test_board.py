"""The leaderboard: its settings are those of the sweeps; runs are read, summed up and compared."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import adlib
from adlib import data
from adlib.companion import board, claims, papers, protocols, recorded
from adlib.metrics import bootstrap_ci

ROOT = Path(__file__).parents[2]
SHAPES = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
FILES = {"mnist": "mnist", "fashion_mnist": "fashion", "cifar10": "cifar"}


def points(name):
    return list(recorded.read_sweep(ROOT / f"results/sweeps/leaderboard-{name}.yml").points().values())


def test_the_tabular_sweep_is_the_leaderboards():
    found = points("tabular")
    methods = [key for key, entry in board.METHODS.items() if entry.rows is not None]
    assert len(found) == len(methods) * len(board.TABLES) * board.TABLE_SEEDS
    by_key = {(p["evidence"], p["seed"]): p for p in found}
    for name in board.TABLES:
        size = board.ROWS if name in board.LARGE else 0
        for key in methods:
            p = by_key[f"11-leaderboard/{recorded.word(name)}_{key}", 0]
            chosen = board.settings(key, board.TABLE_EPOCHS, (5,))
            assert (p["method"], p["settings"]) == (board.METHODS[key].method, chosen)
            assert (p["data"]["name"], p["split"], p["costs"], p["n_train"]) == (name, "half", True, size)
            assert p.get("n_test", 0) == size and p.get("epochs_at", []) == board.marks(key, chosen, (5,))


@pytest.mark.parametrize("name", board.IMAGES)
def test_the_image_sweeps_are_the_leaderboards(name):
    found = points(FILES[name])
    methods = [key for key, entry in board.METHODS.items() if entry.images is not None]
    assert len(found) == len(methods) * len(board.CLASSES) * board.IMAGE_SEEDS
    by_key = {(p["evidence"], p["seed"]): p for p in found}
    for key in methods:
        shape = (1, 32, 32) if key == "fcdd" and SHAPES[name][0] == 1 else SHAPES[name]
        chosen = board.settings(key, board.IMAGE_EPOCHS[name], shape)
        for normal in board.CLASSES:
            p = by_key[f"11-leaderboard/{name}_{normal}_{key}", 1]
            assert (p["method"], p["settings"]) == (board.METHODS[key].method, chosen)
            assert p["data"]["label"] == board.IMAGES[name] and p["costs"] and p["normal"] == normal
            assert p["n_train"] == p["n_test"] == board.ROWS
            assert p["data"]["pad_to"] == (32 if shape[1:] == (32, 32) and shape[0] == 1 else None)
            assert p.get("epochs_at", []) == board.marks(key, chosen, shape)


@pytest.mark.parametrize("shape", [(5,), (1, 32, 32), (3, 32, 32)])
@pytest.mark.parametrize("key", board.METHODS)
def test_settings_are_valid_and_keep_the_budget(key, shape):
    chosen = board.settings(key, 20, shape)
    entry = board.METHODS[key]
    if chosen is None:
        assert len(shape) == 1 and adlib.METHODS[entry.method].image_only
        return
    protocols.build({"method": entry.method, "settings": chosen, "rescore": {}, "seed": 0})._validate_params()
    spent = chosen.get("epochs", 0) + chosen.get("pretrain_epochs", 0) + chosen.get("encoder", {}).get("epochs", 0)
    assert spent == (10 if (key, shape[0]) == ("drocc", 3) else 20 if entry.deep else 0)
    assert all(mark < chosen["epochs"] for mark in board.marks(key, chosen, shape))


@pytest.mark.parametrize(("epochs", "start"), [(2, 1), (6, 3), (20, 10), (100, 10)])
@pytest.mark.parametrize("key", board.START)
def test_a_start_as_another_method_leaves_half_of_the_training(key, epochs, start):
    chosen, method = board.settings(key, epochs, (5,)), board.METHODS[key].method
    built = protocols.build({"method": method, "settings": chosen, "rescore": {}, "seed": 0})
    assert getattr(built, board.START[key]) == start


def test_large_tables_have_rows_enough_and_no_set_stands_twice():
    prints = {}
    for name in board.TABLES:
        try:
            ds = data.load(name)
        except data.DataNotFound:
            pytest.skip("the tables are not at hand")
        prints[name] = ds.fingerprint
        normal = int((ds.y_train == 0).sum())
        enough = min(normal - normal // 2, normal // 2 + int((ds.y_train == 1).sum())) >= board.ROWS
        assert enough == (name in board.LARGE), name
    assert len(set(prints.values())) == len(prints)
    assert data.fingerprint("adbench/thyroid") == prints["thyroid"]  # hence not on the list


def test_stand_ins_are_tables_with_few_anomalies_that_can_be_found():
    for ds in board.stand_ins():
        assert ds.x_train.ndim == 2 and 5 <= ds.y_train.sum() < (ds.y_train == 0).sum() / 2
        values, _ = protocols.measure(board.point("lof", ds, 1, 0), ds)
        assert values["lof"] > 0.7, ds.label


def recorded_values(rows):
    return pd.DataFrame(rows, columns=["key", "seed", "value"])


def test_runs_are_read_from_keys():
    values = recorded_values(
        [
            ("adbench_wine_ae", 0, 0.8), ("adbench_wine_ae", 1, 0.6), ("adbench_wine_ae_e25", 0, 0.7),
            ("adbench_wine_ae_e25", 1, 0.9), ("adbench_wine_ae_e50", 0, 0.75), ("adbench_wine_ae_e25_f1", 0, 0.99),
            ("adbench_wine_ae_f1", 0, 0.99), ("adbench_wine_ae_fit_s", 0, 2.0), ("adbench_wine_ae_collapsed", 1, 1.0),
            ("adbench_wine_knn", 0, 0.5), ("other_knn", 0, 0.1),
        ]
    )  # fmt: skip
    found = board.runs(values, board.table_keys(["adbench/wine"]))
    names = found[["set", "method", "seed"]].values.tolist()
    assert names == [["wine", "knn", 0], ["wine", "ae", 0], ["wine", "ae", 1]]
    assert found["auroc"].tolist() == [0.5, 0.8, 0.6]
    np.testing.assert_array_equal(found["oracle"], [np.nan, 0.8, 0.9])  # never below the last epoch
    np.testing.assert_array_equal(found["fit_s"], [np.nan, 2.0, np.nan])
    np.testing.assert_array_equal(found["collapsed"], [np.nan, np.nan, 1.0])
    assert board.runs(values[:0], board.table_keys()).empty


def test_every_key_of_the_sweeps_is_read_as_the_run_that_it_is():
    """All values of every point, each another number: none is lost, taken twice or taken for another method's."""
    found = [p for p in points("tabular") + points("cifar") if p["seed"] == 0]
    numbers = iter(range(10**6))
    values = recorded_values([(k, 0, next(numbers)) for p in found for k in recorded.value_keys(p)])
    values["key"] = values["key"].str.removeprefix("11-leaderboard/")
    of = dict(zip(values["key"], values["value"], strict=True))
    read = board.runs(values, board.table_keys() | board.image_keys("cifar10"))
    assert len(read) == len(found)
    for p, (_, run) in zip(found, read.sort_values("auroc").iterrows(), strict=True):
        key = p["evidence"].removeprefix("11-leaderboard/")
        assert run["auroc"] == of[key] and run["parameters"] == of[f"{key}_parameters"]
        marked = [of[f"{key}_e{mark}"] for mark in p.get("epochs_at", [])]
        np.testing.assert_equal(run["oracle"], max([of[key], *marked]) if marked else np.nan)


def some_runs(table):
    """Runs from {method: AUROC on each unit}, one seed."""
    return pd.DataFrame(
        {"set": "s", "unit": unit, "method": method, "seed": 0, "auroc": auroc, "oracle": np.nan, "fit_s": 1.0,
         "rows_per_s": 1.0, "parameters": 0.0, "distinct": 1.0, "collapsed": 0.0}
        for method, of_units in table.items() for unit, auroc in enumerate(of_units) if auroc is not None
    )  # fmt: skip


def test_summary_by_hand():
    some = some_runs({"knn": [0.9, 0.8, 0.7], "random": [0.8, 0.9, None], "ae": [0.5, 0.7, 0.6]})
    some = pd.concat([some, some.assign(seed=1, auroc=some["auroc"] + 0.02, collapsed=1.0)])
    found = board.summary(some)
    assert list(found.index) == ["random", "knn", "ae"]
    assert found.loc["knn", "AUROC"] == pytest.approx(0.81) and found.loc["knn", "units"] == 3
    low, high = bootstrap_ci([0.91, 0.81, 0.71])
    assert (found.loc["knn", "low"], found.loc["knn", "high"]) == pytest.approx((low, high))
    assert found.loc[["random", "knn", "ae"], "average rank"].tolist() == [1.5, 1.5, 3.0]  # over the complete units
    assert found.loc["ae", "collapsed runs"] == 0.5 and found.loc["ae", "runs"] == 6
    assert board.summary(some[:0]).empty


def test_ranks_are_shared_by_ties():
    wide = pd.DataFrame({"a": [0.9, 0.5], "b": [0.9, 0.7], "c": [0.1, 0.6]})
    assert board.average_ranks(wide).to_dict() == {"a": 2.25, "b": 1.25, "c": 2.5}


def test_compare_finds_a_difference_and_only_where_there_is_one():
    random = np.random.default_rng(0)
    best = {"knn": 0.9 + 0.01 * random.random(20), "lof": random.random(20) / 2, "kde": random.random(20) / 2}
    found = board.compare(pd.DataFrame(best))
    assert found.p < 0.001 and found.ranks["knn"] == 1
    assert found.pairs.loc["knn", "lof"] < 0.01 < 0.1 < found.pairs.loc["lof", "kde"]


@pytest.mark.parametrize("shape", [(4, 5), (20, 2)])
def test_too_few_units_or_methods_are_not_compared(shape):
    assert board.compare(pd.DataFrame(np.random.default_rng(0).random(shape))) is None


def test_units_without_a_value_of_every_method_are_left_out():
    wide = pd.DataFrame(np.random.default_rng(0).random((6, 3)))
    wide.iloc[0, 1] = np.nan
    assert board.compare(wide).p == board.compare(wide[1:]).p


def test_only_trained_methods_at_or_below_the_floor_are_named():
    some = some_runs({"random": [0.6, 0.8], "ae": [0.7, 0.6], "vae": [0.7, 0.9], "knn": [0.1, 0.1], "soft": [0.6, 0.8]})
    assert board.not_above_floor(some) == {"ae": (1, 2), "soft": (0, 2)}
    assert board.not_above_floor(some[some["method"] != "random"]) == {}
    assert board.not_above_floor(some[:0]) == {}


def test_the_best_of_each_kind_are_compared_on_complete_units():
    auroc = {
        "knn": [0.9, 0.8, 0.1],
        "lof": [0.7, 0.7, 1.0],
        "random": [0.6, 0.8, 0.0],
        "ae": [0.8, 0.9, 0.0],
        "vae": [0.8, 0.5],
    }
    rows = [{"unit": u, "method": m, "seed": 0, "auroc": a} for m, of in auroc.items() for u, a in enumerate(of)]
    found = board.bests(pd.DataFrame(rows))
    assert found["best shallow"] == "5 nearest neighbours (0.850)" and found["best trained"] == "autoencoder (0.850)"
    assert found["untrained"] == pytest.approx(0.7) and found["trained minus shallow"] == pytest.approx(0)
    assert found["low"] == pytest.approx(-0.1) and found["high"] == pytest.approx(0.1)
    for kind in ({"knn", "lof"}, {"random"}, {"ae", "vae"}):
        assert board.bests(pd.DataFrame([row for row in rows if row["method"] not in kind])) is None
    assert board.bests(pd.DataFrame(rows[:0])) is None


# ---- the papers' numbers in the claims

COLUMNS = {  # how a paper's table calls a method
    "golan2018": {"ocsvm": "RAW OC-SVM"},
    "wu2021": {"ocsvm": "OCSVM", "dsvdd_pre": "DSVDD"},
    "goyal2020": {
        "ocsvm": "OC-SVM", "iforest": "IF", "ae": "DCAE", "knn": "Nearest neighbour",
        "dsvdd_pre": "One-class Deep SVDD", "soft": "Soft-bound Deep SVDD",
    },
    "chalapathy2018": {"ocsvm": "OC-SVM/SVDD", "iforest": "IF"},
    "liznerski2021": {"dsvdd_pre": "DSVDD"},
}  # fmt: skip
FASHION = "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
ALPHABETICAL = sorted(range(10), key=FASHION.__getitem__)  # the class of each row of GEOM's Fashion-MNIST (chapter 02)


def printed(claim, term):
    """The paper's mean over the cells that stand for a term of evidence, in the units of the claim."""
    key = term.partition("}_")[2] or re.sub(r".*/[a-z]+_|_f1$", "", term)
    name = COLUMNS[claim.paper].get(key, key.upper())
    if term.endswith("_f1"):
        name = {"One-class Deep SVDD": "DeepSVDD"}.get(name, name)
    table = papers.table(claim.paper, int(re.findall(r"\d+", claim.place.partition(",")[0])[-1]))
    word = claim.dataset.split()[-1].title() if term.endswith("_f1") else claim.dataset
    cells = table[(table["dataset"] == word) & (table["method"] == name)]["value"].tolist()
    assert cells, (claim.id, word, name)
    unit = 1 if claim.paper == "liznerski2021" or term.endswith("_f1") else 100
    if len(cells) == 1:
        return cells[0] / unit
    order = ALPHABETICAL if (claim.paper, word) == ("golan2018", "Fashion-MNIST") else range(10)
    return np.mean([cells[order.index(c)] for c in board.CLASSES]) / unit


@pytest.mark.parametrize("claim", [c for c in claims.load() if c.id.startswith("board-")], ids=lambda c: c.id)
def test_the_papers_number_is_the_mean_of_its_cells(claim):
    first, *second = (printed(claim, term) for term in claim.evidence)
    assert first - sum(second) == pytest.approx(claim.paper_value, abs=1e-4)
