"""The table that sorts and filters, in a browser: by mouse and keyboard, in light and dark, on a phone."""

import pandas as pd
import pytest
from checks import axe, sideways

from adlib.companion import plots

FRAME = pd.DataFrame(
    {
        "method": ["LOF", "KDE", "DROCC", "VAE"],
        "AUROC": [0.95, 0.9, None, -1.0],
        "rows / s": [10.0, 9.0, 1000.0, 200000.0],
        "set": ["wine", "glass", "wine", "MNIST"],
        **{f"more {i}": [0.123456] * 4 for i in range(12)},
    }
)
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Table</title>
<meta name="viewport" content="width=device-width"><style>:root {{color-scheme: light dark}}</style></head>
<body><main><h1>Table</h1>{}</main></body></html>"""


COLOURS = "cell => { const style = getComputedStyle(cell); return [style.color, style.backgroundColor] }"


@pytest.fixture
def open_table(tmp_path, new_page):
    """open_table(**page settings): the table from a file, as a reader without a server opens it."""

    def open_it(**settings):
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(plots.sortable(FRAME, "All runs", 2).data), encoding="utf-8")
        page = new_page(**settings)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(path.as_uri())
        return page

    return open_it


def shown(page):
    return page.eval_on_selector_all("tbody tr:not([hidden]) th", "cells => cells.map(cell => cell.textContent)")


@pytest.mark.parametrize(
    ("column", "upwards"),
    [
        ("AUROC", ["VAE", "KDE", "LOF", "DROCC"]),  # what is missing stays last, also downwards
        ("rows / s", ["KDE", "LOF", "DROCC", "VAE"]),  # by value, not by the letters of "1,000"
        ("method", ["DROCC", "KDE", "LOF", "VAE"]),
    ],
)
def test_a_click_sorts_and_another_turns_the_order(open_table, column, upwards):
    page = open_table()
    button = page.get_by_role("button", name=column, exact=True)
    button.click()
    assert shown(page) == upwards and page.locator("th[aria-sort=ascending]").inner_text().startswith(column)
    button.click()
    last = upwards[-1:] if column == "AUROC" else []
    assert shown(page) == upwards[: len(upwards) - len(last)][::-1] + last
    assert page.locator("th[aria-sort=descending]").count() == 1 and not page.complaints


def test_words_filter_and_the_count_is_said(open_table):
    page = open_table()
    page.get_by_role("searchbox").fill("WINE lo")
    assert shown(page) == ["LOF"] and page.locator("output").inner_text() == "1 of 4 rows"
    page.get_by_role("searchbox").fill("")
    assert len(shown(page)) == 4 and not page.complaints


def test_the_keyboard_is_enough(open_table):
    page = open_table()
    for _ in range(3):  # the field, the table's window, the first column
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert shown(page) == ["DROCC", "KDE", "LOF", "VAE"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_the_table_not_the_page_and_all_can_read_it(open_table, scheme):
    page = open_table(width=360, scheme=scheme)
    assert sideways(page) + axe(page) == []
    style = page.locator("tbody td").first.evaluate(COLOURS)
    assert style == ["rgb(0, 0, 0)" if scheme == "light" else "rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"]


def test_print_shows_all_rows(open_table):
    page = open_table()
    page.get_by_role("searchbox").fill("wine")
    page.emulate_media(media="print")
    assert page.locator("tbody tr:visible").count() == 4
