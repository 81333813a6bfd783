"""Chapter 11's leaderboard: which methods, on which sets, with which settings; and what its runs come to.

The sweeps leaderboard-*.yml hold the same points; a test compares them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from adlib.data import Dataset
from adlib.metrics import bootstrap_ci

from .datasets import generated
from .recorded import COSTS, Json, word

TABLES = (
    "thyroid", "arrhythmia", "abalone", "adbench/annthyroid", "adbench/breastw", "adbench/cardio", "adbench/glass",
    "adbench/Ionosphere", "adbench/letter", "adbench/Lymphography", "adbench/mammography", "adbench/musk",
    "adbench/optdigits", "adbench/pendigits", "adbench/Pima", "adbench/satellite", "adbench/satimage-2",
    "adbench/shuttle", "adbench/vertebral", "adbench/vowels", "adbench/WBC", "adbench/wine",
)  # fmt: skip
"""22 sets, not 23: adbench/thyroid holds the same rows as thyroid."""
LARGE = (
    "adbench/annthyroid", "adbench/mammography", "adbench/optdigits", "adbench/pendigits", "adbench/satellite",
    "adbench/satimage-2", "adbench/shuttle",
)  # fmt: skip
"""Of these `ROWS` are drawn to train on, and as many to test on."""
IMAGES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10 (JPEG-75)"}
CLASSES = (0, 1, 4, 5, 8)
ROWS = 2000  # of a large table or an image set, for each of training and test
TABLE_EPOCHS, TABLE_SEEDS = 100, 10
IMAGE_EPOCHS, IMAGE_SEEDS = {"mnist": 20, "fashion_mnist": 20, "cifar10": 6}, 2  # so that a run takes a minute at most
FLOOR = "random"  # what a trained network has to beat


class Entry(NamedTuple):
    """A row of the leaderboard. `rows` and `images` are settings that are not its defaults, None where the method does
    not take such data."""

    name: str
    method: str
    rows: Json | None = {}
    images: Json | None = {}
    deep: bool = False


METHODS = {
    "ocsvm": Entry("OC-SVM", "OCSVM"),
    "kde": Entry("KDE", "KDE", images={"variance": 0.95, "bandwidth": 1.4142135623730951}),
    "iforest": Entry("isolation forest", "IsolationForest"),
    "lof": Entry("LOF", "LOF"),
    "knn": Entry("5 nearest neighbours", "KNN"),
    "random": Entry("untrained network (floor)", "RandomFeatures"),
    "ae": Entry("autoencoder", "Autoencoder", images={"net": "dcae"}, deep=True),
    "rcae": Entry("robust autoencoder (RCAE)", "RCAE", deep=True),
    "vae": Entry("VAE", "VAE", deep=True),
    "dagmm": Entry("DAGMM", "DAGMM", deep=True),
    "dsebm": Entry("DSEBM", "DSEBM", deep=True),
    "adgan": Entry("ADGAN", "ADGAN", images={"starts": 2}, deep=True),
    "dsvdd": Entry("Deep SVDD", "DeepSVDD", deep=True),
    "dsvdd_pre": Entry("Deep SVDD, pre-trained", "DeepSVDD", deep=True),
    "soft": Entry("soft-boundary Deep SVDD", "SoftDeepSVDD", deep=True),
    "ocnn": Entry("OC-NN", "OCNN", deep=True),
    "drocc": Entry("DROCC", "DROCC", images={"gamma": 1, "ascent_steps": 2}, deep=True),
    "goad": Entry("GOAD, 64 maps", "GOAD", {"transformations": 64}, {"transformations": 64}, deep=True),
    "ns": Entry("novelty normalization (NS)", "NoveltyNormalization", None, deep=True),
    "fcdd": Entry("FCDD, confetti", "FCDD", None, {"net": "fcn_narrow", "amp": True}, deep=True),
}
START = {"rcae": "update_every", "soft": "warmup_epochs"}  # a start of 10 epochs as the autoencoder, as Deep SVDD
REACH = 0.5  # of DROCC's search on images, in units of its radius sqrt(d) / 2


def settings(key: str, epochs: int, shape: Sequence[int]) -> Json | None:
    """Settings of a method for rows (d,) or images (c, h, w) with that budget of epochs; None if it does not take them.

    A pre-trained method has half of the epochs for each of its two trainings, DROCC on colour images half for its one.
    """
    entry = METHODS[key]
    own = entry.rows if len(shape) == 1 else entry.images
    if own is None or not entry.deep:
        return own
    half = max(1, epochs // 2)
    if key == "dsvdd_pre":
        return own | {"epochs": half, "pretrain_epochs": half}
    if key == "ocnn" and len(shape) == 3:
        return own | {"epochs": half, "encoder": {"net": "dcae", "epochs": half}}
    if key == "drocc" and len(shape) == 3:
        step = REACH * float(np.sqrt(np.prod(shape))) / 2 / own["ascent_steps"]
        minute = half if shape[0] == 3 else epochs  # an epoch on colour images costs DROCC a quarter of the minute
        return own | {"epochs": minute, "ascent_step": round(step, 2)}
    if key in START and half < 10:  # as long as the default lasts in twenty epochs, or nothing else would come
        return own | {"epochs": epochs, START[key]: half}
    if key == "fcdd":  # the rate falls at the same shares of the training as in the paper
        return own | {"epochs": epochs, "milestones": [max(1, epochs * 2 // 3), max(1, epochs * 5 // 6)]}
    return own | {"epochs": epochs}


def marks(key: str, chosen: Json, shape: Sequence[int]) -> list[int]:
    """Epochs after which the oracle may stop, besides the last: a quarter and half of the training.

    And the first of GOAD, after which its paper stops on small tables. None of ADGAN on images, which is slow to score.
    """
    if not METHODS[key].deep or (key == "adgan" and len(shape) == 3):
        return []
    first = {1} if key == "goad" else set()
    return sorted(first | {max(1, chosen["epochs"] // 4), max(1, chosen["epochs"] // 2)})


def point(key: str, dataset: Dataset, epochs: int, seed: int, **changes: Any) -> Json:
    """The point of a sweep for a method on a table, split and standardised; `changes` are fields of it."""
    shape = dataset.x_train.shape[1:]
    return {
        "evidence": key,
        "method": METHODS[key].method,
        "settings": settings(key, epochs, shape),
        "data": {"name": dataset.name, "label": dataset.label, "pad_to": None},
        "normal": 0,
        "anomaly": None,
        "n_train": 0,
        "rescore": {},
        "seed": seed,
        "costs": True,
        "split": "half",
        **changes,
    }


def stand_ins() -> list[Dataset]:
    """Four tables from what scikit-learn brings, for where the real ones are not at hand. Their anomalies are few."""
    from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

    found = []
    for name, load, normal, odd, n in (
        ("wine", load_wine, (1, 2), 0, 10),
        ("breast cancer", load_breast_cancer, (1,), 0, 40),
        ("iris", load_iris, (0, 1), 2, 10),
        ("digits 8 and 3", load_digits, (8,), 3, 40),
    ):
        x, y = load(return_X_y=True)
        rows = np.concatenate([np.flatnonzero(np.isin(y, normal)), np.flatnonzero(y == odd)[:n]])
        found.append(generated(f"scikit-learn {name}", np.asarray(x, float)[rows], y[rows] == odd))
    return found


# ---- runs: one row for each method, set, class and seed


def runs(values: pd.DataFrame, sets: Mapping[str, tuple[str, Any]], methods: Iterable[str] = METHODS) -> pd.DataFrame:
    """The runs in recorded values (columns key, seed, value), in the order of the sets and methods.

    `sets` gives for the start of a key, such as "adbench_wine" or "mnist_0", the names of data set and unit. Columns:
    set, unit, method, seed, auroc, oracle (the best of the marked epochs and the last; missing for methods without),
    and the costs.
    """
    found: dict[str, dict[int, float]] = {}
    marks: dict[str, list[str]] = {}
    for key, seed, value in values[["key", "seed", "value"]].itertuples(index=False):
        if key not in found and (at := key.rpartition("_e"))[2].isdigit():
            marks.setdefault(at[0], []).append(key)
        found.setdefault(key, {})[seed] = value
    rows = []
    for (start, (name, unit)), method in ((s, m) for s in sets.items() for m in methods):
        base = f"{start}_{method}"
        for seed, auroc in sorted(found.get(base, {}).items()):
            marked = [found[key][seed] for key in marks.get(base, []) if seed in found[key]]
            costs = {cost: found.get(f"{base}_{cost}", {}).get(seed, np.nan) for cost in COSTS}
            best = max([auroc, *marked]) if marked else np.nan
            rows.append(
                {"set": name, "unit": unit, "method": method, "seed": seed, "auroc": auroc, "oracle": best} | costs
            )
    return pd.DataFrame(rows, columns=["set", "unit", "method", "seed", "auroc", "oracle", *COSTS])


def table_keys(names: Iterable[str] = TABLES) -> dict[str, tuple[str, str]]:
    """`sets` of `runs` for tables: each is a unit of its own."""
    return {word(name): (short(name), short(name)) for name in names}


def image_keys(name: str) -> dict[str, tuple[str, int]]:
    """`sets` of `runs` for an image set: its units are the classes."""
    return {f"{name}_{c}": (IMAGES[name], c) for c in CLASSES}


def short(name: str) -> str:
    return name.removeprefix("adbench/")


def by_unit(some: pd.DataFrame, column: str = "auroc") -> pd.DataFrame:
    """Means over the seeds: one row for each unit, one column for each method, in their order."""
    order = [method for method in METHODS if method in set(some["method"])]
    return some.pivot_table(index="unit", columns="method", values=column, sort=False)[order]


def complete(wide: pd.DataFrame) -> pd.DataFrame:
    """The units that have a value of every method: ranks of others would not compare."""
    return wide.dropna()


def summary(some: pd.DataFrame) -> pd.DataFrame:
    """One row a method, best mean first: mean AUROC over the units and its bootstrap interval (units are resampled),
    average rank over the complete units, oracle, medians of the costs, and the share of collapsed runs."""
    if some.empty:
        return pd.DataFrame()
    wide = by_unit(some)
    ranks = average_ranks(complete(wide))
    of_method = some.groupby("method")
    rows = []
    for method in wide:
        of_units = wide[method].dropna()
        low, high = bootstrap_ci(of_units.to_numpy())
        own = of_method.get_group(method)
        rows.append(
            {
                "method": METHODS[method].name,
                "units": len(of_units),
                "runs": len(own),
                "AUROC": of_units.mean(),
                "low": low,
                "high": high,
                "average rank": ranks.get(method, np.nan),
                "oracle": own.groupby("unit")["oracle"].mean().mean(),
                "fit, s": own["fit_s"].median(),
                "rows / s": own["rows_per_s"].median(),
                "parameters": own["parameters"].median(),
                "distinct scores": own["distinct"].median(),
                "collapsed runs": own["collapsed"].mean(),
            }
        )
    return pd.DataFrame(rows, index=list(wide)).sort_values("AUROC", ascending=False)


def average_ranks(wide: pd.DataFrame) -> pd.Series:
    """Mean rank of each method over the units, 1 is best; ties share their ranks. Empty without units."""
    return wide.rank(axis=1, ascending=False).mean() if len(wide) else pd.Series(dtype=float)


class Comparison(NamedTuple):
    """Average ranks; p of Friedman's test that all methods are equal; p of Nemenyi's test for each pair."""

    ranks: pd.Series
    p: float
    pairs: pd.DataFrame


def compare(wide: pd.DataFrame) -> Comparison | None:
    """Demsar's tests on complete units; None for fewer than three methods or five units.

    Both take the units for independent of each other and look at the order of the methods on each, nothing else.
    """
    import scikit_posthocs
    from scipy.stats import friedmanchisquare

    wide = complete(wide)
    if wide.shape[1] < 3 or len(wide) < 5:
        return None
    p = friedmanchisquare(*(wide[method] for method in wide)).pvalue
    pairs = scikit_posthocs.posthoc_nemenyi_friedman(wide.reset_index(drop=True))
    return Comparison(average_ranks(wide), float(p), pairs)


def not_above_floor(some: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """{deep method: (units on which its mean over the seeds is above the untrained network's, units)} of those that are
    not above it on average over the units that both have."""
    wide = by_unit(some) if len(some) else pd.DataFrame()
    found = {}
    for method in wide:
        if not METHODS[method].deep or FLOOR not in wide:
            continue
        gain = (wide[method] - wide[FLOOR]).dropna()
        if len(gain) and gain.mean() <= 0:
            found[method] = (int((gain > 0).sum()), len(gain))
    return found


def bests(some: pd.DataFrame) -> Json | None:
    """The best shallow and the best trained method by mean AUROC over the complete units, in words; the floor's AUROC;
    and the mean difference between the two with its bootstrap interval. None where one of the kinds is missing."""
    wide = complete(by_unit(some)) if len(some) else pd.DataFrame()
    shallow = [m for m in wide if not METHODS[m].deep and m != FLOOR]
    trained = [m for m in wide if METHODS[m].deep]
    if wide.empty or not shallow or not trained or FLOOR not in wide:
        return None
    first, second = wide[shallow].mean().idxmax(), wide[trained].mean().idxmax()
    gain = wide[second] - wide[first]
    low, high = bootstrap_ci(gain.to_numpy())
    return {
        "best shallow": f"{METHODS[first].name} ({wide[first].mean():.3f})",
        "untrained": wide[FLOOR].mean(),
        "best trained": f"{METHODS[second].name} ({wide[second].mean():.3f})",
        "trained minus shallow": gain.mean(),
        "low": low,
        "high": high,
    }
