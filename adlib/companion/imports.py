"""Which modules of adlib a script imports, found without running it: they are inputs of the chapter in the pipeline."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "adlib"


def closure(script: str | Path, root: str | Path = ".") -> list[str]:
    """Sorted paths, relative to `root`, of the adlib modules that `script` (.py) imports, directly or through another.

    `from adlib import DROCC` means the module that `adlib/__init__.py` takes DROCC from, not the whole package.
    """
    root, found, todo = Path(root), set(), [Path(script)]
    while todo:
        new = set(_imported(todo.pop(), root)) - found
        found |= new
        todo += new
    return sorted(path.relative_to(root).as_posix() for path in found)


def _imported(path: Path, root: Path) -> Iterator[Path]:
    """The adlib files named by the import statements of one file, wherever in it they stand."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE]
            yield from (file for module in modules if (file := _file(module, root)))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, root)
            if base.split(".")[0] == PACKAGE:
                yield from (file for alias in node.names if (file := _home(base, alias.name, root)))


def _absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    """The dotted name after `from`, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    parent = path.relative_to(root).parts[: -node.level]
    return ".".join([*parent, *([node.module] if node.module else [])])


def _home(base: str, name: str, root: Path) -> Path | None:
    """The file behind `from base import name`."""
    if submodule := _file(f"{base}.{name}", root):
        return submodule
    if base == PACKAGE and name in (exports := _exports(root)):
        return exports[name]
    return _file(base, root)  # of the package itself: all that its __init__ names


def _exports(root: Path) -> dict[str, Path]:
    """The file behind each name that `adlib/__init__.py` imports (under TYPE_CHECKING, as the package is lazy)."""
    init = root / PACKAGE / "__init__.py"
    nodes = [n for n in ast.walk(ast.parse(init.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)]
    found = {}
    for node in nodes:
        base = _absolute(node, init, root)
        for alias in node.names:
            if base.startswith(PACKAGE):
                found[alias.asname or alias.name] = _file(f"{base}.{alias.name}", root) or _file(base, root)
    return found


def _file(module: str, root: Path) -> Path | None:
    """The file of a dotted module name, or None if there is none."""
    path = root.joinpath(*module.split("."))
    candidates = [path.with_name(path.name + ".py"), path / "__init__.py"]
    return next((file for file in candidates if file.is_file()), None)
