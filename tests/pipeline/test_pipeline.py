"""The whole pipeline on a miniature project: two chapters, stand-ins for claims and pages, real Snakefile and site."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from . import miniatures
from .conftest import ROOT, alive, children, kernels_below, wait_for

TOY = "def double(x):\n    return 2 * x\n"
SWEEP = """import sys
from pathlib import Path

command, first, *rest = sys.argv[1:]
record = Path("results/recorded/tiny.jsonl")
if command == "keys":
    print("\\n".join(key for key in ("aa", "bb", "cc") if key not in record.read_text()))
elif command == "points":
    folder, *keys = rest
    for key in keys:
        Path(folder, f"{key}.json").write_text(key)
elif command == "append":
    record.write_text(" ".join(["aa", *sorted(path.stem for path in Path(rest[0]).glob("*.json"))]))
else:
    Path(first).write_text("{}")
"""
FILES = {
    "adlib/toy.py": TOY,
    "adlib/companion/sweep.py": SWEEP,
    "adlib/companion/claims.py": "import sys, pathlib; pathlib.Path(sys.argv[5]).write_text('{}')\n",
    "adlib/companion/pages.py": "import sys, pathlib; pathlib.Path(sys.argv[5]).write_text('# ' + sys.argv[1])\n",
    "results/recorded/tiny.jsonl": "aa",
    "results/sweeps/tiny.yml": "",
    "book/index.md": "# Miniature\n\nWords.\n",
    "book/_vendor/index.html": "<!doctype html><title>Miniature</title>\n",
    "_config.yml": "title: Miniature\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
    "sphinx: {config: {html_extra_path: [vendor]}}\n",
    "_toc.yml": "format: jb-book\nroot: book/index\nchapters:\n"
    + "".join(f"- file: {f}\n" for f in ("notebooks/01-plain", "notebooks/02-toy", "book/scoreboard", "book/status")),
}
USES_TOY = "from adlib.companion import papers\nfrom adlib.toy import double\n\ndouble(2)"
NO_SITE = ("all", "--until", "claims")  # the site takes longer than all the rest
RUNS = ["run_chapter book 01-plain", "run_chapter book 02-toy"]
COLD = ["canaries", "claims", "handouts", "pages", *RUNS, "site", "stage"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The miniature project after a first, good run; tests work on copies."""
    project = tmp_path_factory.mktemp("built") / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "adlib", project / "adlib", ignore=ignored)
    shutil.copytree(ROOT / "tools", project / "tools", ignore=ignored)
    shutil.copyfile(ROOT / "Snakefile", project / "Snakefile")
    for name, text in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    write_chapter(project, "01-plain", miniatures.CELLS["ok"])
    write_chapter(project, "02-toy", USES_TOY)
    outcome = pipeline(project)
    assert outcome.returncode == 0, outcome.stderr
    assert jobs(outcome) == COLD
    return project


@pytest.fixture
def project(built, tmp_path):
    shutil.copytree(built, tmp_path / "project")
    return tmp_path / "project"


def write_chapter(project: Path, slug: str, cell: str) -> None:
    title = f"# %% [markdown]\n# # Chapter {slug}\n\n"
    miniatures.write(project / "notebooks", slug, miniatures.source(slug, cell, head=title + miniatures.PARAMETERS))


def command(*targets: str) -> list[str]:
    return [sys.executable, "tools/pipeline.py", "--cores", "2", *(targets or ["all"])]


def environment(project: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(project)}


def pipeline(project: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*targets), cwd=project, env=environment(project), capture_output=True, text=True)


def jobs(outcome: subprocess.CompletedProcess[str]) -> list[str]:
    """The jobs that were done, sorted; every line that the pipeline wrote must be about one."""
    lines = [re.fullmatch(r"(.+?) +[\d.]+ s", line) for line in outcome.stderr.splitlines()]
    assert outcome.stdout == "" and all(lines), outcome.stderr
    return sorted(line[1] for line in lines)


