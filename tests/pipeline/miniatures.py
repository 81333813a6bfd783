"""Miniature chapters, one for each way in which a chapter can end; each takes about two seconds."""

from pathlib import Path

import jupytext

HEAD = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""
PARAMETERS = """# %% tags=["parameters"]
value: int = 1  # any number
threads: int = 1  # torch threads
device: str = "cpu"  # cpu, cuda or auto

"""
MODEL = """# %%
from types import SimpleNamespace

from adlib.companion import params, receipt
from adlib.companion.params import ChapterParams


class Params(ChapterParams):
    value: int


params._set_up_torch = lambda threads, device: device  # torch would take longer than all the rest
P = Params.from_notebook(globals())

"""
LAST = """# %% tags=["remove-cell"]
ds = SimpleNamespace(label="none", exact=True, fingerprint="0")
receipt.record("{slug}", P, ds, {{"answer": [float(P.value)]}})
"""
CELLS = {
    "ok": "print('one'); print(object())",
    "raises": "raise ValueError('this chapter\\nis broken')",
    "sleeps": "import time; time.sleep(60)",
    "dies": "import os; os._exit(1)",
    "warns": "import warnings; warnings.warn('mind the step')",
}


def source(slug: str, cell: str = CELLS["ok"], head: str = PARAMETERS, last: str = LAST) -> str:
    """The percent script of a chapter: parameters, model, `cell`, receipt."""
    return f"{HEAD}{head}{MODEL}# %%\n{cell}\n\n{last.format(slug=slug)}"


def write(folder: Path, slug: str, text: str) -> None:
    """Writes the pair NN-slug.py and NN-slug.ipynb."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{slug}.py").write_text(text)
    jupytext.write(jupytext.reads(text, fmt="py:percent"), folder / f"{slug}.ipynb")
