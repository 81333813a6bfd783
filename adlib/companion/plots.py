"""The look of the book's figures and tables."""

from collections.abc import Sequence

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


def image_grid(images: np.ndarray, rows: Sequence[str], cols: Sequence[str], size: float = 1.15) -> plt.Figure:
    """Grey images (rows, cols, h, w) in [0, 1] as one figure with a name for each row and column."""
    figure, axes = plt.subplots(
        len(rows), len(cols), figsize=(size * len(cols) + 0.9, size * len(rows) + 0.5), squeeze=False,
        gridspec_kw={"wspace": 0.08, "hspace": 0.08},
    )  # fmt: skip
    for i, row in enumerate(axes):
        for j, axis in enumerate(row):
            axis.imshow(images[i, j], cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            if i == 0:
                axis.set_title(cols[j], fontsize=9)
        row[0].set_ylabel(rows[i], rotation=0, ha="right", va="center", fontsize=9)
    return figure
