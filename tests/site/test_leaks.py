"""No solution, hidden check, wrong answer or rubric stands anywhere in the site: pages, index, sources, downloads."""

import pytest
from conftest import ROOT

from adlib.companion.assignments import read
from adlib.companion.leaks import TEXT, leaks, secrets

MASTERS = sorted((ROOT / "notebooks" / "assignments").glob("*.py"))


@pytest.fixture(scope="module")
def wanted():
    package = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "adlib").rglob("*.py")))
    assignments = [read(path) for path in MASTERS]
    found = secrets(assignments, also_open=package)  # the site shows the package's own source
    places = {what.partition(":")[0] for what in found.values()}
    for assignment in assignments:
        assert {f"{assignment.slug}, solution {cell.name}" for cell in assignment.of("solution")} <= places
    return found


def test_the_site_holds_no_secret_of_an_assignment(site, wanted):
    files = [path for path in site.rglob("*") if path.is_file()]
    assert {".html", ".js", ".ipynb", ".json"} <= {path.suffix for path in files} & TEXT
    assert leaks(files, wanted) == []


def test_a_planted_solution_is_found(site, wanted, tmp_path):
    what = next(text for text in wanted.values() if ", solution " in text)
    line = what.partition(": ")[2]
    page = (site / "book" / "index.html").read_text(encoding="utf-8")
    marked = "".join(f"<span>{letter}</span>" if letter not in "<>&" else letter for letter in line)
    (tmp_path / "index.html").write_text(page.replace("</article>", f"<pre>{marked}</pre></article>"))
    assert any(what in leak for leak in leaks([tmp_path / "index.html"], wanted))
