"""Notebook pairs: `NN-slug.py` is the source, `NN-slug.ipynb` its twin without outputs; tooling goes one way only.

`python -m adlib.companion.pairs` writes the twins that differ.
"""

import sys
from pathlib import Path

PATTERN = "[0-9][0-9]-*.py"


def drifted(folder: str | Path) -> list[Path]:
    """The sources in `folder` whose twin is missing, differs in cells or cell metadata, or holds outputs."""
    return [source for source in sorted(Path(folder).glob(PATTERN)) if not _same(source)]


def complaint(folder: str | Path) -> str | None:
    """One sentence that names the drifted notebooks of `folder`, or None when all pairs agree."""
    names = [source.with_suffix(".ipynb").name for source in drifted(folder)]
    names += [twin.name for twin in sorted(Path(folder).glob("[0-9][0-9]-*.ipynb")) if not _source(twin).is_file()]
    return f"{', '.join(names)}: not the same as the .py beside it, run `make pairs`" if names else None


def write(folder: str | Path) -> list[Path]:
    """Writes the twins of drifted sources, keeping the ids of unchanged cells; returns the sources."""
    import nbformat
    from jupytext.cli import jupytext

    changed = drifted(folder)
    for source in changed:
        jupytext(["--quiet", "--update", "--to", "ipynb", str(source)])
        twin = source.with_suffix(".ipynb")
        nb = nbformat.read(twin, as_version=4)
        if any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells):  # --update keeps them
            for cell in nb.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            nbformat.write(nb, twin)
    return changed


def _source(twin: Path) -> Path:
    return twin.with_suffix(".py")


def _same(source: Path) -> bool:
    import jupytext
    import nbformat

    twin = source.with_suffix(".ipynb")
    if not twin.is_file():
        return False
    nb = nbformat.read(twin, as_version=4)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells):
        return False
    wanted = [(c.cell_type, c.source, dict(c.metadata)) for c in jupytext.read(source).cells]
    return wanted == [(c.cell_type, c.source, dict(c.metadata)) for c in nb.cells]


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else "notebooks"
    print("\n".join(f"wrote {source.with_suffix('.ipynb')}" for source in write(folder)) or "all pairs agree")
