"""Every chapter of notebooks/, as a parameter of the tests here."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLUGS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]-*.py"))


def pytest_generate_tests(metafunc):
    if "slug" in metafunc.fixturenames:
        metafunc.parametrize("slug", SLUGS, scope="module")
