"""Canaries: whether a recorded line still holds.

A line holds the scores of 32 generated rows after two training steps. When today's code gives other scores for them,
the line is stale: it was recorded by another method, in effect.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .protocols import build, with_encoder
from .recorded import RECORDED, Json, canonical, records, variants

ROWS = 32
STEPS = 2
ITEMS = 256  # training items of an epoch at most, all in one batch, so an epoch is one step
TOLERANCE = 1e-3  # relative to the largest absolute score
ROUNDED = {"FCDD": 1e-2, "HSC": 1e-2}  # instead: changing their first weights by 1e-7, as rounding does, moves it so


def rows_of(shape: Sequence[int]) -> Any:
    """32 generated rows: uint8 noise for images (c, h, w), float64 normal rows for (d,). NumPy never changes these."""
    import numpy as np

    random = np.random.RandomState(2018)  # the one NumPy stream that is frozen for good
    if len(shape) == 1:
        return random.standard_normal((ROWS, *shape))
    return random.randint(0, 256, size=(ROWS, *shape)).astype(np.uint8)


def canary(point: Json, shape: Sequence[int]) -> dict[str, list[float]]:
    """{suffix: scores of the 32 rows after 2 training steps on them}, on the CPU and in float32, one list a variant."""
    from adlib import METHODS

    short = {"epochs": STEPS, "batch_size": ITEMS, "device": "cpu", "amp": False}
    defaults = METHODS[point["method"]]().get_params() if point["method"] in METHODS else {}
    settings = defaults | point["settings"]
    if settings.get("warmup_epochs"):
        short["warmup_epochs"] = STEPS - 1  # one step of each kind
    if settings.get("pretrain_epochs"):
        short["pretrain_epochs"] = STEPS
    if settings.get("nu"):
        short["nu"] = max(settings["nu"], 1 / ROWS)  # a smaller share is no row

    def taken(method: str) -> Json:
        has = METHODS[method]().get_params() if method in METHODS else {}
        return {name: value for name, value in short.items() if name in has}

    detector = build(point, **taken(point["method"]))
    items = detector._items
    detector._items = lambda x: min(items(x), ITEMS)  # 72 transformations of 32 rows would take minutes
    rows = rows_of(shape)
    with_encoder(detector, point, rows, **taken("Autoencoder"))
    fitted, known = _fitted_rows(point, rows)
    detector.fit(fitted, **(known if detector.takes_outliers else {}))
    scores = {
        suffix: detector.set_params(**changes).anomaly_score(rows) for suffix, changes in variants(point["rescore"])
    }
    return {suffix: [float(f"{score:.6g}") for score in of_rows] for suffix, of_rows in scores.items()}


def _fitted_rows(point: Json, rows: Any) -> tuple[Any, dict[str, Any]]:
    """The rows as they are fitted on, and what stands for the anomalies that the point's training knows."""
    if point.get("watermark"):
        from . import watermark

        shown = watermark.training_set(rows, 255 - rows, point.get("watermark_share", 0), 0, point["watermark"])
        return shown[0], {"outliers": shown[1]}
    if point.get("tiles") == "masks":
        return rows, {"outliers": 255 - rows, "masks": (rows[:, 0] > 127).astype("float32")}
    known = point.get("outliers") or point.get("tiles") == "defects"
    return rows, {"outliers": 255 - rows} if known else {}


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

    One canary is computed for each distinct method, settings and shape of image: that of the first seed, which speaks
    for the others, since the seed changes no code. One table speaks for all tables: no network is built otherwise for
    more columns. `max_rel` is null when nothing had to be computed (another torch).
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
        elif max_rel > (allowed := ROUNDED.get(line["point"]["method"], TOLERANCE)):
            reason = f"the canary differs by {max_rel:.1e}, allowed is {allowed:.0e}"
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
    """The difference for the line's group (same code, settings and kind of rows), computed once; else why it fails."""
    point, shape = line["point"], line["canary"]["shape"]
    kind = shape if len(shape) > 1 else "table"
    marks = [point.get(name) for name in ("watermark", "watermark_share", "outliers", "tiles")]
    group = canonical([line["commit"], point["method"], point["settings"], point["rescore"], kind, marks])
    if group not in computed:
        try:
            computed[group] = largest_difference(line["canary"]["scores"], canary(point, shape))
        except (TypeError, ValueError, RuntimeError) as error:
            computed[group] = f"the canary no longer runs: {' '.join(str(error).split())}"
    return computed[group]


def _major_minor(text: str) -> str:
    return ".".join(text.split(".")[:2])
