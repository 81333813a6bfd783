"""From chapters to the site: run_chapter -> claims -> pages -> stage -> site. `make book` calls it through tools/pipeline.py.

`rule all` asks for the outputs of every rule: else a failed chapter would pass for an intermediate file that nobody needs.
"""

import math
import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from adlib import data
from adlib.companion.imports import closure

PACKAGES = ("torch", "numpy", "scikit-learn", "matplotlib", "seaborn", "pandas")
VERSIONS = " ".join(f"{name}={version(name)}" for name in PACKAGES)
RUN = "build/runs/{profile}/{slug}"
CHAPTERS = sorted(path.stem for path in Path("notebooks").glob("[0-9][0-9]-*.ipynb"))
BOOK = [f"build/runs/book/{slug}" for slug in CHAPTERS]
PAGES = ["build/pages/scoreboard.md", "build/pages/status.md"]
MASTERS = sorted(map(str, Path("notebooks/assignments").glob("*.py")))
SWEEPS = sorted(map(str, Path("results/sweeps").glob("*.yml")))
RECORDED = sorted(map(str, Path("results/recorded").glob("*.jsonl")))


def code(module):
    """A companion module that a rule runs, and the adlib modules it imports."""
    path = f"adlib/companion/{module}.py"
    return [path, *closure(path)]


def tree(*folders):
    """All files below the folders."""
    paths = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    return sorted(str(path) for path in paths if "__pycache__" not in path.parts)


def preset(w):
    """[the preset of this chapter and profile], [] when the chapter's own defaults are meant."""
    path = f"notebooks/presets/{w.profile}/{w.slug}.yml"
    return [path] if os.path.exists(path) else []


def kept(w):
    """What a chapter may read besides data: sweeps and recorded lines with its values or those of a chapter whose values
    it asks for; the papers' tables, if it does."""
    asked = re.findall(r'recorded\.values\("([\w-]+)"\)', Path(f"notebooks/{w.slug}.py").read_text(encoding="utf-8"))
    texts = {path: Path(path).read_text(encoding="utf-8") for path in SWEEPS + RECORDED}
    found = [path for path, text in texts.items() if any(f"{slug}/" in text for slug in {w.slug, *asked})]
    papers = "adlib/companion/papers.py" in closure(f"notebooks/{w.slug}.py")
    return found + (tree("adlib/companion/tables") if papers else [])


def fingerprints(files):
    """Name and fingerprint of each data set that the files mention."""
    words = {word for path in files for word in re.findall(r"[\w/]+", Path(path).read_text(encoding="utf-8"))}
    return " ".join(f"{name}={fingerprint(name)}" for name in data.NAMES if name in words)


def fingerprint(name):
    try:
        return data.fingerprint(name)
    except data.DataError as error:  # its reader says so too, in its own run
        return str(error)


@cache
def missing_batches(name):
    """{first key: keys} of the sweep's points that are not recorded yet, in at most 60 batches of about equal size.

    Many points are short ones, and a process needs seconds to start.
    """
    command = [sys.executable, "-m", "adlib.companion.sweep", "keys", name]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        raise WorkflowError(f"sweep {name}: cannot tell which points are missing")
    keys = answer.stdout.split()
    size = math.ceil(len(keys) / 60) or 1
    return {keys[i]: keys[i : i + size] for i in range(0, len(keys), size)}


wildcard_constraints:
    slug="[0-9]{2}-[a-z0-9-]+",
    profile="[a-z]+",
    name="[a-z0-9-]+",
    key="[0-9a-f]+",


rule all:
    input:
        expand("{run}{suffix}", run=BOOK, suffix=[".ipynb", ".results.json", ".run.json"]),
        "build/canaries.json",
        "build/claims.json",
        PAGES,
        "build/handouts",
        "build/stage",
        "build/site",


rule run_chapter:
    input:
        notebook="notebooks/{slug}.ipynb",
        modules=lambda w: closure(f"notebooks/{w.slug}.py"),
        preset=preset,
        kept=kept,
        tools=[f"adlib/companion/{name}.py" for name in ("run", "canonical", "receipt")],
    output:
        RUN + ".ipynb",
        RUN + ".results.json",
        RUN + ".run.json",
    log:
        "build/log/{profile}/{slug}.txt",  # beside it, RUN.partial.ipynb and RUN.log stay after a failure
    params:
        versions=VERSIONS,
        data=lambda w: fingerprints([f"notebooks/{w.slug}.py"]),
    shell:
        "exec python -m adlib.companion.run {wildcards.slug} --profile {wildcards.profile} > {log} 2>&1"


