"""The built site in a real browser: every page of _toc.yml, light and dark, desktop and phone, http and file."""

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from checks import alt_complaints, axe, broken_links, outside_files, read_pages, sideways, stray_paths, visit
from conftest import ROOT

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *[chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]]
CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_clean_and_accessible(base, new_page, name, scheme):
    page = new_page(scheme=scheme)
    assert visit(page, base, f"{name}.html") == []
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert axe(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_page_on_a_phone(base, new_page, name):
    page = new_page(width=360)
    assert visit(page, base, f"{name}.html") == []
    assert sideways(page) == []
    assert alt_complaints(page) == []
    assert axe(page) == []


def test_every_page_opens_from_a_file(site, new_page):
    page = new_page()
    for name in [*PAGES, "search"]:
        assert visit(page, "file://", f"{site.resolve()}/{name}.html") == [], name


def test_address_of_the_site_leads_to_the_landing_page(base, new_page):
    page = new_page()
    assert visit(page, base, "") == []
    page.wait_for_url(f"{base}{TOC['root']}.html")


def test_a_slider_shows_another_figure(base, new_page):
    page = new_page(width=360)
    assert visit(page, base, "notebooks/04-drocc-sine.html") == []
    frames, slider = page.locator(".stepper img"), page.locator(".stepper input")
    before = [frame.is_visible() for frame in frames.all()]
    slider.focus()
    page.keyboard.press("ArrowRight")
    after = [frame.is_visible() for frame in frames.all()]
    assert sum(before) == sum(after) == 1 and after.index(True) == before.index(True) + 1
    shown = frames.nth(after.index(True)).get_attribute("data-key")
    assert page.locator(".stepper output").text_content() == shown == slider.get_attribute("aria-valuetext")


@pytest.mark.parametrize("way", ["http", "file"])
def test_search_finds_dirichlet(base, site, new_page, way):
    page = new_page()
    address = base if way == "http" else f"file://{site.resolve()}/"
    assert visit(page, address, "search.html?q=Dirichlet") == []
    page.wait_for_selector("#search-results li a")
    page.wait_for_function("!document.querySelector('#search-results p').textContent.startsWith('Searching')")
    found = page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.getAttribute('href'))")
    assert any("01-geom-intuition" in href for href in found), found


def test_theme_switch_changes_the_colours(base, new_page):
    page = new_page(scheme="light")
    visit(page, base, f"{TOC['root']}.html")
    seen = set()
    for _ in range(3):  # light, dark, auto, in some order
        page.locator("button.theme-switch-button").first.click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        seen.add((theme, page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert {theme for theme, _ in seen} == {"light", "dark"}
    assert len({colour for _, colour in seen}) == 2


def test_print_shows_the_article_alone(base, new_page):
    page = new_page()
    visit(page, base, f"{CHAPTERS[0]}.html")
    page.emulate_media(media="print")
    sidebars = (".bd-sidebar-primary", ".bd-sidebar-secondary")
    for hidden in (*sidebars, ".bd-header-article", ".prev-next-footer", ".chapter-files"):
        for element in page.locator(hidden).all():
            assert not element.is_visible(), hidden
    assert page.locator("article h1").first.is_visible()


def test_formulas_are_drawn(base, new_page):
    page = new_page()
    visit(page, base, "book/protocol.html")
    page.wait_for_selector("mjx-container svg")


@pytest.mark.parametrize("name", CHAPTERS)
def test_downloads_of_a_chapter(site, name):
    (line,) = re.findall(r'<p class="chapter-files">Download: (.*?)</p>', (site / f"{name}.html").read_text("utf-8"))
    links = re.findall(r'<a href="([^"]*)" download="([^"]*)">', line)
    files = [((site / name).parent / href).resolve() for href, _ in links]
    slug = Path(name).name
    assert [saved for _, saved in links] == [f"{slug}.clean.ipynb", f"{slug}.ipynb", f"{slug}.results.json"]
    clean, executed = (nbformat.read(file, as_version=4) for file in files[:2])
    for notebook in (clean, executed):
        nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in clean.cells)
    assert any(cell.get("outputs") for cell in executed.cells)
    assert sources(clean) == sources(nbformat.read(ROOT / f"{name}.ipynb", as_version=4))
    assert json.loads(files[2].read_text("utf-8"))["chapter"] == slug


def sources(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_notebook_links_are_saved_not_shown(site):
    for page in read_pages(site).values():
        html = page.path.read_text("utf-8")
        for tag in re.findall(r"<a [^>]*>", html):
            href = re.search(r'href="([^"]*)"', tag)
            if href and not urlsplit(href[1]).scheme and unquote(href[1]).endswith(".ipynb"):
                assert " download" in tag, f"{page.path.relative_to(site)}: {tag}"


def test_links_and_anchors_resolve(site):
    assert broken_links(site) == []


def test_nothing_is_loaded_from_elsewhere(site):
    assert outside_files(site) == []


def test_no_path_of_the_build_machine(site):
    assert stray_paths(site, [ROOT, Path.home(), Path(sys.prefix)]) == []


def test_every_published_page_is_in_the_toc(site):
    """A page that was taken out of _toc.yml must not stay in the site."""
    made_by_sphinx = {"index", "search", "genindex", "py-modindex"}
    published = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {page for page in published if not page.startswith("_modules/")} - made_by_sphinx == set(PAGES)
