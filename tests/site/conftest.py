"""The built site, served on loopback, and a Chromium to open it. Run these tests in a pytest process of their own."""

import os
import shutil
from pathlib import Path

import pytest
from checks import Server
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("ADLIB_SITE", ROOT / "build/site"))


def missing(sentence: str):
    """Skip with the sentence, or fail where CI says that nothing may be missing."""
    if os.environ.get("ADLIB_REQUIRE_SITE") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)  # `make test` comes before or without `make book`, and Chromium is not everywhere


@pytest.fixture(scope="session")
def site():
    if not (SITE / "index.html").is_file():
        missing(f"{SITE} holds no site: run `make book` first")
    return SITE


@pytest.fixture(scope="session")
def base(site):
    with Server(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        # Chromium refuses to run as root inside its sandbox; its own housekeeping would show up as outside requests.
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """new_page(width=..., scheme="light"): a page in a fresh context, so that no theme choice is remembered."""
    contexts = []

    def make(width=1280, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()