rule canaries:
    input:
        code("sweep"),
        SWEEPS,
        RECORDED,
    output:
        "build/canaries.json",
    log:
        "build/log/canaries.txt",
    params:
        versions=VERSIONS,
        data=fingerprints(SWEEPS),
    shell:
        "exec python -m adlib.companion.sweep canaries {output} > {log} 2>&1"


rule claims:
    input:
        code("claims"),
        SWEEPS,
        RECORDED,
        registry="adlib/companion/claims.yml",
        canaries="build/canaries.json",
        results=expand("{run}.results.json", run=BOOK),
    output:
        "build/claims.json",
    log:
        "build/log/claims.txt",
    shell:
        "exec python -m adlib.companion.claims compute --canaries {input.canaries} --out {output} > {log} 2>&1"


rule pages:
    input:
        code("pages"),
        claims="build/claims.json",
        runs=expand("{run}.run.json", run=BOOK),
    output:
        PAGES,
    log:
        "build/log/pages.txt",
    shell:
        """
        {{ python -m adlib.companion.pages scoreboard --claims {input.claims} --out {output[0]}
        python -m adlib.companion.pages status --runs build/runs/book --out {output[1]}; }} > {log} 2>&1
        """


rule handouts:
    input:
        code("handout"),
        MASTERS,
    output:
        directory("build/handouts"),  # the students' notebooks, and what the table of assignments shows
    log:
        "build/log/handouts.txt",
    shell:
        "exec python -m adlib.companion.handout {output} > {log} 2>&1"


rule stage:
    input:
        "adlib/companion/stage.py",
        "build/handouts",
        "_config.yml",
        "_toc.yml",
        PAGES,
        tree("book"),
        [f"notebooks/{slug}.ipynb" for slug in CHAPTERS],
        expand("{run}{suffix}", run=BOOK, suffix=[".ipynb", ".results.json"]),
        claims="build/claims.json",
    output:
        directory("build/stage"),
    log:
        "build/log/stage.txt",
    shell:
        """
        {{ python -m adlib.companion.stage --runs build/runs/book --pages build/pages --handouts build/handouts \
            --claims {input.claims} --out {output}
        jupyter-book config sphinx {output}; }} > {log} 2>&1
        """


rule site:
    input:
        "build/stage",
        tree("adlib"),  # the API page quotes the docstrings
    output:
        update(directory("build/site")),  # the last good site stays when this one fails
    log:
        "build/log/site.txt",
    params:
        repository=os.environ.get("ADLIB_REPOSITORY_URL", ""),
        branch=os.environ.get("ADLIB_REPOSITORY_BRANCH", ""),
    shell:
        """
        rm -rf build/site-new build/doctrees
        export PYTHONPATH="build/stage/book/_ext:${{PYTHONPATH:-}}"  # conf.py names the extension but not its folder
        sphinx-build -q -b html -n -W --keep-going -d build/doctrees build/stage build/site-new > {log} 2>&1 \
            || {{ grep -m1 -E 'WARNING|ERROR' {log} > {log}.first && cat {log}.first >> {log}; exit 1; }}
        rm -rf build/site
        mv build/site-new build/site
        """


rule sweep_points:
    input:
        code("sweep"),
        "results/sweeps/{name}.yml",
    output:
        touch("build/sweeps/{name}/{key}.batch"),  # beside it, KEY.json for each point, which outlive a batch cut short
    log:
        "build/log/sweeps/{name}/{key}.txt",
    params:
        versions=VERSIONS,
        points=lambda w: missing_batches(w.name)[w.key],
    shell:
        "exec python -m adlib.companion.sweep points {wildcards.name} build/sweeps/{wildcards.name} {params.points} "
        "> {log} 2>&1"


rule sweep:
    input:
        lambda w: [f"build/sweeps/{w.name}/{key}.batch" for key in missing_batches(w.name)],
    output:
        touch("build/sweeps/{name}/done"),
    log:
        "build/log/sweeps/{name}.txt",
    shell:
        """
        [ -z '{input}' ] \
            || python -m adlib.companion.sweep append {wildcards.name} build/sweeps/{wildcards.name} > {log} 2>&1
        """
