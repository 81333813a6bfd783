"""Whether a text that students can read holds what they must not: solutions, hidden checks, wrong answers, rubrics.

Lines are compared by their letters and digits alone, so that markup, indentation, quotes and line breaks hide nothing.
"""

import ast
import html
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .assignments import Assignment, solved, stub

SHORTEST = 24  # letters and digits of a line that stands for its secret
TEXT = {".html", ".js", ".json", ".ipynb", ".txt", ".md", ".py", ".rst", ".csv", ".yml", ".xml", ".inv", ".css", ".svg"}
SOLUTION = re.compile(r"# BEGIN SOLUTION\n(.*?)# END SOLUTION", re.DOTALL)
BLOB = re.compile(r"[A-Za-z0-9+/=]{300,}")  # an image as base64


def secrets(assignments: Iterable[Assignment], also_open: str = "") -> dict[str, str]:
    """{squashed line: where it stands}, for lines long enough to mean something that stand in no visible cell.

    `also_open` is text that students may read anyway, such as the package's source.
    """
    assignments = list(assignments)
    kinds = ("text", "setup", "question", "test", "show", "manual")
    visible = [cell.source for a in assignments for cell in a.of(*kinds)]
    visible += [stub(cell.source) for a in assignments for cell in a.of("solution")]
    shown = squash("\n".join([also_open, *(_both_ways(source) for source in visible)]))
    found: dict[str, str] = {}
    for a in assignments:
        for cell in a.of("solution", "hidden", "wrong", "rubric"):
            bodies = SOLUTION.findall(cell.source) if cell.kind == "solution" else []  # whole: its lines may be short
            for line in [*_both_ways(solved(cell.source)).splitlines(), *bodies]:
                key = squash(line)
                if len(key) >= SHORTEST and key not in shown:
                    found.setdefault(key, f"{a.slug}, {cell.kind} {cell.name}: {line.strip()}")
    return found


def _both_ways(source: str) -> str:
    """Code as written, and as Python would write it, which is what Otter does; text as it is."""
    try:
        return f"{source}\n{ast.unparse(ast.parse(source))}"
    except SyntaxError:
        return source


def squash(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return re.sub(r"[\W_]+", "", text).lower()


def leaks(paths: Iterable[Path], wanted: dict[str, str]) -> list[str]:
    """One sentence for each secret in a file; zip files are looked into."""
    return [
        f"{name} holds {what}"
        for path in paths
        for name, content in _contents(str(path), path.read_bytes())
        for text in [squash(_text(name, content))]
        for key, what in wanted.items()
        if key in text
    ]


def _contents(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    if Path(name).suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for inner in archive.namelist():
                yield from _contents(f"{name}/{inner}", archive.read(inner))
    elif Path(name).suffix in TEXT:
        yield name, content


def _text(name: str, content: bytes) -> str:
    text = content.decode("utf-8", errors="replace")
    if Path(name).suffix in (".json", ".ipynb"):
        text = "\n".join(_strings(json.loads(text)))
    text = BLOB.sub(" ", text)
    if Path(name).suffix == ".html":
        text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return text


def _strings(value: Any) -> Iterator[str]:
    """All strings of a JSON value; a list of strings, as a cell's source is stored, is one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield "".join(value)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
