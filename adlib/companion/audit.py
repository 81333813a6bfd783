"""The papers' tables computed again: their means, their sentences, their bold type, and who printed whose numbers.

Every function takes the tables as `load` gives them, {(key of the paper, number): frame}, so that a changed cell
changes what comes out. What the papers say in sentences stands in tables/statements.yml, what they chose with the test
set in tables/selected.yml.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from . import papers

if TYPE_CHECKING:
    import pandas

Tables = Mapping[tuple[str, int], "pandas.DataFrame"]

SUMMARIES = ("avg", "σ")  # rows that are computed from the others
EPS = 1e-9  # of binary numbers, where the page has decimal ones
FINE = ("follows", "rounding", "cut off")  # what needs no explanation but how numbers are written
VERDICTS = (*FINE, "depends on the reading", "does not follow")
UNLIKELY = 3.0  # standard deviations of the cells' rounding beyond which it is no explanation


def load() -> dict[tuple[str, int], "pandas.DataFrame"]:
    """Every table of `papers`, with `digits`, the number of decimals that are printed of each value."""
    tables = {}
    for key, number in papers.known_tables().values():
        text = papers.printed(key, number)["value"]
        tables[key, number] = papers.table(key, number).assign(digits=text.map(_digits))
    return tables


def change(tables: Tables, cells: Mapping[str, float]) -> dict[tuple[str, int], "pandas.DataFrame"]:
    """A copy of the tables with other numbers in it: {"wu2021 1 | MNIST | OCSVM | 0": 98.9}. Raises ValueError."""
    changed = {key: frame.copy() for key, frame in tables.items()}
    for place, value in cells.items():
        table, *names = (part.strip() for part in place.split("|"))
        key, _, number = table.partition(" ")
        frame = changed.get((key, int(number) if number.isdigit() else 0))
        wanted = "write it as 'wu2021 1 | MNIST | OCSVM | 0': paper and table, data set, method, class"
        if frame is None or len(names) != 3:
            raise ValueError(f"{place!r} is no cell of a table that is here; {wanted}")
        here = (frame[["dataset", "method", "cls"]] == names).all(axis=1)
        if here.sum() != 1:
            raise ValueError(f"{place!r} is no cell of Table {number} of {key}; {wanted}")
        frame.loc[here, ["value", "digits"]] = [float(value), _digits(str(value))]
    return changed


def _digits(text: str) -> int:
    return len(text.partition(".")[2])


# ---- a printed number and a computed one


def half_unit(digits: float) -> float:
    """Half a unit of the last of so many decimals: how far rounding moves a number at most."""
    return 0.5 * 10.0**-digits


def verdict(printed: float, digits: int, computed: float, slack: float = 0.0, typical: float = 0.0) -> str:
    """How a printed number comes from a computed one, the first that fits:

    - "follows": it is the computed number, rounded.
    - "rounding": it may be, since the numbers it is computed from are rounded themselves: that moves the result by at
      most `slack`, and seldom by more than three times `typical`.
    - "cut off": it is the computed number with its further digits dropped.
    - "does not follow".
    """
    beyond = abs(printed - computed) - half_unit(digits)
    if beyond <= EPS:
        return "follows"
    if beyond <= slack + EPS and (not typical or beyond <= UNLIKELY * typical):
        return "rounding"
    return "cut off" if -EPS <= computed - printed < 2 * half_unit(digits) - EPS else "does not follow"


def averages(tables: Tables) -> "pandas.DataFrame":
    """Each printed mean over classes: paper, table, dataset, method, n, printed, digits, computed, off, verdict.

    `off` is printed minus computed, `units` the same in units of the last printed digit.
    """
    import pandas as pd

    found = []
    for (key, number), frame in tables.items():
        for (dataset, method), rows in frame.groupby(["dataset", "method"], sort=False):
            cells = rows[~rows["cls"].isin(SUMMARIES)]
            for summary in rows[rows["cls"] == "avg"].itertuples():
                if len(cells) < 2:
                    continue
                halves = half_unit(cells["digits"])
                computed = cells["value"].mean()
                typical = math.sqrt((halves**2 / 3).sum()) / len(cells)  # an even spread over the rounded-off part
                said = verdict(summary.value, summary.digits, computed, halves.mean(), typical)
                row = [key, number, dataset, method, len(cells), summary.value, summary.digits, computed]
                off = summary.value - computed
                found.append([*row, off, off / (2 * half_unit(summary.digits)), said])
    names = "paper table dataset method n printed digits computed off units verdict".split()
    return pd.DataFrame(found, columns=names)


def deviations(tables: Tables) -> "pandas.DataFrame":
    """Each printed standard deviation over classes (rows σ): paper, table, method, printed, of all, of a sample."""
    import pandas as pd

    found = []
    for (key, number), frame in tables.items():
        for method, rows in frame.groupby("method", sort=False):
            for summary in rows[rows["cls"] == "σ"].itertuples():
                cells = rows.loc[~rows["cls"].isin(SUMMARIES), "value"]
                ways = [cells.std(ddof=ddof) for ddof in (0, 1)]
                slack = half_unit(rows["digits"].min())  # moves each cell, and so the deviation by less
                said = [verdict(summary.value, summary.digits, way, slack, slack / 3) for way in ways]
                found.append([key, number, method, summary.value, *ways, *said])
    names = ["paper", "table", "method", "printed", "of all", "of a sample", "verdict", "verdict of a sample"]
    return pd.DataFrame(found, columns=names)


def bold(tables: Tables) -> "pandas.DataFrame":
    """Each bold number: paper, table, dataset, cls, method, value, the largest other of its row, and whose that is."""
    import pandas as pd

    found = []
    for (key, number), frame in tables.items():
        for cell in frame[frame["note"].str.contains("bold")].itertuples():
            row = frame[(frame["dataset"] == cell.dataset) & (frame["cls"] == cell.cls)]
            best = row[row["method"] != cell.method].nlargest(1, "value").iloc[0]
            found.append([key, number, cell.dataset, cell.cls, cell.method, cell.value, best["value"], best["method"]])
    names = "paper table dataset cls method value other whose".split()
    return pd.DataFrame(found, columns=names)


OWN = {  # (key, number): a paper's own method in a table of rivals, and the columns that are no rivals of it
    ("golan2018", 1): ("GEOM", ()),
    ("wu2021", 1): ("NS", ()),
    ("wu2021", 2): ("NS", ()),
    ("goyal2020", 1): ("DROCC", ()),
    ("goyal2020", 2): ("DROCC", ()),
    ("goyal2020", 3): ("DROCC", ()),
    ("goyal2020", 5): ("DROCC", ()),
    ("chalapathy2018", 3): ("OC-NN", ()),
    ("chalapathy2018", 4): ("OC-NN", ()),
    ("liznerski2021", 2): ("FCDD", ("FCDD, semi-supervised",)),
    ("liznerski2021", 6): ("FCDD (OE)", ()),
    ("liznerski2021", 7): ("FCDD (OE)", ()),
    ("liznerski2021", 8): ("FCDD (OE)", ()),
}


def against_the_best(tables: Tables) -> "pandas.DataFrame":
    """Each row of a table beside the paper's own method: paper, table, dataset, cls, own, value, other, whose.

    `other` is the largest number of the row that is a rival's, `whose` the first rival that has it.
    """
    import pandas as pd

    found = []
    for (key, number), (own, no_rivals) in OWN.items():
        frame = tables[key, number]
        frame = frame[~frame["cls"].isin(SUMMARIES) & ~frame["method"].isin(no_rivals)]
        for (dataset, cls), row in frame.groupby(["dataset", "cls"], sort=False):
            best = row[row["method"] != own].nlargest(1, "value").iloc[0]
            value = row.loc[row["method"] == own, "value"].item()
            found.append([key, number, dataset, cls, own, value, best["value"], best["method"]])
    names = "paper table dataset cls own value other whose".split()
    return pd.DataFrame(found, columns=names)


def impossible_spreads(tables: Tables, key: str, number: int, seeds: int) -> "pandas.DataFrame":
    """The cells of a table in % whose spread no `seeds` AUROCs of this mean can have, with the largest that they can.

    Numbers between 0 and 100 of mean m have a standard deviation (with n - 1) of at most sqrt(m (100 - m) n / (n - 1)).
    The printed mean is taken as far from 100 as its rounding lets it be, the spread as small.
    """
    frame = tables[key, number]
    lowest = (frame["value"] - half_unit(frame["digits"])).clip(0, 100)
    limit = (lowest * (100 - lowest) * seeds / (seeds - 1)) ** 0.5
    limit = limit.where(lowest > 50, 100)  # below, moving the mean down makes it smaller; such spreads do not occur
    too_large = frame["spread"] - 0.05 > limit
    return frame[["dataset", "cls", "method", "value", "spread"]].assign(limit=limit)[too_large]


# ---- one number, printed twice by the same paper

SAME = {("wu2021", "+ NS"): "NS"}


def repeated(tables: Tables) -> "pandas.DataFrame":
    """Numbers of a method that a paper prints in two of its tables: where, both, and how one comes from the other."""
    import pandas as pd

    found = []
    for ((key, a), first), ((other, b), second) in combinations(tables.items(), 2):
        if key != other:
            continue
        named = [
            frame.assign(method=[SAME.get((key, method), method) for method in frame["method"]])
            for frame in (first, second)
        ]
        for row in named[0].merge(named[1], on=["dataset", "method", "cls"]).itertuples():
            (fine, _), (coarse, digits) = sorted(
                [(row.value_x, row.digits_x), (row.value_y, row.digits_y)], key=lambda pair: -pair[1]
            )
            said = verdict(coarse, digits, fine)
            found.append([key, a, b, row.dataset, row.method, row.cls, row.value_x, row.value_y, said])
    names = ["paper", "table", "also in", "dataset", "method", "cls", "printed", "printed there", "verdict"]
    return pd.DataFrame(found, columns=names)


# ---- columns of classes across papers

CLASSES = {
    "CIFAR-10": "airplane automobile bird cat deer dog frog horse ship truck".split(),
    "Fashion-MNIST": [
        "t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ],
    "MNIST": [str(digit) for digit in range(10)],
}  # fmt: skip
SHORT = {"plane": "airplane", "car": "automobile"}
FAMILIES = {  # one name for what the papers call differently
    "OC-SVM": ("OC-SVM", "OCSVM", "OC-SVM/SVDD", "RAW OC-SVM"),
    "Deep SVDD": ("E2E OC-SVM", "DSVDD", "DeepSVDD", "One-class Deep SVDD"),
    "autoencoder": ("AE", "DCAE", "DAE", "E2E-AE", "Autoencoder only"),
    "GEOM": ("GEOM", "GEO"),
    "AnoGAN": ("AnoGAN",),
    "DAGMM": ("DAGMM",),
    "DSEBM": ("DSEBM",),
    "GOAD": ("GOAD",),
    "KDE": ("KDE",),
    "isolation forest": ("IF",),
}


OTHER = ("other paper", "other table", "other method")


def family(method: str) -> str:
    """The name of a method across papers: FAMILIES, else its own."""
    return next((name for name, names in FAMILIES.items() if method in names), method)


class Column(NamedTuple):
    """What one table prints of one method for the ten classes of a data set, in percent."""

    paper: str
    table: int
    dataset: str
    method: str
    values: tuple[float, ...]
    digits: tuple[int, ...]
    spreads: tuple[float, ...]


def columns(tables: Tables) -> list[Column]:
    """All columns of ten classes of the data sets of CLASSES, in the order of their classes."""
    found = []
    for (key, number), frame in tables.items():
        for (dataset, method), rows in frame.groupby(["dataset", "method"], sort=False):
            order = {_class_index(dataset, cls): i for i, cls in enumerate(rows["cls"])}
            if dataset not in CLASSES or not set(range(10)) <= set(order):
                continue
            rows = rows.iloc[[order[i] for i in range(10)]]
            share = rows["value"].max() <= 1  # in shares of 1, not in %
            values, spreads = (tuple(rows[name] * (100 if share else 1)) for name in ("value", "spread"))
            digits = tuple(rows["digits"] - 2 * share)
            found.append(Column(key, number, dataset, method, values, digits, spreads))
    return found


def _class_index(dataset: str, cls: str) -> int | None:
    names = CLASSES.get(dataset, [])
    name = SHORT.get(cls.lower(), cls.lower())
    if name in names:
        return names.index(name)
    return int(name) if name.isdigit() and int(name) < len(names) else None


def equal_cells(a: Column, b: Column) -> int:
    """In how many classes the two print the same number, up to the digits of the one that prints fewer."""
    pairs = zip(a.values, a.digits, b.values, b.digits, strict=True)
    return sum(abs(x - y) <= (half_unit(min(dx, dy)) if dx != dy else 0) + EPS for x, dx, y, dy in pairs)


def copies(tables: Tables, least: int = 8) -> "pandas.DataFrame":
    """Pairs of columns, of two papers, with at least so many of the ten numbers equal.

    dataset, paper, table, method, other paper, other table, other method, equal, spreads (the equal ones of those
    that both print), both (how many both print), digits (those compared), same (whether both mean the same method).
    """
    import pandas as pd

    found = []
    for a, b in combinations(columns(tables), 2):
        if a.paper == b.paper or a.dataset != b.dataset:
            continue
        equal = equal_cells(a, b)
        if equal >= least:
            digits = min(*a.digits, *b.digits)
            same = family(a.method) == family(b.method)
            spreads = [(x, y) for x, y in zip(a.spreads, b.spreads, strict=True) if x == x and y == y]  # not NaN
            alike = sum(x == y for x, y in spreads)
            found.append([a.dataset, *_names(a), *_names(b), equal, alike, len(spreads), max(digits, 0), same])
    names = ["dataset", "paper", "table", "method", *OTHER, "equal", "spreads", "both", "digits", "same"]
    return pd.DataFrame(found, columns=names)


def _names(column: Column) -> tuple[str, int, str]:
    return column.paper, column.table, column.method


def rescaled_spreads(tables: Tables, runs: int) -> tuple[int, int]:
    """(how many, of how many) spreads of the Deep SVDD that golan2018 quotes are those of goyal2020 over sqrt(runs).

    golan2018 prints standard errors, goyal2020 standard deviations; both quote the same column.
    """
    some = {(c.paper, c.method): c for c in columns(tables) if c.dataset == "CIFAR-10"}
    errors = some["golan2018", "E2E OC-SVM"].spreads
    spreads = some["goyal2020", "One-class Deep SVDD"].spreads
    equal = [verdict(error, 1, spread / math.sqrt(runs)) for error, spread in zip(errors, spreads, strict=True)]
    return equal.count("follows"), len(equal)


def copied_means(tables: Tables, key: str, number: int) -> "pandas.DataFrame":
    """For each mean of a table without classes: the means of other papers, same data set, that are equal to the digit.

    method, printed, other paper, other table, other method, same.
    """
    import pandas as pd

    found = []
    for row in tables[key, number].itertuples():
        for (other, n), frame in tables.items():
            if other == key:
                continue
            equal = (frame["cls"] == "avg") & (frame["dataset"] == row.dataset) & (frame["digits"] == row.digits)
            for there in frame[equal & ((frame["value"] - row.value).abs() < EPS)].itertuples():
                same = family(there.method) == family(row.method)
                found.append([row.method, row.value, other, n, there.method, same])
    return pd.DataFrame(found, columns=["method", "printed", *OTHER, "same"])


def side_by_side(tables: Tables, dataset: str, name: str) -> "pandas.DataFrame":
    """What each table prints of one method (a family) in each class, in percent: classes x (paper, table, method)."""
    import pandas as pd

    some = [column for column in columns(tables) if column.dataset == dataset and family(column.method) == name]
    return pd.DataFrame({_names(column): column.values for column in some}, index=CLASSES[dataset])


def fashion_order(tables: Tables) -> "pandas.DataFrame":
    """Do quoted rows of golan2018's Fashion-MNIST, which have numbers and no names, belong to the names given to them?

    liznerski2021 prints two of its columns beside two of its own. own, quoted, and their correlation over the classes:
    `as printed`, and with the quoted rows `alphabetical`, read in the alphabetical order of the class names.
    """
    import numpy as np
    import pandas as pd

    names = CLASSES["Fashion-MNIST"]
    alphabet = sorted(range(10), key=names.__getitem__)  # class of each row
    some = [c for c in columns(tables) if c.paper == "liznerski2021" and c.dataset == "Fashion-MNIST"]
    found = []
    for own in (c for c in some if family(c.method) not in ("Deep SVDD", "GEOM")):
        for quoted in (c for c in some if family(c.method) in ("Deep SVDD", "GEOM")):
            moved = np.empty(10)
            moved[alphabet] = quoted.values
            fits = [np.corrcoef(own.values, order)[0, 1] for order in (quoted.values, moved)]
            found.append([own.method, quoted.method, *fits])
    return pd.DataFrame(found, columns=["own", "quoted", "as printed", "alphabetical"])


# ---- sentences


class Amount(NamedTuple):
    """A computed number, and how far the rounding of the cells behind it can move it."""

    value: float
    slack: float = 0.0


def block(tables: Tables, key: str, number: int, dataset: str | None = None) -> "pandas.DataFrame":
    """The cells of a table (of one data set): classes x methods, without averages, unless there is nothing else."""
    frame = tables[key, number]
    frame = frame if dataset is None else frame[frame["dataset"] == dataset]
    cells = frame[~frame["cls"].isin(SUMMARIES)]
    cells = cells if len(cells) else frame
    index = ["dataset", "cls"] if cells["dataset"].nunique() > 1 else "cls"
    order = {name: cells[name].drop_duplicates().tolist() for name in ("method", "cls")}
    wide = cells.pivot(index=index, columns="method", values="value")[order["method"]]
    return wide if isinstance(index, list) else wide.loc[order["cls"]]


def _rivals(cells: "pandas.DataFrame", method: str, against: Sequence[str] | None) -> "pandas.DataFrame":
    return cells.drop(columns=method) if against is None else cells[list(against)]


def _cell(cells, half, method, cls):
    return Amount(cells.loc[cls, method])  # no slack: a sentence and a cell round the same number


def _mean(cells, half, method, of=None):
    return Amount((cells if of is None else cells.loc[of])[method].mean(), half)


def _range(cells, half, method):
    return Amount(cells[method].max() - cells[method].min(), 2 * half)


def _mean_lead(cells, half, method, against=None):
    return Amount(cells[method].mean() - _rivals(cells, method, against).mean().max(), 2 * half)


def _mean_ratio(cells, half, method, against=None):
    rival = _rivals(cells, method, against).mean().max()
    ratio = cells[method].mean() / rival
    return Amount(100 * (ratio - 1), 100 * half * (1 + ratio) / rival)


def _ratio_by_class(cells, half, method, against=None):
    rival = _rivals(cells, method, against).max(axis=1)
    ratio = cells[method] / rival
    return Amount(100 * (ratio - 1).mean(), (100 * half * (1 + ratio) / rival).mean())


def _lead(cells, half, method, against=None, pick="max", won=False, cls=None):
    """The largest ("max") or smallest ("min") lead over the best rival of a class, of all or of those that are won."""
    lead = cells[method] - _rivals(cells, method, against).max(axis=1)
    lead = lead[lead > EPS] if won else lead if cls is None else lead.loc[cls]
    return Amount(getattr(lead, pick)(), 2 * half)


def _led(cells, half, method, against=None, ties=False, cls=None):
    lead = cells[method] - _rivals(cells, method, against).max(axis=1)
    lead = lead if cls is None else lead.loc[cls]
    return Amount(int((lead >= -EPS).sum() if ties else (lead > EPS).sum()))


def _tied(cells, half, method):
    return Amount(_led(cells, half, method, ties=True).value - _led(cells, half, method).value)


def _led_by_any(cells, half, methods, against):
    return Amount(int((cells[list(methods)].max(axis=1) > cells[list(against)].max(axis=1) + EPS).sum()))


def _led_by_all(cells, half, methods, against):
    return Amount(int((cells[list(methods)].min(axis=1) > cells[list(against)].max(axis=1) + EPS).sum()))


def _means_above(cells, half, methods, limit):
    return Amount(int((cells[list(methods)].mean() > limit).sum()))


def _narrower(cells, half, method):
    """Of the other methods, those with a smaller range over the classes."""
    ranges = cells.max() - cells.min()
    return Amount(int((ranges.drop(method) < ranges[method] - EPS).sum()))


def _steadier(cells, half, method, against=None):
    """Of the other methods, those with a smaller standard deviation over the classes."""
    spread = _rivals(cells, method, against).std(ddof=0)
    return Amount(int((spread < cells[method].std(ddof=0) - EPS).sum()))


def _among_lowest(cells, half, method, cls):
    """How many of the named classes are among as many lowest ones of the method."""
    return Amount(len(set(cells[method].nsmallest(len(cls)).index) & set(cls)))


def _step(cells, half, method, after, cls="avg"):
    return Amount(cells.loc[cls, after] - cells.loc[cls, method], 2 * half)


def _rises(cells, half, method):
    """How often a number is larger than the one before it."""
    return Amount(int((cells[method].diff() > EPS).sum()))


def _square_share(cells, half, cls, side):
    """The share of an image of that side, in %, that a square of the size in the table's heading covers."""
    return Amount(100 * int(cells.loc[[cls]].index[0]) ** 2 / side**2)


