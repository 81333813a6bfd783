"""A book of two pages in a temporary folder, with the real configuration, extensions and styles; built in seconds."""

import os
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = "# Miniature\n\nWords.\n"
TOC = "{format: jb-book, root: book/index, parts: [{caption: Chapters, numbered: 1, chapters: [file: page]}]}"
CONFIG = "from jupyter_book.cli.main import main; main()"


def build(folder: Path, page: str) -> subprocess.CompletedProcess:
    """Builds folder/site with page.md as `make book` does: a warning is an error. stderr holds what Sphinx says."""
    stage = folder / "stage"
    for name in ("_ext", "_static", "_templates"):
        shutil.copytree(ROOT / "book" / name, stage / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_config.yml", "book/references.bib"):
        shutil.copyfile(ROOT / name, stage / name)
    (stage / "_toc.yml").write_text(TOC)
    (stage / "book/index.md").write_text(HEAD)
    (stage / "page.md").write_text(page)
    shutil.copytree(ROOT / "book/_vendor", stage / "vendor")
    (stage / "vendor/mathjax").mkdir()
    with as_file(files("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js") as mathjax:
        shutil.copyfile(mathjax, stage / "vendor/mathjax/tex-svg.js")
    extensions = f"{stage / 'book/_ext'}{os.pathsep}{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    settings = {**os.environ, "PYTHONPATH": extensions}
    run = {"env": settings, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-c", CONFIG, "config", "sphinx", str(stage)], **run, check=True)
    options = ["-q", "-b", "html", "-n", "-W", "--keep-going", "-d", str(folder / "doctrees")]
    return subprocess.run([sys.executable, "-m", "sphinx", *options, str(stage), str(folder / "site")], **run)
