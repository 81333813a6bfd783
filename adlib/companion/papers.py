"""Tables of the papers, as they were printed: numbers alone, with the paper and the table as their source.

Each is a file tables/KEY-NUMBER.csv, whose first line says what is in it. Averages are those printed, errata included.
The text of chalapathy2018 has lost most names of methods and classes: in its Tables 3 and 4 they are inferred.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

TABLES = Path(__file__).with_name("tables")
NUMBERS = ("value", "spread")

_LONG = "only in the long version, which the text at hand is not"
NO_RESULTS = {  # (key, number of a table that is not here): why
    ("chalapathy2018", 1): "sizes of the data sets; the text at hand has lost the names of its rows and most cells",
    ("chalapathy2018", 2): "sizes of the layers; the text at hand has lost all its cells",
    ("goyal2020", 6): _LONG,
    ("goyal2020", 8): _LONG,
    ("goyal2020", 9): f"words that sound like the keyword; {_LONG}",
    ("goyal2020", 10): f"settings of DROCC; {_LONG}",
    ("goyal2020", 11): f"settings of DROCC; {_LONG}",
    ("goyal2020", 12): f"settings of DROCC; {_LONG}",
    ("goyal2020", 13): f"settings of DROCC; {_LONG}",
}


def table(key: str, number: int) -> "pandas.DataFrame":
    """Table `number` of the paper `key` (as in PAPERS of claims.py), tidy: dataset, method, cls, value, spread, note.

    Value and spread are in the unit printed, spread is NaN where none is; cls is the class as printed, or "avg". What
    the paper leaves out has no row. A paper's "ours" has its name. A note, mostly "", says what is inferred ("method
    inferred"), what the text sets in "bold", and what it has in place of a number that was garbled ("printed ...").
    Raises ValueError for a table that is not here.
    """
    frame = printed(key, number)
    return frame.assign(**{name: frame[name].replace("", "nan").astype(float) for name in NUMBERS})


def printed(key: str, number: int) -> "pandas.DataFrame":
    """`table` with value and spread as text, with the digits that the paper prints; spread is "" where none is."""
    import pandas as pd

    path = TABLES / f"{key}-{number}.csv"
    if path not in (known := known_tables()):
        there = ", ".join(f"{paper} Table {n}" for paper, n in known.values())
        raise ValueError(f"there is no Table {number} of {key!r} here; there are {there}")
    return pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)


def known_tables() -> dict[Path, tuple[str, int]]:
    """{file: (key of the paper, number of the table)}."""
    files = sorted(TABLES.glob("*.csv"))
    return {path: (key, int(number)) for path in files for key, number in [path.stem.split("-")]}
