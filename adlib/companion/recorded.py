"""Sweeps: long runs, planned in results/sweeps/NAME.yml and kept in results/recorded/NAME.jsonl, one JSON line a point.

A point is one method with its settings, on one data set, for one normal class and one seed. Its key is a hash of all
that decides its values, so a line is used only while the sweep still asks for exactly that point.
This module reads both and imports no method, so that a chapter may use it; `sweep` runs points and writes the lines.
"""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

if TYPE_CHECKING:
    import pandas

SWEEPS = Path("results/sweeps")
RECORDED = Path("results/recorded")
CHECKOUT = Path(__file__).resolve().parents[2]  # where this package lies, unless it was installed without one

Json = dict[str, Any]


class SweepError(ValueError):
    """A sweep file, a point or the state of the checkout is not as it must be; the message is one sentence."""


# The plan: a sweep file and its points


class Data(BaseModel):
    """What a point loads: the name for `adlib.data.load`, the label it must then carry, and the size to pad to."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    label: str
    pad_to: int | None = None


class Experiment(BaseModel):
    """A block of points: every data set x every normal class x every seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    evidence: str  # <slug>/<key>; {data} and {normal} stand for the point's own, the name as `word` writes it
    method: str
    settings: Json = {}
    data: list[Data]
    normal: list[int | list[int]]  # a list in the list: several classes that are normal together
    anomaly: int | None = None  # None: all other classes
    n_train: int = Field(default=0, ge=0)  # 0: all
    rescore: dict[str, list[str]] = {}  # settings that are changed after fit, and the values to score with
    n_test: int = Field(default=0, ge=0)  # test rows drawn with the seed; 0: all
    turned: float = Field(default=0, ge=0, le=180)  # degrees for `data.flip_and_rotate` on all images; 0: as they are
    contamination: float = Field(default=0, ge=0, le=1)  # anomalies for each normal training image, `data.contaminate`
    contrast: bool = False  # images through `data.normalize_contrast`
    attack_steps: list[int] = []  # of the attacks on test images of the class, `attacked.py`; scored as _s10, _s100
    in_sample: bool = False  # attacked images and test part in the training set, too
    watermark: Literal["anomalous", "both", "masked"] | None = None  # of the class `anomaly`, known:
    watermark_share: float = Field(default=0, ge=0, le=1)  # by `watermark.training_set`; gives _present, ...
    outliers: str | None = None  # a data set whose training images are known anomalies
    n_outliers: int = Field(default=0, ge=0)  # known anomalies drawn with the seed; 0: all
    tiles: Literal["none", "defects", "masks"] | None = None  # what is known of defects, `tiles.py`; gives _image
    also: list[Literal["turned", "middle", "hottest", "each", "pooled"]] = []  # measures of `heatmaps.py`, of tiles
    tile_size: int = Field(default=0, ge=0)  # pixels a side
    widths: list[float] = []  # of the Gaussian for the tiles' heatmaps, in pixels of 224; gives _sigma4_each, ...
    costs: bool = False  # adds _fit_s, _rows_per_s, _parameters, _distinct, _collapsed, see `protocols.costs`
    epochs_at: list[int] = []  # scored also after these epochs, as _e3; a run of 3 epochs would give the same
    split: Literal["balanced", "half"] | None = None  # of a set without test part, standardised; adds F1, as _f1
    hindsight: dict[str, list[float]] = {}  # OC-SVM: the best test AUROC over this grid, as _hindsight (an oracle)
    seeds: list[int] | None = None  # instead of the sweep's

    @field_validator("data", "normal", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]


# in a point only where they say something
LATER = (
    "n_test", "turned", "contamination", "contrast", "attack_steps", "in_sample", "watermark", "watermark_share",
    "outliers", "n_outliers", "also", "tiles", "tile_size", "widths", "costs", "epochs_at", "split", "hindsight",
)  # fmt: skip

COSTS = ("fit_s", "rows_per_s", "parameters", "distinct", "collapsed")


class Sweep(BaseModel):
    """A sweep file. `defaults` are fields of the experiments; an experiment's own win, settings one by one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    profile: Literal["paper", "reduced"]
    seeds: int = Field(ge=1)
    experiments: list[Experiment] = Field(min_length=1)

    def points(self) -> dict[str, Json]:
        """{key: point}, in the order of the file. Raises SweepError when a point stands there twice."""
        points: dict[str, Json] = {}
        seen: set[tuple[str, int]] = set()
        for experiment in self.experiments:
            for point in _expand(experiment, experiment.seeds or range(self.seeds)):
                if key_of(point) in points:
                    raise SweepError(f"the point {canonical(point)} stands twice in the sweep")
                new = {(key, point["seed"]) for key in value_keys(point)}
                if twice := sorted(new & seen):  # or two classes would pass for two seeds
                    where = f"{twice[0][0]}, seed {twice[0][1]}"
                    raise SweepError(f"{where} has two points: put {{normal}} or {{data}} into the evidence")
                seen |= new
                points[key_of(point)] = point
        return points


def _expand(experiment: Experiment, seeds: Sequence[int]) -> Iterator[Json]:
    for seed, data, normal in itertools.product(seeds, experiment.data, experiment.normal):
        yield {
            "evidence": experiment.evidence.format(data=word(data.name), normal=_classes(normal)),
            "method": experiment.method,
            "settings": experiment.settings,
            "data": data.model_dump(),
            "normal": normal,
            "anomaly": experiment.anomaly,
            "n_train": experiment.n_train,
            "rescore": experiment.rescore,
            "seed": seed,
            **{name: value for name in LATER if (value := getattr(experiment, name))},
        }


def word(name: str) -> str:
    """A data set's name as a part of a key: "adbench/satimage-2" is adbench_satimage_2."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def _classes(normal: int | Sequence[int]) -> str:
    """The normal class or classes as a part of a key: 3, or 2_3_5."""
    return str(normal) if isinstance(normal, int) else "_".join(map(str, normal))


