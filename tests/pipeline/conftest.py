"""What the pipeline tests share."""

import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def children(pid: int) -> list[int]:
    """Process ids of all processes below `pid`, their own children included."""
    try:
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    below = [int(word) for text in texts for word in text.split()]
    return below + [grandchild for child in below for grandchild in children(child)]


def kernels_below(pid: int) -> list[int]:
    """Process ids of the Jupyter kernels that `pid` has started."""
    return [child for child in children(pid) if "ipykernel_launcher" in _command_line(child)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for(condition, seconds: float = 60):
    """The first true value of `condition()`; fails after a time that no healthy run needs."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie, which nobody here has waited for yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
