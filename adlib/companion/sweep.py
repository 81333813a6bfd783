"""Running a sweep: its points, the lines they become, and the canaries that say whether a line still holds.

A line holds a canary: the scores of 32 generated rows after two training steps. When today's code gives other scores
for them, the line is stale: it was recorded by another method, in effect.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import datasets
from .recorded import (
    RECORDED,
    SWEEPS,
    Json,
    SweepError,
    canonical,
    key_of,
    missing_keys,
    read_lines,
    read_sweep,
    records,
    value_keys,
    variants,
    write_by_rename,
)

CANARY_ROWS = 32
CANARY_STEPS = 2
CANARY_ITEMS = 256  # training items of an epoch at most, all in one batch, so an epoch is one step
CANARY_TOLERANCE = 1e-3  # relative to the largest absolute score


# Recording


def append(name: str, points_dir: Path, sweeps: Path = SWEEPS, recorded: Path = RECORDED) -> int:
    """Adds the finished points among the missing ones to results/recorded/NAME.jsonl; returns how many.

    The file is written whole, sorted by key, and appears by rename; a lock keeps two appends apart.
    A point without a whole, matching file is left for the next sweep. Raises SweepError in a dirty tree.
    """
    clean_commit()
    points = read_sweep(sweeps / f"{name}.yml").points()
    path = recorded / f"{name}.jsonl"
    recorded.mkdir(parents=True, exist_ok=True)
    with _locked(recorded):
        lines = {line["key"]: line for line in read_lines(path)}
        finished = {key: _finished(points_dir / f"{key}.json", key) for key in points if key not in lines}
        new = {key: line for key, line in finished.items() if line}
        lines.update(new)
        write_by_rename(path, "".join(canonical(lines[key]) + "\n" for key in sorted(lines)))
    return len(new)


def _finished(path: Path, key: str) -> Json | None:
    """The point's line, or None when the file is missing, cut short or of another point."""
    try:
        line = json.loads(path.read_text(encoding="utf-8"))
        return line if line["key"] == key == key_of(line["point"]) and line["values"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # closing gives the lock back


def clean_commit() -> str:
    """The commit checked out here. Raises SweepError when the tree is dirty or is no git checkout."""
    changed = _git("status", "--porcelain").splitlines()
    if changed:
        raise SweepError(
            f"{len(changed)} uncommitted change(s), the first is {changed[0].strip()!r}: "
            "a record names the commit that made it, so sweep from a clean worktree (git worktree add)"
        )
    return _git("rev-parse", "HEAD").strip()


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join((getattr(error, "stderr", None) or str(error)).split())
        raise SweepError(f"recording needs a git checkout with a commit: git {arguments[0]} said {reason!r}") from None


# Points


def run_points(name: str, keys: Sequence[str], points_dir: Path) -> None:
    """Runs the points, one after the other, but for those that this commit has run. Raises SweepError, DataError."""
    commit = clean_commit()
    for key in keys:
        path = points_dir / f"{key}.json"
        if (_finished(path, key) or {}).get("commit") != commit:
            write_by_rename(path, canonical(run_point(name, key)) + "\n")


def run_point(name: str, key: str, sweeps: Path = SWEEPS) -> Json:
    """Runs one point on one thread and returns its line. Raises SweepError, DataError."""
    commit = clean_commit()
    sweep = read_sweep(sweeps / f"{name}.yml")
    point = sweep.points().get(key)
    if point is None:
        raise SweepError(f"sweep {name!r} has no point {key!r}: `sweep keys {name}` lists those that are missing")
    import torch

    torch.set_num_threads(1)
    started = time.perf_counter()
    values, dataset, shape = evaluate(point)
    return {
        "sweep": name,
        "key": key,
        "point": point,
        "values": values,
        "dataset": dataset,
        "profile": sweep.profile,
        "versions": versions(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "commit": commit,
        "duration_s": round(time.perf_counter() - started, 1),
        "canary": {"shape": list(shape), "scores": canary(point, shape)},
    }


def evaluate(point: Json) -> tuple[dict[str, float], Json, tuple[int, ...]]:
    """({evidence key: AUROC}, {label, exact, fingerprint}, shape of a row) of one point."""
    from adlib import data

    dataset = data.load(point["data"]["name"])
    if dataset.label != point["data"]["label"]:
        raise SweepError(f"the data here are {dataset.label!r}, but the sweep records {point['data']['label']!r}")
    if point.get("watermark"):
        values, shape = _watermark_values(point, dataset)
    else:
        values, shape = (_attacked_values if point.get("attack_steps") else _values)(point, dataset)
    values = {point["evidence"] + end: value for end, value in values.items()}
    if missing := [key for key in value_keys(point) if key not in values]:
        raise SweepError(f"{missing[0]} has no value: every one of epochs_at must lie within the epochs")
    return values, {"label": dataset.label, "exact": bool(dataset.exact), "fingerprint": dataset.fingerprint}, shape


def _values(point: Json, dataset: Any) -> tuple[dict[str, float], tuple[int, ...]]:
    """({end of the evidence key: value}, shape of a row) of a class against the others, or of a split table."""
    from adlib import data, metrics

    if point.get("split"):
        split = data.split_rows(dataset, point["seed"], balanced=point["split"] == "balanced")
    else:
        split = data.one_vs_rest(dataset, point["normal"], point["anomaly"])
    x_train, _ = subset(split.x_train, point["n_train"], point["seed"], "n_train")
    if point.get("contamination"):
        x_train = data.contaminate(x_train, dataset, point["normal"], point["contamination"], point["seed"])
    x_test, rows = subset(split.x_test, point.get("n_test", 0), point["seed"], "n_test")
    y_test = split.y_test[rows]
    x_train, x_test = (_prepared(x, point, part) for part, x in enumerate((x_train, x_test)))
    if point.get("split"):
        x_train, x_test = _standardised(x_train, x_test)
    if point.get("contrast"):
        x_train, x_test = data.normalize_contrast(x_train, x_test)
    scores = _scores(point, x_train, x_test, _outliers(point))
    values = {suffix: metrics.auroc(y_test, s) for suffix, s in scores.items()}
    if point.get("split"):
        protocol = F1[point["split"]](y_test)
        values |= {f"{suffix}_f1": metrics.f1_at_ratio(y_test, s, *protocol) for suffix, s in scores.items()}
    if point.get("hindsight"):
        from .hindsight import ocsvm_in_hindsight

        values["_hindsight"] = ocsvm_in_hindsight(x_train, x_test, y_test, **point["hindsight"]).auroc
    return values, tuple(x_train.shape[1:])


def _attacked_values(point: Json, dataset: Any) -> tuple[dict[str, float], tuple[int, ...]]:
    """The same of a class against attacked images of it, with the size of each attack and the classifier's accuracy."""
    from adlib import data, metrics

    from .attacked import attacked_split

    steps, in_sample = point["attack_steps"], point.get("in_sample", False)
    split = attacked_split(dataset, point["normal"], steps, point["seed"], in_sample)
    x_train, x_test = split.x_train, split.x_test
    if point.get("contrast"):
        x_train, x_test = data.normalize_contrast(x_train, x_test)
    values = {"_accuracy": next(iter(split.attacks.values())).accuracy}
    values |= {f"_rms_s{n}": attack.rms for n, attack in split.attacks.items()}
    for suffix, scores in _scores(point, x_train, x_test).items():
        for n in steps:
            rows = (split.steps == 0) | (split.steps == n)
            values[f"{suffix}_s{n}"] = metrics.auroc(split.steps[rows] > 0, scores[rows])
    return values, tuple(x_train.shape[1:])


def _watermark_values(point: Json, dataset: Any) -> tuple[dict[str, float], tuple[int, ...]]:
    """What `watermark.measure` says of a detector that knows anomalies, of which a share carries a watermark."""
    from adlib import data

    from . import watermark

    split = data.one_vs_rest(dataset, point["normal"], point["anomaly"])
    nominal, _ = subset(split.x_train, point["n_train"], point["seed"], "n_train")
    known = dataset.x_train[dataset.y_train == point["anomaly"]]
    known, _ = subset(known, point.get("n_outliers", 0), point["seed"], "n_outliers")
    x_test, rows = subset(split.x_test, point.get("n_test", 0), point["seed"], "n_test")
    odd = split.y_test[rows] == 1
    share = point.get("watermark_share", 0)
    nominal, known = watermark.training_set(nominal, known, share, point["seed"], point["watermark"])
    detector = build(point)
    detector.fit(nominal, **({"outliers": known} if detector.takes_outliers else {}))
    shown = watermark.masked if point["watermark"] == "masked" else (lambda x: x)
    found = watermark.measure(
        lambda x: detector.anomaly_score(shown(x)), lambda x: detector.heatmap(shown(x)), x_test[~odd], x_test[odd]
    )
    return {f"_{name}": value for name, value in found.items()}, tuple(nominal.shape[1:])


F1 = {  # (share of the rows called anomalous, positive class) of the papers that split so
    "balanced": lambda y: (0.2, "normal"),  # DROCC's code
    "half": lambda y: (y.mean(), "anomaly"),  # DAGMM, GOAD
}


def _standardised(x_train: Any, x_test: Any) -> tuple[Any, Any]:
    """Both with the mean and the deviation of the training rows."""
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(x_train).transform
    return scale(x_train), scale(x_test)


def _prepared(x: Any, point: Json, part: int) -> Any:
    """The images of one part (0 train, 1 test), turned and padded as the point says."""
    from adlib import data

    if point.get("turned"):
        x = data.flip_and_rotate(x, point["turned"], [point["seed"], part])
    return data.pad(x, point["data"]["pad_to"]) if point["data"]["pad_to"] else x


def _outliers(point: Json) -> Any:
    """Images of another data set as known anomalies, or None."""
    from adlib import data

    if not point.get("outliers"):
        return None
    return subset(data.load(point["outliers"]).x_train, point.get("n_outliers", 0), point["seed"], "n_outliers")[0]


def _scores(point: Json, x_train: Any, x_test: Any, outliers: Any = None) -> dict[str, Any]:
    """{suffix: anomaly scores of x_test}, for the fitted detector's variants and after the epochs in between."""
    detector, scores = _with_encoder(build(point), point, x_train), {}

    def score(mark: str = "") -> None:
        asked = detector.get_params(deep=False)
        for suffix, changes in variants(point["rescore"]):
            scores[mark + suffix] = detector.set_params(**changes).anomaly_score(x_test)
        detector.set_params(**asked)

    def on_epoch(epoch: int, loss: float) -> None:
        if epoch + 1 in point["epochs_at"]:
            score(f"_e{epoch + 1}")

    known = {} if outliers is None else {"outliers": outliers}
    detector.fit(x_train, **known, on_epoch=on_epoch if point.get("epochs_at") else None)
    score()
    return scores


def subset(x: Any, n: int, seed: int, name: str) -> tuple[Any, Any]:
    """(`n` rows of `x`, drawn with the seed and left in their order, and which); all for n = 0. Raises SweepError."""
    if n > len(x):
        raise SweepError(f"{name}={n} is more than the {len(x)} rows there are")
    rows = datasets.draw(len(x), n, seed)
    return x[rows], rows


def build(point: Json, **changes: Any) -> Any:
    """The point's detector, not yet fitted. Raises SweepError on an unknown method, setting or network."""
    from adlib import METHODS

    if point["method"] not in METHODS:
        raise SweepError(f"unknown method {point['method']!r}: known are {', '.join(METHODS)}")
    new = METHODS[point["method"]]
    settings = {name: _resolve(name, value) for name, value in point["settings"].items() if name != "encoder"}
    settings |= {"random_state": point["seed"], **changes}
    try:
        for _, again in variants(point["rescore"]):  # scoring would not check these
            new().set_params(**again)._validate_params()
        return new().set_params(**settings)
    except ValueError as error:
        raise SweepError(f"{point['method']}: {' '.join(str(error).split())}") from None


def _with_encoder(detector: Any, point: Json, x: Any, **changes: Any) -> Any:
    """The detector, given the encoder of an autoencoder that is trained on x, if the point has settings for one."""
    if settings := point["settings"].get("encoder"):
        autoencoder = build({**point, "method": "Autoencoder", "settings": settings, "rescore": {}}, **changes).fit(x)
        detector.set_params(encoder=autoencoder.model_.encoder)
    return detector


def _resolve(name: str, value: Any) -> Any:
    """A setting as the detector wants it: a network's name becomes its factory, a table's arguments the table."""
    if name == "net" and isinstance(value, str):
        from adlib import nets

        if not callable(getattr(nets, value, None)):
            raise SweepError(f"net={value!r} is not a factory in adlib.nets")
        return getattr(nets, value)
    if name == "table" and isinstance(value, Mapping):
        from adlib import geom

        return geom.transform_table(**value)
    return value


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    import torch

    packages = {name: version(name) for name in ("numpy", "scikit-learn")}
    return {"python": sys.version.split()[0], "torch": str(torch.__version__), **packages}


# Canaries


def canary_rows(shape: Sequence[int]) -> Any:
    """32 generated rows: uint8 noise for images (c, h, w), float64 normal rows for (d,). NumPy never changes these."""
    import numpy as np

    random = np.random.RandomState(2018)  # the one NumPy stream that is frozen for good
    if len(shape) == 1:
        return random.standard_normal((CANARY_ROWS, *shape))
    return random.randint(0, 256, size=(CANARY_ROWS, *shape)).astype(np.uint8)


def canary(point: Json, shape: Sequence[int]) -> dict[str, list[float]]:
    """{suffix: scores of the 32 rows after 2 training steps on them}, on the CPU and in float32, one list a variant."""
    from adlib import METHODS

    short = {"epochs": CANARY_STEPS, "batch_size": CANARY_ITEMS, "device": "cpu", "amp": False}
    defaults = METHODS[point["method"]]().get_params() if point["method"] in METHODS else {}
    settings = defaults | point["settings"]
    if settings.get("warmup_epochs"):
        short["warmup_epochs"] = CANARY_STEPS - 1  # one step of each kind
    if settings.get("pretrain_epochs"):
        short["pretrain_epochs"] = CANARY_STEPS
    if settings.get("nu"):
        short["nu"] = max(settings["nu"], 1 / CANARY_ROWS)  # a smaller share is no row

    def known(method: str) -> Json:
        has = METHODS[method]().get_params() if method in METHODS else {}
        return {name: value for name, value in short.items() if name in has}

    detector = build(point, **known(point["method"]))
    items = detector._items
    detector._items = lambda x: min(items(x), CANARY_ITEMS)  # 72 transformations of 32 rows would take minutes
    rows = canary_rows(shape)
    _with_encoder(detector, point, rows, **known("Autoencoder"))
    if point.get("watermark"):
        from . import watermark

        shown = watermark.training_set(rows, 255 - rows, point.get("watermark_share", 0), 0, point["watermark"])
        detector.fit(shown[0], **({"outliers": shown[1]} if detector.takes_outliers else {}))
    else:
        detector.fit(rows, **({"outliers": 255 - rows} if point.get("outliers") else {}))
    scores = {
        suffix: detector.set_params(**changes).anomaly_score(rows) for suffix, changes in variants(point["rescore"])
    }
    return {suffix: [float(f"{score:.9g}") for score in of_rows] for suffix, of_rows in scores.items()}


def largest_difference(recorded: Mapping[str, list[float]], now: Mapping[str, list[float]]) -> float:
    """Largest |difference| over the largest |recorded score|, of the worst variant; inf when shapes or names differ."""
    import numpy as np

    if recorded.keys() != now.keys() or any(len(recorded[k]) != len(now[k]) for k in recorded):
        return float("inf")
    worst = 0.0
    for suffix, scores in recorded.items():
        old, new = np.asarray(scores), np.asarray(now[suffix])
        relative = np.abs(new - old).max() / max(float(np.abs(old).max()), np.finfo(float).tiny)
        worst = max(worst, float(relative) if np.isfinite(relative) else float("inf"))
    return worst


def check_canaries(recorded: Path = RECORDED, sweeps: Path | None = None) -> dict[str, dict[str, Json]]:
    """{sweep: {key: {ok, max_rel, reason, data}}} for every line in use.

    One canary is computed for each distinct method, settings and shape: that of the first seed, which speaks for the
    others, since the seed changes no code. `max_rel` is null when nothing had to be computed (another torch).
    """
    computed: dict[str, float | str] = {}
    report: dict[str, dict[str, Json]] = {}
    for record in records(recorded, sweeps):
        lines = sorted(record.lines.values(), key=lambda line: (line["point"]["seed"], line["key"]))
        report[record.name] = {line["key"]: _check_line(line, computed) for line in lines}
    return report


def _check_line(line: Json, computed: dict[str, float | str]) -> Json:
    import torch

    torch.set_num_threads(1)
    reason, data = _check_data(line)
    max_rel = None
    then, now = (_major_minor(v) for v in (line["versions"]["torch"], torch.__version__))
    if then != now:
        reason = f"recorded with torch {then}, here is {now}"
    else:
        max_rel = _canary_difference(line, computed)
        if isinstance(max_rel, str):
            reason, max_rel = max_rel, None
        elif max_rel > CANARY_TOLERANCE:
            reason = f"the canary differs by {max_rel:.1e}, allowed is {CANARY_TOLERANCE:.0e}"
            max_rel = max_rel if max_rel < float("inf") else None  # JSON has no infinity
    return {"ok": not reason, "max_rel": max_rel, "reason": reason, "data": data}


def _check_data(line: Json) -> tuple[str, str]:
    """(reason for being stale or "", what was seen)."""
    from adlib import data

    name, recorded = line["point"]["data"]["name"], line["dataset"]
    try:
        if data.fingerprint(name) == recorded["fingerprint"]:
            return "", "same"
    except data.DataNotFound:
        return "", "not at hand: not checked"
    here = data.load(name).label
    if here.removesuffix(", altered") != recorded["label"]:
        return "", f"{here} here: not checked"  # another edition of the set says nothing about the record
    return f"the data fingerprint of {name} differs", "differs"


def _canary_difference(line: Json, computed: dict[str, float | str]) -> float | str:
    """The difference for the line's group (same code, settings and shape), computed once; else why it cannot run."""
    point, shape = line["point"], line["canary"]["shape"]
    marks = [point.get(name) for name in ("watermark", "watermark_share", "outliers")]
    group = canonical([line["commit"], point["method"], point["settings"], point["rescore"], shape, marks])
    if group not in computed:
        try:
            computed[group] = largest_difference(line["canary"]["scores"], canary(point, shape))
        except (TypeError, ValueError, RuntimeError) as error:
            computed[group] = f"the canary no longer runs: {' '.join(str(error).split())}"
    return computed[group]


def _major_minor(text: str) -> str:
    return ".".join(text.split(".")[:2])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.sweep", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="print the keys that results/recorded/NAME.jsonl lacks, one a line")
    keys.add_argument("name")
    points = commands.add_parser("points", help="run points, each unless this commit has, into POINTS_DIR/KEY.json")
    points.add_argument("name")
    points.add_argument("points_dir", type=Path)
    points.add_argument("keys", nargs="+", metavar="key")
    add = commands.add_parser("append", help="add finished points (POINTS_DIR/KEY.json) to results/recorded/NAME.jsonl")
    add.add_argument("name")
    add.add_argument("points_dir", type=Path)
    check = commands.add_parser("canaries", help="recompute the canaries of all recorded lines in use")
    check.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "keys":
            print("".join(f"{key}\n" for key in missing_keys(options.name)), end="")
        elif options.command == "points":
            run_points(options.name, options.keys, options.points_dir)
        elif options.command == "append":
            print(f"{append(options.name, options.points_dir)} point(s) appended to {RECORDED / options.name}.jsonl")
        else:
            write_by_rename(options.out, json.dumps(check_canaries(), indent=1, sort_keys=True) + "\n")
    except ValueError as error:  # SweepError and DataError
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