def variants(rescore: Mapping[str, Sequence[str]]) -> list[tuple[str, Json]]:
    """[(suffix of the evidence key, settings to change)]; one empty pair when nothing is to be scored again."""
    chosen = itertools.product(*rescore.values())
    return [("".join(f"_{value}" for value in values), dict(zip(rescore, values, strict=True))) for values in chosen]


def value_keys(point: Json) -> list[str]:
    """The evidence keys of the values that the point gives."""
    if point.get("watermark"):
        return [f"{point['evidence']}_{name}" for name in ("present", "removed", "moved", "mass", "mass_removed")]
    if point.get("tiles"):
        also = point.get("also", [])
        blurred = [f"sigma{width:g}_{name}" for width in point.get("widths", []) for name in also]
        return [f"{point['evidence']}_{name}" for name in ("image", *also, *blurred)]
    suffixes = [suffix for suffix, _ in variants(point["rescore"])]
    marks = ["", *(f"_e{epoch}" for epoch in point.get("epochs_at", []))]
    scored = [mark + suffix for mark in marks for suffix in suffixes]
    if steps := [f"_s{n}" for n in point.get("attack_steps", [])]:
        scored = [end + s for end in scored for s in steps] + [f"_rms{s}" for s in steps] + ["_accuracy"]
    f1 = [end + "_f1" for end in scored] if point.get("split") else []
    best = ["_hindsight"] if point.get("hindsight") else []
    also = [f"_{name}" for name in point.get("also", [])]
    costs = [f"_{name}" for name in COSTS] if point.get("costs") else []
    return [point["evidence"] + end for end in [*scored, *also, *f1, *best, *costs]]


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def key_of(point: Json) -> str:
    """The point's key: 12 hex digits of the sha256 of its canonical JSON."""
    return hashlib.sha256(canonical(point).encode()).hexdigest()[:12]


def read_sweep(path: Path) -> Sweep:
    """The sweep in a YAML file. Raises SweepError with one sentence."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yml"))) or "none"
        raise SweepError(f"no sweep {path.stem!r}: {path} does not exist (there are: {known})") from None
    try:
        content = yaml.safe_load(text)
        defaults = content.pop("defaults", {})
        content["experiments"] = [_with_defaults(defaults, e) for e in content.get("experiments", [])]
        return Sweep(**content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SweepError(f"{path}: {place}={first['input']!r}: {first['msg']}") from None
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise SweepError(f"{path} is not a sweep file: {' '.join(str(error).split())}") from None


def _with_defaults(defaults: Json, experiment: Json) -> Json:
    settings = {**defaults.get("settings", {}), **experiment.get("settings", {})}
    return {**defaults, **experiment, "settings": settings}


# The record: lines of results/recorded/NAME.jsonl


def read_lines(path: Path) -> list[Json]:
    """The recorded lines, [] when there is no such file. Raises SweepError on a line that is not whole."""
    if not path.exists():
        return []
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            raise SweepError(f"{path}, line {number} is not JSON: restore the file from git") from None
    return lines


class Record(NamedTuple):
    """A sweep with the lines that its present points still use."""

    name: str
    sweep: Sweep
    points: dict[str, Json]
    lines: dict[str, Json]  # {key: line}, only keys of `points`


def records(recorded: Path = RECORDED, sweeps: Path | None = None) -> list[Record]:
    """Every sweep beside `recorded`, by name. Lines with other keys stay in their file and count for nothing."""
    found = []
    for path in sorted((sweeps or recorded.parent / "sweeps").glob("*.yml")):
        sweep = read_sweep(path)
        points = sweep.points()
        lines = {line["key"]: line for line in read_lines(recorded / f"{path.stem}.jsonl") if line["key"] in points}
        found.append(Record(path.stem, sweep, points, lines))
    return found


def missing_keys(name: str, sweeps: Path = SWEEPS, recorded: Path = RECORDED) -> list[str]:
    """Keys of the sweep's points that have no line yet, in the order of the file."""
    points = read_sweep(sweeps / f"{name}.yml").points()
    have = {line["key"] for line in read_lines(recorded / f"{name}.jsonl")}
    return [key for key in points if key not in have]


def values(slug: str, checkout: Path = CHECKOUT) -> "pandas.DataFrame":
    """Every recorded value of a chapter, one row for each key and seed, sorted by these.

    Columns: key (without "slug/"), seed, value, label (of the data), profile, sweep, commit (10 characters). No rows
    where the package was installed without its checkout.
    """
    import pandas as pd

    rows = [
        (key.removeprefix(f"{slug}/"), line["point"]["seed"], value, line["dataset"]["label"], record.sweep.profile,
         record.name, line["commit"][:10])
        for record in records(checkout / RECORDED)
        for line in record.lines.values()
        for key, value in line["values"].items()
        if key.startswith(f"{slug}/")
    ]  # fmt: skip
    columns = ["key", "seed", "value", "label", "profile", "sweep", "commit"]
    return pd.DataFrame(sorted(rows), columns=columns).astype({"seed": int, "value": float})


def write_by_rename(path: Path, text: str) -> None:
    """Writes the file whole: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
