"""The generated pages: what stands on them, and that their tables are sound HTML."""

import json
from html.parser import HTMLParser

import pytest

from adlib.companion import pages
from adlib.companion.claims import VERDICTS


def row(**changes):
    told = {
        "id": "toy", "paper": "golan2018", "place": "Section 6", "says": "8s & 3s differ by < 1 %", "metric": "AUROC",
        "paper_value": 0.646, "paper_spread": None, "dataset": "MNIST", "rule": "value", "tolerance": 0.04,
        "direction": None, "why": "Two <standard> deviations.", "comparability": "reduced", "chapter": "01-toy",
        "function": "adlib.geom.simple_score", "test": "tests/unit/test_geom.py::test_simple",
        "rule_words": "within 0.04 of 0.646", "verdict": "direction only", "borderline": True, "reason": "run on less",
        "value": 0.6512345, "interval": [0.61, 0.69], "n_seeds": 10,
        "same_seeds": True, "chapter_built": True, "hash": "h",
        "evidence": {"source": "recorded", "sweep": "s", "keys": ["k"], "dataset_label": "MNIST", "profile": "reduced"},
    }  # fmt: skip
    return {**told, **changes}


NOT_RUN = {"id": "later", "verdict": "not run", "borderline": False, "reason": "chapter 02", "value": None,
           "interval": None, "n_seeds": 0, "chapter": "02-later", "chapter_built": False, "paper": "wu2021",
           "evidence": {"source": None, "sweep": None, "keys": [], "dataset_label": None, "profile": None}}
SWEEP = {"sweep": "s", "profile": "reduced", "points": 30, "recorded": 20, "seeds": [10], "datasets": ["MNIST"],
         "commits": ["0123456789"], "torch": ["2.14.1"], "devices": ["cpu"], "stale": [], "data": ["same"]}


def computed(*rows, recorded=(SWEEP,)):
    return {"claims": list(rows), "chapters": {}, "recorded": list(recorded)}


class Table(HTMLParser):
    """Tables as text, and what is wrong with the markup."""

    VOID = ("br", "wbr")

    def __init__(self, page):
        super().__init__()
        self.open, self.faults, self.tables, self.links, self.ids = [], [], [], [], []
        self.feed(page)
        self.faults += self.open

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag in self.VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        if tag == "tr":
            self.tables[-1]["rows"].append([])
        if tag in ("th", "td"):
            self.tables[-1]["rows"][-1].append("")
            if tag == "th" and told.get("scope") not in ("row", "col"):
                self.faults.append("th without scope")
        if tag == "a":
            self.links.append(told["href"])
        if "id" in told:
            self.ids.append(told["id"])

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, text):
        if "td" in self.open or "th" in self.open:
            self.tables[-1]["rows"][-1][-1] += text + " "
        elif "caption" in self.open:
            self.tables[-1]["caption"] += text


def parse(page):
    """The page's tables, after the checks that hold for every generated table."""
    found = Table(page)
    assert not found.faults
    for table in found.tables:
        assert table["caption"] and len({len(cells) for cells in table["rows"]}) == 1
        assert all(cell.strip() for cells in table["rows"] for cell in cells)
    for block in page.split("<div")[1:]:
        assert "\n\n" not in block.split("</div>")[0]  # a blank line ends an HTML block in Markdown
    return found


def test_the_scoreboard_says_everything_about_a_claim():
    page = pages.scoreboard(computed(row(), row(**NOT_RUN)))
    counts, golan, wu, recorded = parse(page).tables
    assert "Golan" in golan["caption"]
    says, paper, ours, verdict = golan["rows"][1]
    assert "8s & 3s differ by < 1 %" in says and "Section 6" in says
    assert paper.strip() == "0.646"
    assert "0.651 [0.610, 0.690]" in ours and "10 seeds, MNIST, recorded, reduced" in ours
    assert "direction only" in verdict and "borderline" in verdict and "Run on less." in verdict
    assert "within 0.04 of 0.646" in verdict and "Two <standard> deviations." in verdict
    assert "Chapter 01" in says and "adlib.geom.simple_score" in says and "test_simple" in says
    assert "(protocol.md)" in page


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, "10 seeds, MNIST, recorded, reduced"),
        ({"n_seeds": 1, "interval": None}, "1 seed, MNIST, recorded, reduced"),
        ({"n_seeds": 1, "same_seeds": False}, "at least 1 seed each, MNIST, recorded, reduced"),
        ({"dataset": None, "interval": None}, "MNIST, recorded, reduced"),
        (NOT_RUN, ""),
    ],
)
def test_the_words_about_evidence(changes, words):
    assert pages.evidence_text(row(**changes)) == words


def test_links_lead_to_the_chapter_only_where_there_is_one():
    found = parse(pages.scoreboard(computed(row(), row(**NOT_RUN))))
    api = "api.html#adlib.geom.simple_score"
    assert found.links == ["../notebooks/01-toy.html", api, api]
    assert found.ids == ["claim-toy", "claim-later"]


