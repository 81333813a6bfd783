"""What the pipeline tests share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def children(pid: int) -> list[int]:
    """Process ids of all processes below `pid`, their own children included."""
    try:
        below = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    except OSError:
        return []
    return below + [grandchild for child in below for grandchild in children(child)]


def kernels_below(pid: int) -> list[int]:
    """Process ids of the Jupyter kernels that `pid` has started."""
    return [child for child in children(pid) if "ipykernel_launcher" in _command_line(child)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
