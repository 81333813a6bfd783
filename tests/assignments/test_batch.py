"""A folder with every kind of submission to every assignment, graded in one go as `make grade` does it."""

import csv
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import EVERY, MINI, Case, World
from places import MASTERS, ROOT
from places import MINI as MINIATURE

from adlib.companion.assignments import CHECKS, read, stub

NAMES = [(path.stem, name) for path in MASTERS for name in (*EVERY, *(MINI if path == MINIATURE else ()))]
LIMITS = ("--jobs", "2", "--patience", "0.25")  # 5 s a call, 15 s a cell, 60 s in all


def command(*arguments):
    line = [sys.executable, "-m", "adlib.companion.grading", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)


def put(folder: Path, student: str, case: Case):
    if isinstance(case.notebook, bytes):
        (folder / f"{student}.ipynb").write_bytes(case.notebook)
    else:
        (folder / student).mkdir()
        (folder / student / "my notebook.ipynb").write_text(json.dumps(case.notebook))


@pytest.fixture(scope="session")
def server():
    """A server on this machine; `calls` counts who has reached it."""
    listener = socket.create_server(("127.0.0.1", 0))
    calls = []

    def wait():
        while True:
            try:
                calls.append(listener.accept()[1])
            except OSError:
                return

    thread = threading.Thread(target=wait)
    thread.start()
    yield SimpleNamespace(port=listener.getsockname()[1], calls=calls)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture(scope="session")
def batch(apart, server, tmp_path_factory):
    """What one run over all submissions has left: rows and reports by student, SLUG.CASE."""
    top = tmp_path_factory.mktemp("course")
    masters, folder, out = top / "masters", top / "handed-in", top / "grades"
    masters.mkdir()
    folder.mkdir()
    cases = {}
    for path in MASTERS:
        (masters / path.name).write_bytes(path.read_bytes())
        master = read(path)
        world = World(folder, masters / path.name, top / "outside", server.port)
        for name, maker in (EVERY | (MINI if path == MINIATURE else {})).items():
            cases[f"{path.stem}.{name}"] = case = maker(master, world)
            put(folder, f"{path.stem}.{name}", case)
    (folder / "reference.ipynb").write_bytes((folder / "90-mini.empty.ipynb").read_bytes())
    outcome = command("--masters", masters, "--out", out, *LIMITS, "--", folder)
    assert outcome.returncode == 0, outcome.stderr
    tables = [path.read_text().splitlines() for path in out.glob("*/grades.csv")]
    rows = {row["student"]: row for table in tables for row in csv.DictReader(table)}
    reports = {path.stem: path.read_text() for path in out.glob("*/reports/*.md")}
    return SimpleNamespace(
        cases=cases, rows=rows, reports=reports, out=out, top=top, stdout=outcome.stdout, stderr=outcome.stderr
    )


@pytest.mark.parametrize(("slug", "name"), NAMES, ids=[f"{slug}.{name}" for slug, name in NAMES])
def test_each_gets_what_it_is_worth(batch, slug, name):
    student = f"{slug}.{name}"
    case, row, report = batch.cases[student], batch.rows[student], batch.reports[student]
    assert int(row["total"]) == case.points, report
    assert case.says in report


def test_nobody_is_left_out(batch):
    assert set(batch.rows) == {*batch.cases, "reference"}
    assert set(batch.reports) == set(batch.rows)
    assert batch.stderr == ""
    for student in batch.rows:
        assert f"\n{student} " in batch.stdout


def test_points_add_up(batch, path):
    master = read(path)
    for row in batch.rows.values():
        if row["assignment"] == path.stem:
            assert sum(int(row[cell.name]) for cell in master.of("question")) == int(row["total"])
            assert int(row["of"]) + int(row["by hand"]) == master.points()


def test_reports_show_no_hidden_check_and_no_answer(batch, path):
    """Not a line of them: hidden checks, answers, wrong answers, rubrics."""
    master = read(path)
    shown = {line.strip() for cell in master.of("test", "setup", "show") for line in cell.source.splitlines()}
    shown |= {line.strip() for cell in master.of("solution") for line in stub(cell.source).splitlines()}
    secrets = [cell for cell in master.of("hidden", "solution", "wrong", "rubric")]
    lines = {line.strip() for cell in secrets for line in cell.source.splitlines()} - shown
    long = [line for line in lines if len(line) > 12 and not line.startswith("#")]
    assert long
    for student, report in batch.reports.items():
        if student.startswith(path.stem):
            assert "Traceback" not in report and '  File "' not in report
            found = [line for line in long if line in report]
            assert not found, student
            hidden = [cell.name for cell in master.of("hidden") if cell.name in report]
            assert not hidden, student


def test_a_check_of_each_kind_is_named(batch):
    report = batch.reports["90-mini.reference"]
    assert "- passed: q1-two (1 of 1)" in report and "- passed: hidden check 2 of 2 (1 of 1)" in report
    report = batch.reports["90-mini.edited_tests"]
    assert "- not passed: hidden check 1 of 2 (0 of 2): each element should be squared" in report


def test_nothing_outside_was_touched(batch, server):
    assert not (batch.top / "outside").exists()
    assert server.calls == []


def test_no_process_is_left(batch):
    left = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_text()
        except OSError:  # it has ended meanwhile
            continue
        if "86399.125" in text or (str(batch.top) in text and path.parent.name != str(os.getpid())):
            left.append(text)
    assert left == []


def test_written_answers_are_for_the_instructor(batch):
    text = (batch.out / "90-mini" / "written.md").read_text()
    assert "### 90-mini.answered_in_words\n\n> Because <b>large</b> powers overflow.\n>\n> And a second" in text
    assert "A constant cancels" in text or "a constant cancels" in text
    assert "### 90-mini.blank\n\n*no answer*" in text


def test_hidden_checks_are_there_to_be_found(path):
    """Else the scan above proves nothing."""
    assert any(cell.kind == "hidden" for cell in read(path).of(*CHECKS))
