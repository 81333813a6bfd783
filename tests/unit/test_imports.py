"""The static scan of imports, on a small package and on adlib itself."""

from pathlib import Path

import pytest

from adlib.companion.imports import closure

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "adlib/__init__.py": "if TYPE_CHECKING:\n    from .a import A, make\n    from .b import B as Bee\n",
    "adlib/a.py": "from . import nets\nfrom .nets import net\n",
    "adlib/b.py": "def f():\n    from adlib.lazy import late\n",
    "adlib/lazy.py": "",
    "adlib/nets.py": "import torch\nimport adlibrary\n",
    "adlib/sub/__init__.py": "",
    "adlib/sub/deep.py": "from ..nets import net\nfrom .twin import x\n",
    "adlib/sub/twin.py": "from . import deep\n",  # a circle
}


@pytest.mark.parametrize(
    "statement, found",
    [
        ("import numpy", ""),
        ("import adlib.lazy as l, os", "lazy"),
        ("from adlib.lazy import late", "lazy"),
        ("from adlib import lazy", "lazy"),
        ("from adlib import A", "a nets"),
        ("from adlib import make as m", "a nets"),
        ("from adlib import Bee", "b lazy"),
        ("def f():\n    import adlib.b", "b lazy"),
        ("from adlib.sub import deep", "nets sub/deep sub/twin"),
        ("import adlib.sub.deep", "nets sub/deep sub/twin"),
        ("from adlib import METHODS", "__init__ a b lazy nets"),
        ("from adlib import *", "__init__ a b lazy nets"),
        ("import adlib", "__init__ a b lazy nets"),
        ("from adlibrary import A", ""),
    ],
)  # fmt: skip
def test_closure(tmp_path, statement, found):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    script = tmp_path / "script.py"
    script.write_text(statement + "\n")
    assert closure(script, tmp_path) == [f"adlib/{name}.py" for name in found.split()]


@pytest.mark.parametrize("module", ["recorded", "papers"])
def test_what_chapters_read_from_brings_in_no_method(tmp_path, module):
    script = tmp_path / "script.py"
    script.write_text(f"from adlib.companion import {module}\n")
    assert closure(script, ROOT) == [f"adlib/companion/{module}.py"]


def test_canaries_depend_on_every_method():
    found = closure(ROOT / "adlib/companion/sweep.py", ROOT)
    assert {"adlib/geom.py", "adlib/svdd.py", "adlib/shallow.py"} <= set(found)


def test_one_method_does_not_bring_in_the_others(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from adlib import GEOM\n")
    found = closure(script, ROOT)
    assert {"adlib/detector.py", "adlib/geom.py", "adlib/nets.py"} <= set(found)
    assert not {"adlib/__init__.py", "adlib/svdd.py", "adlib/shallow.py"} & set(found)
