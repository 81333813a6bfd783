"""What one point of a sweep measures: its data, its detector, and the values by the point's protocol.

A class against the others or a split table; images under attack; a watermark on known anomalies; tiles with defects.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from time import process_time as clock  # processor seconds: other programs on the machine do not count
from typing import Any

from . import datasets
from .recorded import COSTS, Json, SweepError, value_keys, variants

Values = tuple[dict[str, float], tuple[int, ...]]  # ({end of the evidence key: value}, shape of a row)


def evaluate(point: Json) -> tuple[dict[str, float], Json, tuple[int, ...]]:
    """({evidence key: AUROC}, {label, exact, fingerprint}, shape of a row) of one point."""
    dataset = _loaded(point["data"]["name"])
    if dataset.label != point["data"]["label"]:
        raise SweepError(f"the data here are {dataset.label!r}, but the sweep records {point['data']['label']!r}")
    values, shape = measure(point, dataset)
    return values, {"label": dataset.label, "exact": bool(dataset.exact), "fingerprint": dataset.fingerprint}, shape


@lru_cache(maxsize=1)  # points in a row mostly share it, and to decode CIFAR-10 takes seconds
def _loaded(name: str) -> Any:
    from adlib import data

    return data.load(name)


def measure(point: Json, dataset: Any) -> tuple[dict[str, float], tuple[int, ...]]:
    """({evidence key: value}, shape of a row) of one point on a data set in hand, whatever the point names."""
    values, shape = _protocol(point)(point, dataset)
    values = {point["evidence"] + end: value for end, value in values.items()}
    if missing := [key for key in value_keys(point) if key not in values]:
        raise SweepError(f"{missing[0]} has no value: every one of epochs_at must lie within the epochs")
    return values, shape


def _protocol(point: Json) -> Callable[[Json, Any], Values]:
    if point.get("tiles"):
        return _tile_values
    if point.get("watermark"):
        return _watermark_values
    return _attacked_values if point.get("attack_steps") else _values


def _values(point: Json, dataset: Any) -> Values:
    """Of a class against the others, or of a split table."""
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
    detector, scores, seconds = _scores(point, x_train, x_test, _outliers(point, x_train.shape[1:]))
    values = {suffix: metrics.auroc(y_test, s) for suffix, s in scores.items()}
    values |= {f"_{name}": measure(detector, x_test, y_test) for name, measure in _also(point).items()}
    if point.get("split"):
        protocol = F1[point["split"]](y_test)
        values |= {f"{suffix}_f1": metrics.f1_at_ratio(y_test, s, *protocol) for suffix, s in scores.items()}
    if point.get("costs"):
        values |= {f"_{name}": value for name, value in costs(detector, x_test, seconds).items()}
    if point.get("hindsight"):
        from .hindsight import ocsvm_in_hindsight

        values["_hindsight"] = ocsvm_in_hindsight(x_train, x_test, y_test, **point["hindsight"]).auroc
    return values, tuple(x_train.shape[1:])


def costs(detector: Any, x_test: Any, fit_s: float) -> dict[str, float]:
    """Processor seconds of the fit, rows scored in one (on the record's device and thread), trainable parameters, the
    share of distinct scores among distinct rows, and 1 if `metrics.has_collapsed` says so of them. Shallow methods
    have no parameters."""
    import numpy as np

    from adlib import metrics

    started = clock()
    scores = detector.anomaly_score(x_test)
    rows_per_s = len(x_test) / max(clock() - started, 1e-6)
    model = getattr(detector, "model_", None)
    weights = list(model.parameters()) if hasattr(model, "parameters") else []
    parameters = sum(weight.numel() for weight in weights if weight.requires_grad)
    distinct = np.unique(x_test.reshape(len(x_test), -1), axis=0, return_index=True)[1]
    scores = scores[distinct] + _threshold(model)
    share, collapsed = metrics.distinct_share(scores), metrics.has_collapsed(scores)
    found = (round(fit_s, 3), round(rows_per_s, 1), parameters, share, collapsed)
    return dict(zip(COSTS, map(float, found), strict=True))


def _threshold(model: Any) -> float:
    """What brings scores back to their own level: R^2 of soft-boundary Deep SVDD, -r of OC-NN, else 0.

    `has_collapsed` compares the scores' spread with their level, which a threshold must not take away.
    """
    return float(getattr(model, "radius2", 0.0)) - float(getattr(model, "r", 0.0))


def _also(point: Json) -> dict[str, Callable]:
    """{name: (detector, images, labels) -> value} of what is measured beside the AUROC."""
    from . import heatmaps

    return {name: getattr(heatmaps, name) for name in point.get("also", [])}


def _attacked_values(point: Json, dataset: Any) -> Values:
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
    for suffix, scores in _scores(point, x_train, x_test)[1].items():
        for n in steps:
            rows = (split.steps == 0) | (split.steps == n)
            values[f"{suffix}_s{n}"] = metrics.auroc(split.steps[rows] > 0, scores[rows])
    return values, tuple(x_train.shape[1:])


def _watermark_values(point: Json, dataset: Any) -> Values:
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


def _tile_values(point: Json, dataset: Any) -> Values:
    """What `tiles.measure` says of a detector of defects, and of its heatmaps by Gaussians of other widths."""
    from . import tiles

    size, also = point["tile_size"], point.get("also", [])
    split = tiles.split(tiles.resized(dataset, size), point["n_train"], point["n_test"], point["seed"])
    detector = build(point)
    detector.fit(split.x_train, **tiles.known(split, point["tiles"]))
    values = {f"_{name}": value for name, value in tiles.measure(detector, split, also).items()}
    for width in point.get("widths", []):
        found = tiles.measure(detector.set_params(sigma=width * size / 224), split, also)
        values |= {f"_sigma{width:g}_{name}": found[name] for name in also}
    return values, tuple(split.x_train.shape[1:])


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


def _outliers(point: Json, shape: tuple[int, int, int]) -> Any:
    """Images of another data set as known anomalies, in the shape of the others, or None."""
    from adlib import data

    from .heatmaps import alike

    if not point.get("outliers"):
        return None
    x = data.load(point["outliers"]).x_train
    return alike(subset(x, point.get("n_outliers", 0), point["seed"], "n_outliers")[0], shape)


def _scores(point: Json, x_train: Any, x_test: Any, outliers: Any = None) -> tuple[Any, dict[str, Any], float]:
    """(fitted detector, {suffix: anomaly scores of x_test} for its variants and after the epochs in between, seconds).

    The seconds are those of the fit without the scoring in between. A training that ends by itself has its last scores
    at the later ones of `epochs_at`, too: with so many epochs at most, it would have ended there as well.
    """
    marks = point.get("epochs_at", [])
    started, aside = clock(), 0.0
    detector, scores = with_encoder(build(point), point, x_train), {}

    def score(mark: str = "") -> None:
        asked = detector.get_params(deep=False)
        for suffix, changes in variants(point["rescore"]):
            scores[mark + suffix] = detector.set_params(**changes).anomaly_score(x_test)
        detector.set_params(**asked)

    def on_epoch(epoch: int, loss: float) -> None:
        nonlocal aside
        if epoch + 1 in marks:
            paused = clock()
            score(f"_e{epoch + 1}")
            aside += clock() - paused

    known = {} if outliers is None else {"outliers": outliers}
    between = _spare_training_scores(detector, marks) if marks else [0.0]
    detector.fit(x_train, **known, on_epoch=on_epoch if marks else None)
    seconds = clock() - started - aside - between[0]
    score()
    for mark, (suffix, _) in itertools.product(marks, variants(point["rescore"])):
        if mark <= detector.epochs:
            scores.setdefault(f"_e{mark}{suffix}", scores[suffix])
    return detector, scores, seconds


def _spare_training_scores(detector: Any, marks: Sequence[int]) -> list[float]:
    """Lets a fit score its training rows after the marked epochs and at its end alone, not after every epoch.

    Between the epochs these scores serve `offset_` and, of some methods, what scoring needs. Gives a list whose one
    number comes to be the seconds of those that stand between epochs.
    """
    import numpy as np

    whole, calls, seconds = getattr(detector, "_training_scores", None), 0, [0.0]

    def training_scores(x: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > len(detector.history_):  # the training is over
            return whole(x)
        if calls not in marks:
            return np.zeros(1)
        started = clock()
        scores = whole(x)
        seconds[0] += clock() - started
        return scores

    if whole is not None:
        detector._training_scores = training_scores
    return seconds


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


def with_encoder(detector: Any, point: Json, x: Any, **changes: Any) -> Any:
    """The detector, given the encoder of an autoencoder that is trained on x, if the point has settings for one."""
    if settings := point["settings"].get("encoder"):
        autoencoder = build({**point, "method": "Autoencoder", "settings": settings, "rescore": {}}, **changes).fit(x)
        detector.set_params(encoder=autoencoder.model_.encoder)
    return detector


def _resolve(name: str, value: Any) -> Any:
    """A setting as the detector wants it: a network's name, alone or with arguments, becomes its factory, a table's
    arguments the table."""
    if name == "net":
        from adlib import nets

        arguments = dict(value) if isinstance(value, Mapping) else {"name": value}
        factory = getattr(nets, str(named := arguments.pop("name", None)), None)
        if not callable(factory):
            raise SweepError(f"net={named!r} is not a factory in adlib.nets")
        return partial(factory, **arguments) if arguments else factory
    if name == "table" and isinstance(value, Mapping):
        from adlib import geom

        return geom.transform_table(**value)
    return value
