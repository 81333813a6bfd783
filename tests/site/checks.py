"""What must hold for a page or a whole site: each function returns a list of complaints, empty when all is well."""

import re
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlsplit

from axe_playwright_python.sync_playwright import Axe

SETTLE_MS = 300  # late requests, such as the one for a missing favicon, come after the load event


# --- serving and opening --------------------------------------------------------------------------------------------


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Server:
    """Serves a folder on loopback; `with Server(folder) as base` gives the address, which ends in a slash."""

    def __init__(self, folder: Path):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
        self.thread = Thread(target=self.http.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.http.server_port}/"

    def __exit__(self, *exc):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@dataclass
class Watch:
    """Collects what goes wrong in a page from now on."""

    base: str
    complaints: list[str] = field(default_factory=list)

    def attach(self, page):
        page.on("console", lambda m: m.type == "error" and self.complaints.append(f"console error: {m.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("requestfailed", lambda r: self.complaints.append(f"failed request: {r.url}"))
        page.on("response", lambda r: r.status >= 400 and self.complaints.append(f"status {r.status}: {r.url}"))
        page.on("request", self.request)

    def request(self, request):
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.complaints.append(f"request outside: {request.url}")


def visit(page, base: str, path: str) -> list[str]:
    """Open base + path; everything that Chromium complains about until the page has settled."""
    watch = Watch(base)
    watch.attach(page)
    response = page.goto(base + path, wait_until="load")
    page.wait_for_timeout(SETTLE_MS)
    wrong = base.startswith("http") and response.status != 200
    return watch.complaints + ([f"status {response.status} for {path}"] if wrong else [])


# --- one open page --------------------------------------------------------------------------------------------------


def alt_complaints(page) -> list[str]:
    """Images of the article whose alternative text a person did not write: none, a file's name, or a word or two."""
    both = "all => all.map(image => [image.getAttribute('src'), image.getAttribute('alt')])"
    images = page.eval_on_selector_all("article img", both)
    return [f"image {src}: alt text {alt!r}" for src, alt in images if not human(alt)]


def human(alt: str | None) -> bool:
    words = (alt or "").split()
    return len(words) >= 4 and not re.search(r"[\\/]|\.(png|svg|jpe?g)\b|[0-9a-f]{16}", alt)


def sideways(page) -> list[str]:
    """The page as a whole must not scroll sideways; boxes inside it may."""
    wide = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
    return [f"the page is {wide} px wider than the window"] if wide > 0 else []


def axe(page) -> list[str]:
    """axe-core's violations: WCAG A and AA, and best practices."""
    found = Axe().run(page).response["violations"]
    return [f"{v['impact']} {v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]


# --- the files of a site --------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The ids of a page, its links, and the files it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.ids, self.links, self.loads = path, set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids |= {a[key] for key in ("id", "name") if a.get(key)}
        if tag in ("a", "link") and a.get("href") is not None:
            (self.links if tag == "a" else self.loads).append(a["href"])
        if a.get("src") is not None:
            self.loads.append(a["src"])


def read_pages(site: Path) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}


def broken_links(site: Path) -> list[str]:
    """Internal links, files and #anchors that lead nowhere."""
    pages, complaints = read_pages(site), []
    for page in pages.values():
        for url in page.links + page.loads:
            if urlsplit(url).scheme or url.startswith("//"):
                continue
            address, anchor = urldefrag(url)
            file = unquote(urlsplit(address).path)
            target = (page.path.parent / file).resolve() if file else page.path.resolve()
            if target.is_dir():
                target /= "index.html"
            if not target.is_file() or not target.is_relative_to(site.resolve()):
                complaints.append(f"{page.path.relative_to(site)}: {url} does not exist")
            elif anchor and target in pages and unquote(anchor) not in pages[target].ids:
                complaints.append(f"{page.path.relative_to(site)}: {url} has no such anchor")
    return complaints


def outside_files(site: Path) -> list[str]:
    """Scripts, styles, images and frames that a page would load from elsewhere."""
    return [f"{page.path.relative_to(site)}: loads {url}" for page in read_pages(site).values() for url in page.loads
            if urlsplit(url).scheme in ("http", "https") or url.startswith("//")]


def stray_paths(site: Path, folders: list[Path]) -> list[str]:
    """Paths of the machine that built the site, in any of its files."""
    needles = [f"{folder}/".encode() for folder in folders if len(folder.parts) > 1]
    return [f"{file.relative_to(site)}: holds {needle.decode()}" for file in sorted(site.rglob("*")) if file.is_file()
            for content in [file.read_bytes()] for needle in needles if needle in content]
