"""Notebooks as students hand them in, good and bad, made from any master, each with the points that it must get."""

import ast
import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell

from adlib.companion import handout
from adlib.companion.assignments import CHECKS, Assignment, answers, attempt, solved


@dataclass(frozen=True)
class World:
    """What lies around the submissions: nothing of it may be reached from them."""

    folder: Path  # of the submissions
    master: Path
    outside: Path  # a file that must not appear
    port: int  # of a server that must not be called


@dataclass(frozen=True)
class Case:
    """A notebook (or the bytes of a file), its points, and words of its report."""

    notebook: Any
    points: int
    says: str = ""


Maker = Callable[[Assignment, World], Case]
EVERY: dict[str, Maker] = {}  # made from every master
MINI: dict[str, Maker] = {}  # made from the miniature alone


def every(maker: Maker) -> Maker:
    EVERY[maker.__name__] = maker
    return maker


def mini(maker: Maker) -> Maker:
    MINI[maker.__name__] = maker
    return maker


# ------------------------------------------------------------------------------------------------------ tools


def solution(master: Assignment) -> Any:
    """A student's notebook with every answer right."""
    notebook = handout.plain(master)
    for cell in master.of("solution"):
        marked(notebook, f"{cell.name}-answer").source = solved(cell.source)
    return notebook


def marked(notebook: Any, name: str) -> Any:
    """The first cell with an id."""
    return next(cell for cell in notebook.cells if cell.metadata.get("adlib", {}).get("id") == name)


def automatic(master: Assignment, question: str = "") -> int:
    """The points of checks, of a question or of all."""
    return sum(cell.points for cell in master.of(*CHECKS, question=question))


def lonely(master: Assignment) -> str:
    """A question that asks for a function which no other question uses: what befalls it costs nothing else."""
    asked = master.of("solution")
    for cell in (*asked, asked[-1]):
        others = [c for c in master.of("solution", *CHECKS) if c.question != cell.name]
        used = {node.id for c in others for node in ast.walk(ast.parse(c.source)) if isinstance(node, ast.Name)}
        if Callable in answers(cell).values() and not used & set(answers(cell)):
            return cell.name
    raise AssertionError(f"{master.slug}: every function is used by another question")


def replaced(master: Assignment, source: str, question: str = "") -> Any:
    """The solution with one answer replaced."""
    notebook = solution(master)
    marked(notebook, f"{question or lonely(master)}-answer").source = source
    return notebook


def all_do(master: Assignment, body: str, question: str = "") -> Any:
    """The solution, but each function of one answer does something else."""
    (cell,) = master.of("solution", question=question or lonely(master))
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    names = [name for name, kind in answers(cell).items() if kind is not object]
    return replaced(master, "\n\n".join(f"def {name}(*args, **kwargs):\n{indented}\n" for name in names), question)