_WAYS = (
    _cell, _mean, _range, _mean_lead, _mean_ratio, _ratio_by_class, _lead, _led, _tied, _led_by_any, _led_by_all,
    _means_above, _narrower, _steadier, _among_lowest, _step, _rises, _square_share,
)  # fmt: skip
HOW: dict[str, Callable[..., Amount]] = {way.__name__[1:]: way for way in _WAYS}


def statements() -> list[dict[str, Any]]:
    """The sentences of the papers that their tables answer; the file says what its fields mean."""
    return yaml.safe_load((papers.TABLES / "statements.yml").read_text(encoding="utf-8"))


def selected() -> list[dict[str, Any]]:
    """What was chosen with the test data, and where that can be read."""
    return yaml.safe_load((papers.TABLES / "selected.yml").read_text(encoding="utf-8"))


def compute(tables: Tables, paper: str, reading: Mapping[str, Any]) -> Amount:
    """The number of one reading of a statement."""
    arguments = {k: v for k, v in reading.items() if k not in ("reading", "how", "table", "dataset", "in")}
    key = reading.get("in", paper)
    cells = block(tables, key, reading["table"], reading.get("dataset"))
    half = half_unit(tables[key, reading["table"]]["digits"].min())
    return HOW[reading["how"]](cells, half, **arguments)


