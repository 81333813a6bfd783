"""Tables of the papers, as they were printed: numbers alone, with the paper and the table as their source.

Each is a file tables/KEY-NUMBER.csv, whose first line says what is in it. Averages are those printed, errata included.
The text of chalapathy2018 has lost most names of methods and classes: in its Tables 3 and 4 they are inferred.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

TABLES = Path(__file__).with_name("tables")


def table(key: str, number: int) -> "pandas.DataFrame":
    """Table `number` of the paper `key` (as in PAPERS of claims.py), tidy: dataset, method, cls, value, spread.

    Value and spread are in the unit printed, spread is NaN where none is; cls is the class as printed, or "avg". What
    the paper leaves out has no row. A paper's "ours" has its name. Raises ValueError for a table that is not here.
    """
    import pandas as pd

    path = TABLES / f"{key}-{number}.csv"
    if path not in (known := known_tables()):
        there = ", ".join(f"{paper} Table {n}" for paper, n in known.values())
        raise ValueError(f"there is no Table {number} of {key!r} here; there are {there}")
    return pd.read_csv(path, comment="#", dtype={"cls": str, "value": float, "spread": float})


def known_tables() -> dict[Path, tuple[str, int]]:
    """{file: (key of the paper, number of the table)}."""
    files = sorted(TABLES.glob("*.csv"))
    return {path: (key, int(number)) for path in files for key, number in [path.stem.split("-")]}
