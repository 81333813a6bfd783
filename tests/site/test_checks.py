"""The checkers themselves: a page with planted defects turns each of them red, and a sound page none."""

from pathlib import Path

import pytest
from checks import Server, alt_complaints, axe, broken_links, human, outside_files, sideways, stray_paths, visit

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
SOUND = f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Sound</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head>
<body><main><h1 id="top">Sound</h1><article>
<p>Text. <a href="#top">Up</a></p><img alt="A grey square drawn by hand" src="{PIXEL}">
</article></main></body></html>"""


@pytest.fixture
def open_page(tmp_path, new_page):
    """open_page(html): the page as a site of one file, opened at phone width; gives (page, complaints of the visit)."""
    with Server(tmp_path) as base:

        def open_it(html):
            (tmp_path / "page.html").write_text(html, encoding="utf-8")
            page = new_page(width=360)
            return page, visit(page, base, "page.html")

        yield open_it


def with_body(extra: str) -> str:
    return SOUND.replace("</article>", extra + "</article>")


def test_sound_page_has_no_complaints(open_page, tmp_path):
    page, complaints = open_page(SOUND)
    assert complaints + alt_complaints(page) + sideways(page) + axe(page) == []
    assert broken_links(tmp_path) + outside_files(tmp_path) + stray_paths(tmp_path, [tmp_path]) == []


@pytest.mark.parametrize(
    ("defect", "complaint"),
    [
        ("<script>console.error('oh')</script>", "console error: oh"),
        ("<script>throw new Error('oh')</script>", "page error: oh"),
        ("<script>nothing.here</script>", "page error: nothing is not defined"),
        ("<img src='missing.png' alt='A picture that is not there'>", "status 404"),
        ("<script>setTimeout(() => fetch('http://localhost:9/x').catch(() => 0), 50)</script>", "request outside"),
        ("<script>fetch('http://127.0.0.1:9/x').catch(() => 0)</script>", "failed request"),
    ],
)
def test_visit_sees(open_page, defect, complaint):
    _, complaints = open_page(with_body(defect))
    assert any(c.startswith(complaint) for c in complaints), complaints


def test_visit_sees_a_missing_page(tmp_path, new_page):
    with Server(tmp_path) as base:
        assert any("404" in c for c in visit(new_page(), base, "page.html"))


@pytest.mark.parametrize("alt", [None, "", "plot", "../_images/0123456789abcdef0123.png", "the file fig1.png is shown"])
def test_alt_text_that_nobody_wrote(open_page, alt):
    assert not human(alt)
    attribute = "" if alt is None else f"alt='{alt}'"
    page, _ = open_page(with_body(f"<img src='{PIXEL}' {attribute}>"))
    assert len(alt_complaints(page)) == 1


def test_sideways_scroll(open_page):
    page, _ = open_page(with_body("<div style='width: 500px'>wide</div>"))
    assert sideways(page) == ["the page is 148 px wider than the window"]


def test_axe_sees_pale_text(open_page):
    page, _ = open_page(with_body("<p style='color: #ccc; background: #fff'>pale</p>"))
    assert any("color-contrast" in c for c in axe(page))


@pytest.mark.parametrize("url", ["gone.html", "#gone", "page.html#gone", "../outside.html"])
def test_broken_link(tmp_path, url):
    (tmp_path.parent / "outside.html").write_text(SOUND)
    (tmp_path / "page.html").write_text(with_body(f"<a href='{url}'>there</a>"))
    assert len(broken_links(tmp_path)) == 1


@pytest.mark.parametrize("tag", ["<script src='https://cdn.example/x.js'></script>", "<img src='//cdn.example/x.png'>",
                                 "<link rel='stylesheet' href='http://cdn.example/x.css'>"])
def test_file_from_elsewhere(tmp_path, tag):
    (tmp_path / "page.html").write_text(with_body(tag))
    assert len(outside_files(tmp_path)) == 1


def test_path_of_the_build_machine(tmp_path):
    (tmp_path / "data.json").write_text('{"file": "/home/somebody/book/x.py"}')
    assert stray_paths(tmp_path, [Path("/home/somebody")]) == ["data.json: holds /home/somebody/"]
