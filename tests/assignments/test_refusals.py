"""When nobody is graded, and what `make grade` says to whom it cannot help."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest
from cases import solution
from places import MINI, ROOT

from adlib.companion import grading, reports, sandbox
from adlib.companion.assignments import read
from adlib.companion.grading import Judges, Refusal, Task
from adlib.companion.judge import Checked, Outcome
from adlib.companion.process import Limits


def make(*arguments):
    """`make grade` as it is, but without a look at the environment."""
    return subprocess.run(
        ["make", "-s", "-o", "venv-book", "grade", *arguments], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture
def handed_in(tmp_path, mini):
    folder = tmp_path / "handed in"
    folder.mkdir()
    (folder / "ada.ipynb").write_text(json.dumps(solution(mini)))
    return folder


def test_make_asks_for_a_folder():
    outcome = make()
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("say which folder: make grade SUBMISSIONS=folder\n")


@pytest.mark.parametrize("what", ["no folder", "empty folder", "unknown assignment", "no masters"])
def test_what_cannot_be_graded_is_told_in_a_sentence(tmp_path, handed_in, capsys, what):
    masters, arguments = MINI.parent, [str(handed_in)]
    if what == "no folder":
        arguments, says = [str(tmp_path / "none")], "none is not a folder"
    elif what == "empty folder":
        (handed_in / "ada.ipynb").rename(handed_in / "notes.txt")
        says = "holds no submission: STUDENT.ipynb, or STUDENT/any-name.ipynb, is expected"
    elif what == "unknown assignment":
        arguments += ["--assignment", "77-none"]
        says = "there is no assignment '77-none' (there are: 90-mini)"
    else:
        masters, says = tmp_path, "there is no master in"
    status = grading.main([*arguments, "--masters", str(masters), "--out", str(tmp_path / "out")])
    captured = capsys.readouterr()
    assert status == (1 if what == "no masters" else 2) and captured.out == ""
    assert says in captured.err and len(captured.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_nobody_is_graded_when_the_solution_fails(apart, tmp_path, handed_in, capsys):
    masters = tmp_path / "masters"
    masters.mkdir()
    broken = MINI.read_text().replace("return np.multiply(x, x)", "return np.multiply(x, 3)")
    (masters / "90-mini.py").write_text(broken)
    status = grading.main([str(handed_in), "--masters", str(masters), "--out", str(tmp_path / "out"), "--jobs", "1"])
    captured = capsys.readouterr()
    assert status == 1 and captured.out == ""
    assert captured.err == (
        "nobody is graded: the solution of 90-mini itself fails q1-two: 2 squared should be 4\n"
    )
    assert not (tmp_path / "out").exists()


def test_nobody_is_graded_when_a_setup_cell_fails(apart, tmp_path, handed_in):
    masters = tmp_path / "masters"
    masters.mkdir()
    (masters / "90-mini.py").write_text(MINI.read_text().replace("import torch\n", "import torch\n1 / 0\n", 1))
    with pytest.raises(Refusal, match="itself a setup cell raised ZeroDivisionError"):
        grading.grade(handed_in, masters, tmp_path / "out", jobs=1)


def test_nobody_is_graded_when_the_network_cannot_be_cut(apart, tmp_path, handed_in):
    """In a user namespace that allows no further ones, as in many containers. --allow-network grades all the same."""
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    line = [sys.executable, "-m", "adlib.companion.grading", str(handed_in)]
    line += ["--masters", str(MINI.parent), "--out", str(tmp_path / "out"), "--jobs", "1"]
    within = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", *line]
    outcome = subprocess.run(within, cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 2 and outcome.stdout == "" and len(outcome.stderr.splitlines()) == 1
    assert "does not let us cut the network" in outcome.stderr and "make grade ALLOW_NETWORK=1" in outcome.stderr
    outcome = subprocess.run([*within, "--allow-network"], cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0 and "9 of 9" in outcome.stdout, outcome.stderr


def test_links_and_odd_names_stop_nobody(apart, tmp_path, handed_in, capsys):
    solved = shutil.copy(handed_in / "ada.ipynb", tmp_path / "solution.ipynb")
    (handed_in / "bob.ipynb").symlink_to(solved)
    (handed_in / "eve").mkdir()
    (handed_in / "eve" / "work.ipynb").symlink_to(solved)
    (handed_in / "link").symlink_to(tmp_path)
    odd = os.fsencode(handed_in) + b"/M\xfcller.ipynb"
    os.rename(handed_in / "ada.ipynb", odd)
    (handed_in / ("x" * 240 + ".ipynb")).write_text("[]")
    line = [str(handed_in), "--masters", str(MINI.parent), "--out", str(tmp_path / "out")]
    assert grading.main(line) == 0
    table = (tmp_path / "out" / "90-mini" / "grades.csv").read_text()
    rows = {row["student"]: row for row in csv.DictReader(table.splitlines())}
    assert set(rows) == {"M?ller", "bob", "eve", "link", "x" * 60}
    assert rows["M?ller"]["total"] == "9"
    for student in ("bob", "eve", "link"):
        assert "is a link or a special file, and is not read" in rows[student]["notes"]
    assert "graded: 1, impossible to grade: 4" in capsys.readouterr().out


def test_a_new_table_takes_the_place_of_the_old_one_which_is_kept(tmp_path, mini):
    out = tmp_path / "90-mini"
    for student in ("ada", "bob", "eve"):
        grading._write(out, mini, [Outcome(student, "90-mini")])
    assert [path.name for path in (out / "reports").iterdir()] == ["eve.md"]
    assert "ada,90-mini" in (tmp_path / "90-mini.1" / "grades.csv").read_text()
    assert "bob,90-mini" in (tmp_path / "90-mini.2" / "grades.csv").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["90-mini", "90-mini.1", "90-mini.2"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, mini, monkeypatch):
    out = tmp_path / "90-mini"
    grading._write(out, mini, [Outcome("ada", "90-mini")])
    monkeypatch.setattr(reports, "files", lambda *_: {"grades.csv": "new", "reports/ada.md": 3})
    with pytest.raises(TypeError):
        grading._write(out, mini, [])
    assert "ada" in (out / "grades.csv").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["90-mini"]


def test_students_are_files_or_folders(tmp_path, mini):
    text = json.dumps(solution(mini))
    checkpoint = "bob/.ipynb_checkpoints/hw.ipynb"
    for place in ("ada.ipynb", "bob/hw.ipynb", checkpoint, "eve/1.ipynb", "eve/2.ipynb", ".x.ipynb"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    (tmp_path / "zoe").mkdir()
    (tmp_path / "notes.txt").write_text("ignored")
    tasks = {task.student: task for task in grading._tasks(tmp_path, {"90-mini": mini}, "")}
    assert list(tasks) == ["ada", "bob", "eve", "zoe"]
    assert tasks["bob"].path == tmp_path / "bob" / "hw.ipynb" and not tasks["bob"].why_not
    assert tasks["eve"].why_not == "there are 2 notebooks (1.ipynb, 2.ipynb): hand in one"
    assert tasks["zoe"].why_not == "there is no notebook in the folder"
    assert {task.slug for task in tasks.values()} == {"90-mini"}


def test_a_judge_that_dies_is_replaced(apart, tmp_path, handed_in):
    with Judges([MINI], Limits(), jobs=1) as judges:
        judges._all[0]._process.kill()
        lost, graded = (judges.one(Task(name, "90-mini", handed_in / "ada.ipynb")) for name in ("ada", "bob"))
    assert lost.checks == [] and "took too long or ended the grader's process" in lost.notes[0]
    assert graded.points() == 9


def test_a_report_says_when_files_were_open(mini):
    check = Checked("q1-two", "q1", "test", 1)
    outcome = Outcome("ada", "90-mini", [check], confined={"network": True, "files": False})
    assert "could not limit which files the code reads" in reports.report(mini, outcome)
    outcome.confined["files"] = True
    assert "could not limit" not in reports.report(mini, outcome)


def test_no_master_and_no_submission_is_readable(tmp_path):
    """The folders that a student's code may read hold neither the masters nor the tests."""
    for folder in (path.resolve() for path in sandbox.readable()):
        for secret in (MINI, ROOT / "notebooks" / "assignments" / "01-geom.py", tmp_path):
            assert not secret.is_relative_to(folder), folder


def test_the_miniature_is_a_master():
    assert read(MINI).points() == 12
