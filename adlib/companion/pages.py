"""The generated pages of the book: the scoreboard of all claims, and the status of the last run.

Both are MyST Markdown with HTML tables, lie in book/ of the stage, and are equal for equal input.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .claims import PAPERS, VERDICTS
from .recorded import write_by_rename

DASH = "–"
SOURCES = {
    ("recorded", "paper"): "recorded at the paper's sizes",
    ("recorded", "reduced"): "recorded, reduced",
    ("book", "book"): "this book's run",
}

Json = dict[str, Any]


# Pieces


def number(value: float | None) -> str:
    """Three decimals below 10, one above; a dash for none."""
    return DASH if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """An HTML table in a box that scrolls sideways; cells are HTML, the first of a row is its header.

    `kind` is one more class: "claims" tables become cards on a phone. No blank line stands in it, which would end an
    HTML block in Markdown.
    """
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in header)
    body = "\n".join(
        f'<tr><th scope="row" style="font-weight: normal">{first}</th>'
        f'{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="table-scroll" style="overflow-x: auto" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}">\n'
        f'<table class="{f"table {kind}".strip()}">\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def small(html: str) -> str:
    return f' <p class="small">{html}</p>' if html else ""


def badge(row: Json) -> str:
    """The verdict in words, coloured by its class; borderline is a word of its own."""
    verdict = row["verdict"]
    html = f'<span class="verdict verdict-{verdict.replace(" ", "-")}">{verdict}</span>'
    return html + (' <span class="borderline">borderline</span>' if row["borderline"] else "")


def evidence_text(row: Json) -> str:
    """Where our value comes from: seeds, data, kind of run; "" for a claim that was not run."""
    evidence = row["evidence"]
    if not evidence["source"]:
        return ""
    seeds = [count(row["n_seeds"], "seed")] if row["dataset"] else []  # a paper's own table has none
    if seeds and not row["same_seeds"]:
        seeds = [f"at least {seeds[0]} each"]
    return ", ".join([*seeds, evidence["dataset_label"], SOURCES[evidence["source"], evidence["profile"]]])


# Scoreboard


def scoreboard(computed: Json) -> str:
    """The page with every claim, from what `claims compute` wrote."""
    rows = computed["claims"]
    papers = [paper for paper in PAPERS if any(row["paper"] == paper for row in rows)]
    parts = [
        "# Scoreboard",
        "Every claim of the papers that this book has an entry for: what the paper says, what came out here, and the "
        "verdict. The rule of each claim was written before the run, or says what had been seen; no verdict is typed. "
        "[The protocol](protocol.md) says how verdicts are computed and what the words mean. "
        "A claim that differs is a finding; its chapter discusses it.",
        "## Counts",
        _counts(rows, papers),
        *(part for paper in papers for part in (f"## {PAPERS[paper]}", _claims_table(rows, paper))),
        "## Recorded runs",
        *_recorded(computed["recorded"]),
    ]
    return "\n\n".join(parts) + "\n"


def _counts(rows: Sequence[Json], papers: Sequence[str]) -> str:
    per_paper = {paper: Counter(row["verdict"] for row in rows if row["paper"] == paper) for paper in papers}
    lines = [[escape(PAPERS[paper]), *(str(n[verdict]) for verdict in VERDICTS), str(n.total())]
             for paper, n in per_paper.items()]
    total = Counter(row["verdict"] for row in rows)
    lines.append(["All papers", *(str(total[verdict]) for verdict in VERDICTS), str(total.total())])
    return table("Number of claims with each verdict", ["Paper", *VERDICTS, "claims"], lines)


def _claims_table(rows: Sequence[Json], paper: str) -> str:
    lines = [[_what(row), _paper_value(row), _ours(row), _verdict(row)] for row in rows if row["paper"] == paper]
    caption = f"Claims of {PAPERS[paper]}; intervals are 95 % bootstrap intervals of the mean over seeds"
    return table(caption, ["Claim", "Paper", "Ours", "Verdict"], lines, kind="claims")


def _what(row: Json) -> str:
    says = f'<span id="claim-{row["id"]}">{escape(row["says"])}</span>'
    return says + small(f"{escape(row['place'])}. Measured by: {escape(row['metric'])}.") + small(_links(row))


def _paper_value(row: Json) -> str:
    spread = "" if row["paper_spread"] is None else f" ± {number(row['paper_spread'])}"
    return number(row["paper_value"]) + spread


def _ours(row: Json) -> str:
    if row["value"] is None:
        return DASH
    text = number(row["value"])
    if row["interval"]:
        low, high = row["interval"]
        text += f" [{number(low)}, {number(high)}]"
    return text + small(escape(evidence_text(row)))


def _verdict(row: Json) -> str:
    rule = f"Rule: {row['rule_words']} ({row['rule']}, {row['comparability']})."
    why = f'<details class="small"><summary>Why this rule</summary><p>{escape(row["why"])}</p></details>'
    return badge(row) + small(escape(_sentence(row["reason"]))) + small(escape(rule)) + why


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def _links(row: Json) -> str:
    chapter = f"Chapter {row['chapter'][:2]}"
    if row["chapter_built"]:
        chapter = f'<a href="../notebooks/{row["chapter"]}.html">{chapter}</a>'
    name = row["function"]
    function = f'<a href="api.html#{name}"><code>{name}</code></a>'
    return f"{chapter}, function {function}, tested by <code>{row['test'].replace('::', '<wbr>::')}</code>"


def _recorded(sweeps: Sequence[Json]) -> list[str]:
    intro = (
        "Long runs are recorded once, with the commit that made them. Each build trains a small canary anew and "
        "compares its scores; a record whose canary, data or torch version no longer agree is stale and counts for "
        "nothing."
    )
    begun = [sweep for sweep in sweeps if sweep["recorded"]]
    if not begun:
        return [intro, "Nothing has been recorded yet."]
    lines = [
        [
            f"<code>{escape(sweep['sweep'])}</code>",
            f"{sweep['recorded']} of {sweep['points']}",
            " to ".join(str(n) for n in sorted({min(sweep["seeds"]), max(sweep["seeds"])})),
            escape(f"{', '.join(sweep['datasets'])} ({sweep['profile']})"),
            _state(sweep),
            ", ".join(f"<code>{commit}</code>" for commit in sweep["commits"]),
            escape(f"torch {', '.join(sweep['torch'])} on {', '.join(sweep['devices'])}"),
        ]
        for sweep in begun
    ]
    header = ["Sweep", "Points", "Seeds", "Data", "State", "Commit", "Made with"]
    return [intro, table("Recorded sweeps; the seeds are those of each experiment in it", header, lines)]


def _state(sweep: Json) -> str:
    state = f"stale: {'; '.join(sweep['stale'])}" if sweep["stale"] else "canaries agree"
    return escape(f"{state}. Data: {', '.join(sweep['data']) or 'not checked'}")


# Status


def status(runs: Path) -> str:
    """The page about the last run of each chapter, from its .run.json and .results.json in `runs`."""
    made = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(runs.glob("*.run.json"))]
    parts = [
        "# Status",
        "How the chapters of this book were run. The times are those of this machine at that moment, "
        "while other chapters may have been running; on another machine they will differ.",
    ]
    if not made:
        return "\n\n".join([*parts, "No chapter has been run yet."]) + "\n"
    header = ["Chapter", "Data", "Time", "Slowest cell", "Peak memory", "Device"]
    parts.append(table("The last run of each chapter", header, [_status_row(run, runs) for run in made]))
    parts += ["## Versions", table("What the chapters were run with", ["Package", "Version"], _versions(made))]
    return "\n\n".join(parts) + "\n"


def _status_row(run: Json, runs: Path) -> list[str]:
    slug = run["slug"]
    results = runs / f"{slug}.results.json"
    label = json.loads(results.read_text(encoding="utf-8"))["dataset"]["label"] if results.exists() else DASH
    slowest = max(run["cells"], key=lambda cell: cell["seconds"], default=None)
    cell = f"{slowest['seconds']:.1f} s: <code>{escape(slowest['first_line'])}</code>" if slowest else DASH
    link = f'<a href="../notebooks/{slug}.html">{escape(slug)}</a>'
    memory = f"{run['peak_memory_mb']:.0f} MB"
    return [link, escape(label), f"{run['seconds']:.1f} s", cell, memory, escape(run["device"])]


def _versions(made: Sequence[Json]) -> list[list[str]]:
    names = sorted({name for run in made for name in run["versions"]})
    seen = {name: sorted({str(run["versions"][name]) for run in made if name in run["versions"]}) for name in names}
    return [[escape(name), escape(", ".join(found))] for name, found in seen.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adlib.companion.pages", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    board = commands.add_parser("scoreboard", help="write the page with every claim")
    board.add_argument("--claims", type=Path, required=True)
    board.add_argument("--out", type=Path, required=True)
    state = commands.add_parser("status", help="write the page about the last run")
    state.add_argument("--runs", type=Path, required=True)
    state.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.command == "scoreboard":
        try:
            computed = json.loads(options.claims.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            print(f"{options.claims} cannot be read, make book writes it: {error}", file=sys.stderr)
            return 1
        write_by_rename(options.out, scoreboard(computed))
    else:
        write_by_rename(options.out, status(options.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
