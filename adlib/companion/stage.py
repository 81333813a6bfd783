"""The tree that the book is built from: prose, executed notebooks, vendored files, at the same paths as here.

`python -m adlib.companion.stage --runs RUNS/PROFILE --pages DIR --handouts DIR --claims claims.json --out build/stage`
"""

import argparse
import shutil
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

IGNORED = shutil.ignore_patterns("__pycache__", "_vendor", ".*")


def stage(runs: Path, pages: Path, handouts: Path, claims: Path, out: Path, root: Path = Path(".")) -> None:
    """Writes `out`, which appears by rename. `runs` is one profile's folder; raises OSError when a file is missing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _fill(new, runs, pages, handouts, claims, root)
        shutil.rmtree(out, ignore_errors=True)
        new.chmod(0o755)
        new.rename(out)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(new: Path, runs: Path, pages: Path, handouts: Path, claims: Path, root: Path) -> None:
    for name in ("_config.yml", "_toc.yml"):
        shutil.copyfile(root / name, new / name)
    shutil.copytree(root / "book", new / "book", ignore=IGNORED)
    for page in sorted(pages.glob("*.md")):
        shutil.copyfile(page, new / "book" / page.name)
    shutil.copyfile(claims, new / "claims.json")
    shutil.copyfile(handouts / "assignments.json", new / "assignments.json")
    # html_extra_path puts what is in vendor/ into the root of the site
    shutil.copytree(root / "book" / "_vendor", new / "vendor")
    (new / "vendor" / "mathjax").mkdir()
    with as_file(files("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg.js") as mathjax:
        shutil.copyfile(mathjax, new / "vendor" / "mathjax" / "tex-svg.js")
    downloads = new / "vendor" / "downloads"
    downloads.mkdir()
    shutil.copytree(handouts, downloads / "assignments", ignore=shutil.ignore_patterns("*.json", ".*"))
    (new / "notebooks").mkdir()
    for source in sorted((root / "notebooks").glob("[0-9][0-9]-*.ipynb")):
        slug = source.stem
        shutil.copyfile(runs / f"{slug}.ipynb", new / "notebooks" / f"{slug}.ipynb")
        shutil.copyfile(source, downloads / f"{slug}.clean.ipynb")
        shutil.copyfile(runs / f"{slug}.results.json", downloads / f"{slug}.results.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.stage", description="Write the tree of the book.")
    for name in ("runs", "pages", "handouts", "claims", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    try:
        stage(args.runs, args.pages, args.handouts, args.claims, args.out)
    except OSError as error:
        print(f"cannot stage {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
