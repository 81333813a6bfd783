"""The look of the book's figures and tables."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

INK = {"grid.color": "#d9d9d9", "axes.edgecolor": "#666666", "figure.facecolor": "white", "savefig.facecolor": "white"}


def set_style() -> None:
    """White background, colour-blind palette, light grid; the same on light and dark pages."""
    sns.set_theme(style="whitegrid", palette="colorblind", rc={**INK, "figure.dpi": 110})


def table(frame: pd.DataFrame, decimals: int = 3):
    """A frame as a table without index column; numbers with that many decimals."""
    return frame.style.hide(axis="index").format(precision=decimals, na_rep="")


def spread(values: Iterable[float], decimals: int) -> str:
    """Mean and, of several, "(lowest to highest)"; "" of none."""
    values = np.array(list(values), float)
    if not len(values):
        return ""
    mean, low, high = (f"{value:.{decimals}f}" for value in (values.mean(), values.min(), values.max()))
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def drawable(x: np.ndarray) -> np.ndarray:
    """Images (n, c, s, s) uint8 for `image_grid`, (n, s, s, 3) in [0, 1]; grey ones as ink on paper."""
    x = x.transpose(0, 2, 3, 1) / 255
    return 1 - x.repeat(3, -1) if x.shape[-1] == 1 else x


def image_grid(
    images: np.ndarray | Sequence[np.ndarray], rows: Sequence[str], cols: Sequence[str], size: float = 1.15
) -> plt.Figure:
    """Images in [0, 1] as one figure with a name for each row and column.

    A row holds grey images (cols, h, w) or coloured ones (cols, h, w, 3); rows may differ.
    """
    figure, axes = plt.subplots(
        len(rows), len(cols), figsize=(size * len(cols) + 0.9, size * len(rows) + 0.5), squeeze=False,
        gridspec_kw={"wspace": 0.08, "hspace": 0.08},
    )  # fmt: skip
    for i, row in enumerate(axes):
        for j, axis in enumerate(row):
            axis.imshow(images[i][j], cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            if i == 0:
                axis.set_title(cols[j], fontsize=9)
        row[0].set_ylabel(rows[i], rotation=0, ha="right", va="center", fontsize=9)
    return figure


def stepper(figures: Mapping[str, plt.Figure], what: str, alt: str, first: int = 0):
    """Figures of one size behind a slider, as HTML that needs nothing else; closes them.

    The keys are what the slider shows, `what` is what it changes; `alt` describes each figure, with the key for "{}".
    In print all of them appear, one below the other.
    """
    from IPython.display import HTML

    frames = []
    for i, (key, figure) in enumerate(figures.items()):
        content = BytesIO()
        figure.savefig(content, bbox_inches="tight")
        plt.close(figure)
        source = f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"
        hidden = "" if i == first else " hidden"
        frames.append(f'<img src="{source}" alt="{escape(alt.format(key))}" data-key="{escape(key)}"{hidden}>')
    show = (
        "const frames = this.closest('.stepper').querySelectorAll('img');"
        "frames.forEach((frame, i) => frame.hidden = i != this.value);"
        "this.nextElementSibling.value = frames[this.value].dataset.key;"
        "this.setAttribute('aria-valuetext', frames[this.value].dataset.key)"
    )
    keys = list(figures)
    slider = (
        f'<label>{escape(what)} <input type="range" min="0" max="{len(keys) - 1}" value="{first}" oninput="{show}" '
        f'aria-valuetext="{escape(keys[first])}"> <output>{escape(keys[first])}</output></label>'
    )
    style = "<style>@media print {.stepper input {display: none} .stepper img[hidden] {display: block}}</style>"
    return HTML(f'<div class="stepper">{style}{slider}<br>{"".join(frames)}</div>')
