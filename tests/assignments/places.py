"""Where the masters lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINI = Path(__file__).parent / "masters" / "90-mini.py"
TINY = Path(__file__).parent / "tiny" / "99-mini.py"  # the least that a master can be
MASTERS = [MINI, *sorted((ROOT / "notebooks" / "assignments").glob("*.py"))]
