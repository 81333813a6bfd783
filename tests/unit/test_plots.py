"""Figures behind a slider: one shows at a time, each with its own words, and none stays open."""

import re

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from adlib.companion import plots


def drawn(height):
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, height])
    return figure


def test_stepper_shows_one_figure_at_a_time():
    before = plt.get_fignums()
    html = plots.stepper({"0.1": drawn(1), "<2>": drawn(2)}, "Radius", "A line for radius {} & more", first=1).data
    assert plt.get_fignums() == before
    images = re.findall(r"<img ([^>]*)>", html)
    assert ["hidden" in image for image in images] == [True, False]
    assert [re.search('alt="([^"]*)"', image)[1] for image in images] == [
        "A line for radius 0.1 &amp; more", "A line for radius &lt;2&gt; &amp; more",
    ]  # fmt: skip
    sources = {re.search('src="([^"]*)"', image)[1] for image in images}
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert 'max="1" value="1"' in html and "<output>&lt;2&gt;</output>" in html


def test_stepper_is_the_same_each_time():
    assert plots.stepper({"a": drawn(1)}, "x", "y").data == plots.stepper({"a": drawn(1)}, "x", "y").data


def test_spread_says_the_mean_and_of_several_the_lowest_and_the_highest():
    assert plots.spread([1.0, 4.0, 2.5], 1) == "2.5 (1.0 to 4.0)"
    assert plots.spread(np.array([0.123]), 2) == "0.12"
    assert plots.spread([], 2) == ""


def test_grey_images_are_drawn_as_ink_on_paper_and_colours_as_they_are():
    grey = np.array([0, 51, 255, 0], np.uint8).reshape(1, 1, 2, 2)
    drawn = plots.drawable(grey)
    assert drawn.shape == (1, 2, 2, 3) and (drawn == drawn[..., :1]).all()
    np.testing.assert_allclose(drawn[0, ..., 0], [[1, 0.8], [0, 1]])
    color = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    np.testing.assert_allclose(plots.drawable(color)[0, 1, 0] * 255, color[0, :, 1, 0])


def test_sortable_is_a_table_with_a_button_for_each_column():
    frame = pd.DataFrame({"method": ["<b>", "LOF"], "AUROC": [0.5, np.nan], "rows": [1234.5, 2.0], "kind": ["a", None]})
    html = plots.sortable(frame, "A caption", {"AUROC": 2, "rows": 0}).data
    assert html.count("<button type=") == 4 and html.count('aria-sort="none"') == 4
    assert "&lt;b&gt;" in html and "<b>" not in html and "<caption>A caption</caption>" in html
    assert '<td data-value="0.5">0.50</td>' in html and '<td data-value="1234.5">1,234</td>' in html
    assert html.count('data-value=""') == 2 and "nan" not in html.lower().replace("isnan", "")
    assert 'role="region" aria-label="A caption"' in html and "2 of 2 rows" in html
    assert "http" not in html and html == plots.sortable(frame, "A caption", {"AUROC": 2, "rows": 0}).data