def judge(tables: Tables, statement: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """[(reading in words, computed, verdict)] of each reading of a statement."""
    found = []
    printed, digits = float(statement["printed"]), _digits(str(statement["printed"]))
    for reading in statement["readings"]:
        amount = compute(tables, statement["paper"], reading)
        found.append((reading["reading"], amount.value, _compare(statement["is"], printed, digits, amount)))
    return found


def _compare(relation: str, printed: float, digits: int, amount: Amount) -> str:
    if relation == "equal":
        return verdict(printed, digits, amount.value, amount.slack)
    if relation.startswith("within "):
        return "follows" if abs(amount.value - printed) <= float(relation[7:]) + EPS else "does not follow"
    short = {"at least": printed - amount.value, "at most": amount.value - printed}[relation]
    return "follows" if short <= EPS else "rounding" if short <= amount.slack + EPS else "does not follow"


def outcome(verdicts: Sequence[str]) -> str:
    """One verdict for all readings: the weakest of those that are fine, or whether any is."""
    fine = [v for v in verdicts if v in FINE]
    if len(fine) == len(verdicts):
        return max(fine, key=FINE.index)
    return "depends on the reading" if fine else "does not follow"


def sentences(tables: Tables) -> "pandas.DataFrame":
    """Each statement: id, paper, place, says, printed, relation, readings (see `judge`), verdict, found (`places`)."""
    import pandas as pd

    found = []
    for statement in statements():
        readings = judge(tables, statement)
        said = outcome([v for *_, v in readings])
        elsewhere = places(tables, statement["paper"], str(statement["printed"])) if said not in FINE else []
        row = [statement[name] for name in ("id", "paper", "place", "says", "printed", "is")]
        found.append([*row, readings, said, elsewhere])
    return pd.DataFrame(found, columns="id paper place says printed relation readings verdict found".split())


def places(tables: Tables, key: str, printed: str) -> list[str]:
    """Where a paper's tables print a number of two decimals or three digits: "Table 2, CIFAR-10, AND, avg"."""
    digits = _digits(printed)
    if len(printed.replace(".", "")) < 3 or not digits:
        return []  # too common to mean anything
    found = []
    for (paper, number), frame in tables.items():
        if paper == key:
            same = ((frame["value"] - float(printed)).abs() < EPS) & (frame["digits"] == digits)
            found += [f"Table {number}, {row.dataset}, {row.method}, {row.cls}" for row in frame[same].itertuples()]
    return found