@cache
def wrong(master: Assignment) -> tuple[str, int]:
    """A plausible wrong answer to the lonely question, and what its submission must get."""
    cell = master.of("wrong", question=lonely(master))[0]
    points = {check.name: check.points for check in master.of(*CHECKS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wrong answers divide by zero
        failed = [name for name, why in attempt(master, {cell.question: cell.source}).items() if why]
    assert failed
    return cell.source, automatic(master) - sum(points[name] for name in failed)


def without(master: Assignment, question: str = "") -> int:
    """All points but those of one question."""
    return automatic(master) - automatic(master, question or lonely(master))


# ------------------------------------------------------------------------------------------ made from every master


@every
def reference(master: Assignment, world: World) -> Case:
    return Case(solution(master), automatic(master))


@every
def blank(master: Assignment, world: World) -> Case:
    return Case(handout.plain(master), 0, "nothing is answered yet: write your code")


@every
def syntax(master: Assignment, world: World) -> Case:
    return Case(replaced(master, "def broken(:\n    return 1"), without(master), "cannot be read as Python")


@every
def loop(master: Assignment, world: World) -> Case:
    return Case(all_do(master, "while True:\n    pass"), without(master), "ran longer than")


@every
def bomb(master: Assignment, world: World) -> Case:
    body = "import numpy as np\nhoard = []\nwhile True:\n    hoard.append(np.empty(2**27))"
    return Case(all_do(master, body), without(master), "needed more than 3 GB of memory")


@every
def exits(master: Assignment, world: World) -> Case:
    return Case(all_do(master, "import os\nos._exit(0)"), without(master), "ended the Python process")


@every
def deleted_tests(master: Assignment, world: World) -> Case:
    notebook = solution(master)
    notebook.cells = [cell for cell in notebook.cells if cell.metadata.adlib.kind != "test"]
    return Case(notebook, automatic(master), "visible checks were deleted" if master.of("test") else "")


@every
def copied_cell(master: Assignment, world: World) -> Case:
    notebook = solution(master)
    cell = marked(notebook, f"{lonely(master)}-answer")
    notebook.cells.insert(notebook.cells.index(cell), copy.deepcopy(cell) | {"id": "copy"})
    return Case(notebook, automatic(master), "are its answer, run one after the other")


@every
def split_cell(master: Assignment, world: World) -> Case:
    """Split before its last statement; the second half has lost its mark, as some editors do."""
    notebook = solution(master)
    cell = marked(notebook, f"{lonely(master)}-answer")
    cell.source = "import math\n\n" + cell.source
    lines, last = cell.source.splitlines(), ast.parse(cell.source).body[-1]
    cell.source = "\n".join(lines[: last.lineno - 1])
    notebook.cells.insert(notebook.cells.index(cell) + 1, new_code_cell("\n".join(lines[last.lineno - 1 :])))
    return Case(notebook, automatic(master))


@every
def edited_tests(master: Assignment, world: World) -> Case:
    source, points = wrong(master)
    notebook = replaced(master, source)
    for cell in notebook.cells:
        if cell.metadata.adlib.kind == "test":
            cell.source = "assert True"  # the cheat that this case is about
    return Case(notebook, points, "visible checks were changed" if master.of("test") else "")


@every
def patched_allclose(master: Assignment, world: World) -> Case:
    source, points = wrong(master)
    patch = (
        "import builtins, numpy as np\n"
        "np.allclose = np.isclose = np.array_equal = lambda *args, **kwargs: True\n"
        "np.testing.assert_allclose = lambda *args, **kwargs: None\n"
        "builtins.AssertionError = type('Nothing', (Exception,), {})\n"
        "get_ipython().showtraceback = lambda *args, **kwargs: None\n"
    )
    notebook = replaced(master, f"{patch}\n{source}")
    notebook.cells.insert(0, new_code_cell(patch))
    return Case(notebook, points)


@every
def equal_to_all(master: Assignment, world: World) -> Case:
    body = (
        "class Anything:\n"
        "    def __getattr__(self, name): return Anything()\n"
        "    def __call__(self, *args, **kwargs): return True\n"
        "    def __eq__(self, other): return True\n"
        "    def __bool__(self): return True\n"
        "return Anything()"
    )
    return Case(all_do(master, body), without(master), "cannot be checked: Anything is not a number")


@every
def reads_files(master: Assignment, world: World) -> Case:
    """Looks for the solution in the master and in others' notebooks, and leaves something behind."""
    body = (
        f"from pathlib import Path\nfound = []\nhere = Path({str(world.folder)!r})\n"
        f"for place in (Path({str(world.master)!r}), here / 'reference.ipynb', Path('/proc/1/environ')):\n"
        "    try:\n        found.append(place.read_text())\n    except OSError:\n        pass\n"
        "try:\n    found += list(here.iterdir())\nexcept OSError:\n    pass\n"
        f"try:\n    Path({str(world.outside)!r}).write_text('here I was')\n    found.append('written')\n"
        "except OSError:\n    pass\n"
        "Path('mine.txt').write_text('this folder is mine')\n"
        "raise LookupError(f'found {len(found)}')"
    )
    return Case(all_do(master, body), without(master), "raised LookupError: found 0")


@every
def opens_socket(master: Assignment, world: World) -> Case:
    body = (
        "import socket\nfound = 0\n"
        f"for place in (('127.0.0.1', {world.port}), ('1.1.1.1', 53), ('pypi.org', 443)):\n"
        "    try:\n        socket.create_connection(place, 1).sendall(b'help')\n        found += 1\n"
        "    except OSError:\n        pass\n"
        "raise LookupError(f'{found} servers')"
    )
    return Case(all_do(master, body), without(master), "raised LookupError: 0 servers")


# -------------------------------------------------------------------------------------- made from the miniature alone


@mini
def cell_loops(master: Assignment, world: World) -> Case:
    """It takes no interruption, so its process must be killed and started again."""
    source = "while True:\n    try:\n        sum(range(1000))\n    except BaseException:\n        pass"
    return Case(replaced(master, source, "q2"), 6, "q2 ran longer than")


@mini
def cell_hoards(master: Assignment, world: World) -> Case:
    return Case(replaced(master, "import torch\nx = torch.empty(10**9)", "q1"), 5, "q1 needed more than 3 GB of memory")


@mini
def cell_exits(master: Assignment, world: World) -> Case:
    return Case(replaced(master, "import os\nos._exit(1)", "q2"), 6, "q2 ended the Python process")


@mini
def crashes(master: Assignment, world: World) -> Case:
    source = "import ctypes\nctypes.string_at(0)"
    return Case(replaced(master, source, "q2"), 6, "perhaps for lack of memory")


@mini
def system_exit(master: Assignment, world: World) -> Case:
    return Case(replaced(master, "import sys\nsys.exit(0)", "q2"), 6, "q2 raised SystemExit")


@mini
def asks(master: Assignment, world: World) -> Case:
    return Case(replaced(master, "twice = int(input('? '))", "q3"), 7, "q3 raised RuntimeError: input() waits")


@mini
def no_marks(master: Assignment, world: World) -> Case:
    """A tool has thrown all metadata away, and the student has put the student's name in."""
    notebook = solution(master)
    for cell in notebook.cells:
        cell.metadata = {}
        cell.source = cell.source.replace('"anonymous"', '"no_marks"')
    notebook.metadata = {}
    return Case(notebook, 9, "q2: the answer is cell")


@mini
def other_cell(master: Assignment, world: World) -> Case:
    """Answers stand in a cell of the student's own, above the blank one, and in place of a visible check."""
    notebook = handout.plain(master)
    sources = {cell.name: solved(cell.source) for cell in master.of("solution")}
    place = notebook.cells.index(marked(notebook, "q1-answer"))
    notebook.cells.insert(place, new_code_cell(sources["q1"]))
    marked(notebook, "q2-sum").source = sources["q2"]
    return Case(notebook, 7, "q2: the answer is cell")


@mini
def turned_to_text(master: Assignment, world: World) -> Case:
    notebook = solution(master)
    place = notebook.cells.index(marked(notebook, "q1-answer"))
    cell = notebook.cells[place]
    notebook.cells[place] = new_markdown_cell(cell.source, metadata=cell.metadata)
    return Case(notebook, 5, "was turned into text")


@mini
def later_cell(master: Assignment, world: World) -> Case:
    """What is defined after a question has been checked does it no harm; a cell that fails costs nothing."""
    notebook = solution(master)
    notebook.cells += [new_code_cell("squares = softmax = None"), new_code_cell("1 / 0")]
    return Case(notebook, 9, "raised ZeroDivisionError")


@mini
def prints(master: Assignment, world: World) -> Case:
    notebook = solution(master)
    notebook.cells.insert(0, new_code_cell("print('x' * 10**8)\nimport sys\nsys.stderr.write('y' * 10**7)"))
    return Case(notebook, 9)


@mini
def too_large(master: Assignment, world: World) -> Case:
    source = "import numpy as np\ndef squares(x):\n    return np.zeros(10**7)\ndef count(x):\n    return x.size"
    return Case(replaced(master, source, "q1"), 6, "it is larger than 50 MB")


@mini
def lies(master: Assignment, world: World) -> Case:
    """Objects that convert to whatever is expected of them, and arrays of objects."""
    source = (
        "import numpy as np\n"
        "class Liar(np.ndarray):\n"
        "    def __eq__(self, other): return np.True_\n"
        "    def __array_function__(self, *args): return True\n"
        "def squares(x):\n    return np.zeros(x.shape).view(Liar)\n"
        "class One(int):\n"
        "    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "def count(x):\n    return One(1)\n"
    )
    return Case(replaced(master, source, "q1"), 5, "One is not a number")


@mini
def forged(master: Assignment, world: World) -> Case:
    """Writes replies of its own making to every file that is open."""
    source = (
        "def squares(x):\n"
        "    import json, os, struct, sys\n"
        "    frame = sys._getframe()\n"
        "    while 'request' not in frame.f_locals:\n        frame = frame.f_back\n"
        "    number = frame.f_locals['request']['number']\n"
        "    message = json.dumps({'value': {'array': 'AAAA'}, 'error': 5, 'number': number}).encode()\n"
        "    for number in range(3, 64):\n"
        "        try:\n            os.write(number, struct.pack('Q', len(message)) + message)\n"
        "        except OSError:\n            pass\n"
        "    return 0\n"
        "def count(x):\n    return 0\n"
    )
    return Case(replaced(master, source, "q1"), 5)


@mini
def half_an_emoji(master: Assignment, world: World) -> Case:
    """Text that is no Unicode, in an error and in a written answer."""
    notebook = all_do(master, "raise ValueError('\\ud83d')", "q1")
    marked(notebook, "q4-answer").source = "It is \ud83d fine."
    return Case(notebook, 5, "raised ValueError: ?")


@mini
def leaves_child(master: Assignment, world: World) -> Case:
    """A child in a session of its own that would go on for a day."""
    notebook = solution(master)
    child = "import subprocess\nsubprocess.Popen(['sleep', '86399.125'], start_new_session=True)"
    notebook.cells.insert(0, new_code_cell(child))
    return Case(notebook, 9)


@mini
def copied_notebook(master: Assignment, world: World) -> Case:
    """Another student's notebook, whose number was typed: it fits that student's variant alone."""
    from adlib.companion.assignments import variant

    number = 2 * int(variant(master.slug, "ada").integers(3, 10**6))
    notebook = replaced(master, f"twice = {number}", "q3")
    marked(notebook, "setup-01").source = 'student: str = "ada"  # your name or number'
    return Case(notebook, 7, "was worked out as 'ada'")


@mini
def odd_shapes(master: Assignment, world: World) -> Case:
    source = "def squares(x):\n    return [1, 2, 3]\ndef count(x):\n    return [[1], [2, 3]]"
    return Case(replaced(master, source, "q1"), 5)


@mini
def misfit(master: Assignment, world: World) -> Case:
    source = "def softmax(scores):\n    return ['no', 'number']"
    return Case(replaced(master, source, "q2"), 6, "the check could not use your answer: `softmax` returns a list of")


@mini
def answered_in_words(master: Assignment, world: World) -> Case:
    notebook = solution(master)
    marked(notebook, "q4-answer").source += "\n\nBecause <b>large</b> powers overflow."
    notebook.cells += [new_markdown_cell("And a second thought.")]
    return Case(notebook, 9, "> Because <b>large</b> powers overflow.\n>\n> And a second thought.")


@mini
def damaged(master: Assignment, world: World) -> Case:
    return Case(json.dumps(solution(master)).encode()[:-200], 0, "is not a notebook, or was damaged on its way")


@mini
def deep(master: Assignment, world: World) -> Case:
    return Case(b"[" * 10**6, 0, "is not a notebook")


@mini
def empty(master: Assignment, world: World) -> Case:
    return Case(b"", 0, "is empty")


@mini
def no_cells(master: Assignment, world: World) -> Case:
    return Case(b'{"cells": 3}', 0, "is not a notebook")


@mini
def picture(master: Assignment, world: World) -> Case:
    return Case(b"\x89PNG\r\n\x1a\n\xff\xfe", 0, "is not a notebook")


@mini
def essay(master: Assignment, world: World) -> Case:
    """Of no assignment that we have."""
    notebook = solution(master)
    notebook.metadata.adlib.assignment = "99-essay"
    notebook.cells = [new_code_cell("x = 1")]
    return Case(notebook, 0, "is of the assignment '99-essay'")