def test_the_site_holds_the_executed_notebook_the_clean_one_and_the_results(built):
    site = built / "build" / "site"
    downloads = {"downloads/01-plain.clean.ipynb", "downloads/01-plain.results.json", "mathjax/tex-svg.js"}
    pages = {"notebooks/01-plain.html", "book/index.html", "book/status.html", "_sources/notebooks/01-plain.ipynb"}
    assert all((site / name).is_file() for name in downloads | pages)
    assert (site / "downloads/01-plain.clean.ipynb").read_bytes() == (built / "notebooks/01-plain.ipynb").read_bytes()


def test_a_second_run_does_nothing(project):
    outcome = pipeline(project)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_an_edited_module_runs_its_importers_again_and_no_other(project):
    (project / "adlib" / "toy.py").write_text(TOY.replace("2 * x", "x + x"))
    assert jobs(pipeline(project, *NO_SITE)) == ["claims", "run_chapter book 02-toy"]


def test_records_and_tables_run_the_chapters_that_read_them_again_and_no_other(project):
    table = project / "adlib/companion/tables/golan2018-1.csv"
    table.write_text(table.read_text() + "CatsVsDogs,NEW,0,50.0,\n")
    assert jobs(pipeline(project, *NO_SITE)) == ["claims", "run_chapter book 02-toy"]
    for name in ("sweeps/tiny.yml", "recorded/tiny.jsonl"):
        (project / "results" / name).write_text("aa 02-toy/answer\n")
        assert jobs(pipeline(project, *NO_SITE)) == ["canaries", "claims", "run_chapter book 02-toy"]
    (project / "results/recorded/other.jsonl").write_text("03-other/answer, like 02-toy\n")
    assert jobs(pipeline(project, *NO_SITE)) == ["canaries", "claims"]


def test_an_edited_page_runs_no_chapter_again(project):
    (project / "book" / "index.md").write_text("# Miniature\n\nOther words.\n")
    assert jobs(pipeline(project)) == ["site", "stage"]


def test_a_preset_is_an_input_of_its_profile(project):
    preset = project / "notebooks" / "presets" / "smoke" / "01-plain.yml"
    preset.parent.mkdir(parents=True)
    preset.write_text("value: 3\n")
    target = "build/runs/smoke/01-plain.ipynb"
    assert jobs(pipeline(project, target)) == ["run_chapter smoke 01-plain"]
    assert jobs(pipeline(project, target, "all")) == []
    preset.write_text("value: 4\n")
    assert jobs(pipeline(project, target)) == ["run_chapter smoke 01-plain"]


def test_a_broken_chapter_fails_each_time_and_leaves_the_site_as_it_was(project):
    page = project / "build" / "site" / "notebooks" / "02-toy.html"
    before = page.read_bytes()
    (project / "adlib" / "toy.py").write_text("def double(x):\n    raise ArithmeticError('no more doubles')\n")
    partial = "build/runs/book/02-toy.partial.ipynb"
    expected = "run_chapter book 02-toy  FAILED  cell 3: ArithmeticError: no more doubles"
    for _ in range(2):
        outcome = pipeline(project)
        assert outcome.returncode == 1
        assert outcome.stderr == f"{expected}  (build/log/book/02-toy.txt, {partial})\n"
        assert (project / partial).is_file() and not (project / "build/runs/book/02-toy.ipynb").exists()
        assert page.read_bytes() == before
    (project / "adlib" / "toy.py").write_text(TOY)
    outcome = pipeline(project)
    assert outcome.returncode == 0 and "run_chapter book 02-toy" in jobs(outcome)
    assert not (project / partial).exists()