def test_a_claim_that_was_not_run_has_a_reason_and_no_number():
    _, table, _ = parse(pages.scoreboard(computed(row(**NOT_RUN)))).tables
    assert table["rows"][1][2].strip() == "–" and "not run" in table["rows"][1][3]
    assert "Chapter 02." in table["rows"][1][3] and "borderline" not in table["rows"][1][3]


def test_counts_per_paper_and_in_all():
    rows = [row(), row(id="b", verdict="differs"), row(id="c", verdict="differs"), row(**NOT_RUN)]
    header, golan, wu, total = parse(pages.scoreboard(computed(*rows))).tables[0]["rows"]
    assert [word.strip() for word in header] == ["Paper", *VERDICTS, "claims"]
    by_word = [dict(zip([h.strip() for h in header], line, strict=True)) for line in (golan, wu, total)]
    assert [int(line["differs"]) for line in by_word] == [2, 0, 2]
    assert [int(line["not run"]) for line in by_word] == [0, 1, 1]
    assert [int(line["claims"]) for line in by_word] == [3, 1, 4]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_a_word_and_a_class(verdict):
    html = pages.badge({"verdict": verdict, "borderline": False})
    assert f">{verdict}<" in html and f"verdict-{verdict.replace(' ', '-')}" in html


def test_recorded_sweeps_with_their_state():
    stale = {**SWEEP, "sweep": "old", "seeds": [1, 2, 3], "stale": ["the canary differs by 2.0e-03"],
             "data": ["not at hand: not checked"]}
    empty = {**SWEEP, "sweep": "empty", "recorded": 0}
    table = parse(pages.scoreboard(computed(row(), recorded=(SWEEP, stale, empty)))).tables[-1]
    good, old = table["rows"][1:]
    assert good[2].strip() == "10" and old[2].strip() == "1 to 3"
    assert "20 of 30" in good[1] and "canaries agree" in good[4] and "0123456789" in good[5]
    assert "stale: the canary differs" in old[4] and "not checked" in old[4]
    assert "Nothing has been recorded yet." in pages.scoreboard(computed(row(), recorded=(empty,)))


def run_file(slug, **changes):
    told = {"slug": slug, "profile": "book", "started": "2026-01-01T00:00:00", "seconds": 61.25,
            "peak_memory_mb": 512.4,
            "cells": [{"index": 1, "seconds": 2.0, "first_line": "import adlib"},
                      {"index": 3, "seconds": 40.5, "first_line": "scores = [a < b]"}],
            "slowest": 3, "device": "cpu", "host": "somewhere", "versions": {"torch": "2.14.1"}}  # fmt: skip
    return {**told, **changes}


@pytest.fixture
def runs(tmp_path):
    for slug, changes in (("02-b", {"versions": {"torch": "2.14.2", "numpy": "2.4"}}), ("01-a", {})):
        (tmp_path / f"{slug}.run.json").write_text(json.dumps(run_file(slug, **changes)))
    (tmp_path / "01-a.results.json").write_text(json.dumps({"dataset": {"label": "MNIST"}}))
    return tmp_path


def test_the_status_page(runs):
    page = pages.status(runs)
    found = parse(page)
    chapters, versions = found.tables
    assert [line[0].strip() for line in chapters["rows"][1:]] == ["01-a", "02-b"]
    _, data, time, slowest, memory, device = chapters["rows"][1]
    assert (data.strip(), time.strip(), memory.strip(), device.strip()) == ("MNIST", "61.2 s", "512 MB", "cpu")
    assert "40.5 s" in slowest and "scores = [a < b]" in slowest
    assert versions["rows"][1:] == [["numpy ", "2.4 "], ["torch ", "2.14.1, 2.14.2 "]]
    assert "those of this machine" in page and "somewhere" not in page and "2026" not in page
    assert found.links == ["../notebooks/01-a.html", "../notebooks/02-b.html"]


def test_the_status_page_without_runs(tmp_path):
    assert "No chapter has been run yet." in pages.status(tmp_path)


def test_the_commands_write_the_same_bytes_twice(runs, tmp_path, capsys):
    (tmp_path / "claims.json").write_text(json.dumps(computed(row(), row(**NOT_RUN))))
    for command in (["scoreboard", "--claims", str(tmp_path / "claims.json")], ["status", "--runs", str(runs)]):
        for name in ("one.md", "two.md"):
            assert pages.main([*command, "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / "one.md").read_bytes() == (tmp_path / "two.md").read_bytes() != b""
    assert pages.main(["scoreboard", "--claims", str(tmp_path / "no.json"), "--out", str(tmp_path / "x.md")]) == 1
    assert "no.json cannot be read" in capsys.readouterr().err and not (tmp_path / "x.md").exists()
