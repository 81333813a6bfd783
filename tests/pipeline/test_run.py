"""One chapter at a time: `python -m adlib.companion.run` with miniature notebooks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import miniatures
from .conftest import ROOT, alive, kernels_below, wait_for

SLUG = "01-mini"


@pytest.fixture
def chapter(tmp_path):
    """Writes a chapter into tmp_path/notebooks and runs it; returns (completed process, folder of its outputs)."""

    def run(text: str | None = None, *options: str, runs: str = "runs", profile: str = "book"):
        if text is not None:
            miniatures.write(tmp_path / "notebooks", SLUG, text)
        words = command(*options, runs=runs, profile=profile)
        outcome = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment())
        return outcome, tmp_path / runs / profile

    return run


def command(*options: str, runs: str = "runs", profile: str = "book") -> list[str]:
    head = [sys.executable, "-m", "adlib.companion.run", SLUG, "--notebooks", "notebooks"]
    return [*head, "--runs", runs, "--profile", profile, *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_failed(outcome, folder: Path, sentence: str) -> None:
    """One line on stderr, the partial notebook and a log that ends in that line, and nothing published."""
    assert outcome.returncode == 1
    assert outcome.stderr == sentence + "\n"
    assert files(folder) == {f"{SLUG}.partial.ipynb", f"{SLUG}.log"}
    assert (folder / f"{SLUG}.log").read_text().splitlines()[-1] == sentence


def test_a_good_chapter_is_published_whole_and_twice_the_same(chapter):
    outcome, first = chapter(miniatures.source(SLUG))
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert files(first) == {f"{SLUG}{suffix}" for suffix in (".ipynb", ".results.json", ".run.json")}
    results = json.loads((first / f"{SLUG}.results.json").read_text())
    assert results["values"] == {"answer": {"mean": 1.0, "per_seed": [1.0]}}
    about = json.loads((first / f"{SLUG}.run.json").read_text())
    assert [cell["index"] for cell in about["cells"]] == [1, 2, 3, 4]
    assert about["slowest"] == max(about["cells"], key=lambda cell: cell["seconds"])
    assert about["cells"][0]["first_line"] == "value: int = 1  # any number"
    assert about["device"] == "cpu" and about["peak_memory_mb"] > 50 and "torch" in about["versions"]
    outcome, second = chapter(None, runs="again")
    for name in (f"{SLUG}.ipynb", f"{SLUG}.results.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_failing_cell_removes_what_an_earlier_run_published(chapter):
    chapter(miniatures.source(SLUG))
    outcome, folder = chapter(miniatures.source(SLUG, miniatures.CELLS["raises"]))
    assert_failed(outcome, folder, "cell 3: ValueError: this chapter")


def test_a_dead_kernel(chapter):
    outcome, folder = chapter(miniatures.source(SLUG, miniatures.CELLS["dies"]))
    assert_failed(outcome, folder, "the kernel died in cell 3 (out of memory?)")


def test_a_warning_on_stderr(chapter):
    outcome, folder = chapter(miniatures.source(SLUG, miniatures.CELLS["warns"]))
    assert outcome.stderr.startswith("cell 3 wrote to stderr: ") and "mind the step" in outcome.stderr
    assert_failed(outcome, folder, outcome.stderr.rstrip("\n"))


@pytest.mark.parametrize("options, seconds", [(("--cell-limit", "4"), 4), (("--limit", "8"), 8)])
def test_a_chapter_that_takes_too_long(chapter, options, seconds):
    outcome, folder = chapter(miniatures.source(SLUG, miniatures.CELLS["sleeps"]), *options)
    assert_failed(outcome, folder, f"timed out after {seconds} s in cell 3")


def test_a_preset_of_the_profile_is_used_and_an_unknown_parameter_in_it_ends_the_run(chapter, tmp_path):
    preset = tmp_path / "notebooks" / "presets" / "smoke" / f"{SLUG}.yml"
    preset.parent.mkdir(parents=True)
    preset.write_text("value: 7\n")
    outcome, folder = chapter(miniatures.source(SLUG), profile="smoke")
    assert outcome.returncode == 0
    assert json.loads((folder / f"{SLUG}.results.json").read_text())["params"]["value"] == 7
    preset.write_text("valeu: 7\n")
    outcome, folder = chapter(None, profile="smoke")
    # cell 2 is papermill's own, with the preset's values
    assert_failed(outcome, folder, "cell 3: BadParameters: unknown parameter 'valeu' (did you mean 'value'?)")


def test_no_parameters_tag(chapter):
    outcome, folder = chapter(miniatures.source(SLUG, head=miniatures.PARAMETERS.replace('tags=["parameters"]', "")))
    assert outcome.returncode == 1
    assert outcome.stderr == "no cells are tagged `parameters`, expected exactly one\n"
    assert files(folder) == {f"{SLUG}.log"}


def test_no_receipt(chapter):
    outcome, folder = chapter(miniatures.source(SLUG, last="# %%\n1\n"))
    sentence = "the notebook holds 0 results outputs, expected one (receipt.record in the last cell)"
    assert_failed(outcome, folder, sentence)


def test_an_unknown_chapter_and_an_unknown_profile(chapter):
    outcome, _ = chapter()
    assert outcome.stderr == f"no chapter {SLUG!r} in notebooks (there are: none)\n" and outcome.returncode == 1
    outcome, _ = chapter(profile="quick")
    assert "'quick'" in outcome.stderr and "smoke" in outcome.stderr and outcome.returncode != 0


def test_an_output_folder_that_cannot_be_written(chapter, tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    outcome, _ = chapter(miniatures.source(SLUG))
    assert outcome.stderr == "cannot write to runs/book: Not a directory\n" and outcome.returncode == 1
    if os.geteuid() != 0:  # root writes everywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        outcome, _ = chapter(None, runs="closed")
        assert outcome.stderr == "cannot write to closed/book: Permission denied\n" and outcome.returncode == 1


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_run_leaves_no_kernel_and_publishes_nothing(tmp_path, number, status):
    miniatures.write(tmp_path / "notebooks", SLUG, miniatures.source(SLUG, miniatures.CELLS["sleeps"]))
    with subprocess.Popen(command(), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:  # fmt: skip
        kernels = wait_for(lambda: kernels_below(process.pid))
        time.sleep(1)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as Ctrl-C does
        else:
            process.send_signal(number)
        assert process.wait(60) == status
        said = process.stderr.read()
    wait_for(lambda: not any(alive(pid) for pid in kernels))
    left = tmp_path / "runs" / "book"
    assert not list(left.glob(f"{SLUG}*"))
    if number != signal.SIGKILL:
        assert said == "interrupted\n" and not list(left.iterdir())
