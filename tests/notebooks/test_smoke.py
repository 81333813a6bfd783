"""Every chapter runs in the smoke profile, twice with equal bytes, and its figures say what they show."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from adlib.companion.canonical import code_cells

ROOT = Path(__file__).resolve().parents[2]
GOOD = {  # values that even a smoke run brings well above guessing, unless a score has the wrong sign
    "00-your-own-data": r"auroc_\w+",
    "01-geom-intuition": r"auroc_3v8_flip_\w+",
    "02-geom-score": r"page_auroc_\w+(geom_dirichlet|rule|hindsight)|page_(as_they_are|set_all)_\w+_dirichlet",
    "03-ns-ablation": r"page_auroc_\w+_(ns_detached|oc_svm_raw|kde)",
    "04-drocc-sine": r"auroc_[a-z]+_[12]",
    "05-drocc-lf": r"auroc_(nn_two_columns|drocc|oe|lf|lf_random)_2",
    "06-drocc-tabular": r"page_auroc_\w+_(ocsvm|lof|iforest|knn)_\w+",
    "07-ocnn-quantile": r"example_minimum_at",  # it scores nothing
    "08-ocnn-synthetic": r"auroc_fresh_(cosine|ocsvm_rbf)",
    "09-fcdd-clever-hans": r"(fcdd|hsc)_0_removed|fcdd_20_masked_(present|removed|moved)",
    "10-fcdd-heatmaps": r"grey_1_letters|color_0_n(2|all)|tile_masks_\w+",
    "11-leaderboard": r"live_\w+_(kde|knn|lof|ocsvm|iforest|random|ae)",
    "12-paper-audit": r"(means|sentences)_checked",  # it scores nothing
}


@pytest.fixture(scope="module")
def runs(slug, tmp_path_factory):
    """Two folders, each with a run of the chapter; the two ran side by side."""
    folder = tmp_path_factory.mktemp(slug)
    command = [sys.executable, "-m", "adlib.companion.run", slug, "--profile", "smoke", "--runs"]
    both = [
        subprocess.Popen([*command, str(folder / name)], cwd=ROOT, stderr=subprocess.PIPE, text=True) for name in "ab"
    ]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    return [folder / name / "smoke" for name in "ab"]


def test_two_runs_give_equal_bytes(slug, runs):
    for suffix in (".ipynb", ".results.json"):
        first, second = ((run / f"{slug}{suffix}").read_bytes() for run in runs)
        assert first == second


def test_every_figure_has_a_name_a_caption_and_words_for_those_who_cannot_see_it(slug, runs):
    notebook = nbformat.read(runs[0] / f"{slug}.ipynb", as_version=4)
    names = []
    for cell in code_cells(notebook):
        if not any("image/png" in output.get("data", {}) for output in cell.outputs):
            continue
        mystnb = cell.metadata.get("mystnb", {})
        figure, alt = mystnb.get("figure", {}), mystnb.get("image", {}).get("alt", "")
        assert figure.get("caption") and figure.get("name"), cell.source
        assert len(alt.split()) >= 5 and alt != figure["caption"], cell.source
        names.append(figure["name"])
    assert len(set(names)) == len(names)


def test_outputs_hold_no_path_of_this_machine(slug, runs):
    text = (runs[0] / f"{slug}.ipynb").read_text()
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text and str(runs[0].parent) not in text


def test_scores_point_towards_the_anomalies(slug, runs):
    values = json.loads((runs[0] / f"{slug}.results.json").read_text())["values"]
    good = {key: value["mean"] for key, value in values.items() if re.fullmatch(GOOD[slug], key)}
    assert good and all(mean > 0.6 for mean in good.values()), good
