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


SORT = """
const head = this.closest('th'), body = head.closest('table').tBodies[0], at = head.cellIndex;
const way = head.getAttribute('aria-sort') == 'ascending' ? -1 : 1;
for (const other of head.parentElement.cells) other.setAttribute('aria-sort', 'none');
head.setAttribute('aria-sort', way > 0 ? 'ascending' : 'descending');
const of = row => row.cells[at].dataset.value ?? row.cells[at].textContent;
const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
const last = (a, b) => (a === '') - (b === '');
const rows = [...body.rows].sort((a, b) => last(of(a), of(b)) || way * order(of(a), of(b)));
body.append(...rows)
"""
FILTER = """
const box = this.closest('.sortable'), words = this.value.toLowerCase().split(' ').filter(word => word);
const rows = [...box.querySelector('tbody').rows];
for (const row of rows) {
const text = [...row.cells].map(cell => cell.textContent).join(' ').toLowerCase();
row.hidden = !words.every(word => text.includes(word));
}
box.querySelector('output').value = rows.filter(row => !row.hidden).length + ' of ' + rows.length + ' rows'
"""
SORTABLE = """
.sortable .wide {overflow: auto; max-height: 32rem; margin-top: .5rem}
.sortable input, .sortable button {font: inherit; color: inherit; background: none}
.sortable input {border: 1px solid currentColor; padding: .1rem .3rem}
.sortable table {border-collapse: collapse; color: inherit; margin: 0}
.sortable th, .sortable td {padding: .15rem .5rem; text-align: right; background: transparent; white-space: nowrap}
.sortable th[scope=row], .sortable .words {text-align: left}
.sortable tbody tr {border-top: 1px solid rgba(128, 128, 128, .4)}
.sortable button {font-weight: bold; border: 0; padding: 0; cursor: pointer}
.sortable button::after {content: " \\2195"; content: " \\2195" / ""}
.sortable [aria-sort=ascending] button::after {content: " \\2191"; content: " \\2191" / ""}
.sortable [aria-sort=descending] button::after {content: " \\2193"; content: " \\2193" / ""}
@media print {
.sortable .wide {max-height: none; overflow: visible}
.sortable tr[hidden] {display: table-row}
.sortable label, .sortable output {display: none}
}
"""


def sortable(frame: pd.DataFrame, caption: str, decimals: Mapping[str, int] | int = 3):
    """A frame as a table that a click on a column's name sorts and a field of words filters, as HTML that needs nothing
    else. Without scripts, and in print, it is a table with all rows.

    Its first column names the row. `decimals` is for all columns of numbers, or for each; missing values are empty and
    stay last.
    """
    from IPython.display import HTML

    numbers = {name: pd.api.types.is_numeric_dtype(frame[name]) for name in frame}
    places = {name: decimals if isinstance(decimals, int) else decimals.get(name, 3) for name in frame}

    def cell(name: str, value: object) -> str:
        kind = "" if numbers[name] else ' class="words"'
        if pd.isna(value):
            return f'<td{kind} data-value=""></td>'
        if not numbers[name]:
            return f"<td{kind}>{escape(str(value))}</td>"
        return f'<td data-value="{value:.6g}">{value:,.{places[name]}f}</td>'

    head = "".join(
        f'<th scope="col" aria-sort="none"{"" if numbers[name] else " class=words"}>'
        f'<button type="button" onclick="{_inline(SORT)}">{escape(str(name))}</button></th>'
        for name in frame
    )
    first, *others = frame.columns
    body = "\n".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>{"".join(map(cell, others, row[1:]))}</tr>'
        for row in frame[[first, *others]].itertuples(index=False)
    )
    field = f'<label>Show rows with <input type="search" oninput="{_inline(FILTER)}" autocomplete="off"></label>'
    count = f'<output aria-live="polite">{len(frame)} of {len(frame)} rows</output>'
    return HTML(
        f'<div class="sortable"><style>{SORTABLE}</style>{field} {count}'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div></div>"
    )


def _inline(script: str) -> str:
    """A script as the value of an HTML attribute, on one line."""
    return escape(" ".join(script.split()))