def test_a_page_with_a_broken_link_fails_each_time_and_leaves_the_site_as_it_was(project):
    (project / "book" / "index.md").write_text("# Miniature\n\n[nowhere](no-such-page.md)\n")
    for _ in range(2):
        outcome = pipeline(project)
        assert outcome.returncode == 1
        last = outcome.stderr.splitlines()[-1]
        assert last.startswith("site  FAILED  build/stage/book/index.md:3: WARNING:") and "no-such-page" in last
        assert "Words." in (project / "build" / "site" / "book" / "index.html").read_text()


def test_a_removed_output_is_made_again(project):
    (project / "build/runs/book/01-plain.ipynb").unlink()
    assert jobs(pipeline(project, *NO_SITE)) == ["claims", "run_chapter book 01-plain"]


@pytest.mark.parametrize(
    "how", ["kill -9 of make", "kill -9 of snakemake", "ctrl-c", "termination of snakemake", "termination of all"]
)
def test_an_ended_run_leaves_nothing_behind_and_the_next_one_just_works(project, how):
    (project / "adlib" / "toy.py").write_text(f"import time\n\ntime.sleep(60)\n{TOY}")
    make = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *command(*NO_SITE)]
    with subprocess.Popen(
        make, cwd=project, env=environment(project), stderr=subprocess.PIPE, start_new_session=True
    ) as run:
        kernels = wait_for(lambda: kernels_below(run.pid))
        everyone = {*children(run.pid), *kernels}
        if how == "kill -9 of make":
            run.kill()
        elif how.endswith("of snakemake"):
            number = signal.SIGKILL if how.startswith("kill") else signal.SIGTERM
            os.kill(int(Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text()), number)
        else:
            os.killpg(run.pid, signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)
        run.wait(30)
        wait_for(lambda: not any(alive(pid) for pid in everyone))
    assert not list((project / "build" / "runs" / "book").glob("02-toy*"))
    (project / "adlib" / "toy.py").write_text(TOY)
    outcome = pipeline(project, *NO_SITE)
    assert outcome.returncode == 0, outcome.stderr
    assert jobs(outcome) == ["claims", "run_chapter book 02-toy"]
    assert not list((project / "build" / "runs" / "book").glob(".02-toy*"))


def test_a_site_build_that_was_killed_does_not_stop_the_next_one(project):
    shutil.copytree(project / "build" / "site", project / ".snakemake" / "backups" / "build" / "site")  # what it leaves
    (project / "book" / "index.md").write_text("# Miniature\n\nOther words.\n")
    assert jobs(pipeline(project)) == ["site", "stage"]
    assert "Other words." in (project / "build" / "site" / "book" / "index.html").read_text()


def test_a_sweep_runs_the_missing_points_only_and_the_book_never_runs_one(project):
    record = project / "results" / "recorded" / "tiny.jsonl"
    assert record.read_text() == "aa"  # after a whole run of the book
    target = "build/sweeps/tiny/done"
    assert jobs(pipeline(project, target)) == ["sweep tiny", "sweep_points tiny bb", "sweep_points tiny cc"]
    assert record.read_text() == "aa bb cc"
    assert not [job for job in jobs(pipeline(project, target)) if "point" in job]
    assert jobs(pipeline(project, *NO_SITE)) == ["canaries", "claims"]


def test_a_second_run_at_the_same_time_is_refused(project):
    with (project / "build" / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = pipeline(project)
    assert outcome.returncode == 75
    assert outcome.stderr == "another make is running here: wait for its end, or end it\n"


def test_a_drifted_pair_is_refused(project):
    script = project / "notebooks" / "02-toy.py"
    script.write_text(script.read_text().replace("double(2)", "double(3)"))
    outcome = pipeline(project)
    assert outcome.returncode == 1
    assert outcome.stderr == "02-toy.ipynb: not the same as the .py beside it, run `make pairs`\n"


def test_a_build_folder_that_cannot_be_written(project):
    shutil.rmtree(project / "build")
    (project / "build").write_text("a file")
    outcome = pipeline(project)
    assert (outcome.returncode, outcome.stderr) == (1, "cannot write to build: File exists\n")
