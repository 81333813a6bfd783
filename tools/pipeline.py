"""From make to Snakemake: one run at a time in a checkout, and none that outlives make.

Arguments are Snakemake's own. The lock is given back by the system when Snakemake ends, however it ends, and is not
handed on to its jobs; so there is nothing to unlock by hand.
"""

import fcntl
import os
import sys
from pathlib import Path

from adlib.companion import pairs
from adlib.companion.run import die_with_parent

OPTIONS = ["--nolock", "--rerun-incomplete", "--logger", "line", "--keep-going"]
BUSY = 75  # EX_TEMPFAIL


def main() -> int:
    build = Path("build")
    try:
        build.mkdir(exist_ok=True)
        lock = os.open(build / ".lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        return _refuse(f"cannot write to {build}: {error.strerror}", 1)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _refuse("another make is running here: wait for its end, or end it", BUSY)
    if complaint := pairs.complaint("notebooks"):
        return _refuse(complaint, 1)
    die_with_parent()
    os.set_inheritable(lock, True)  # through exec; subprocess closes it in the jobs
    os.execve(sys.executable, [sys.executable, "-m", "snakemake", *OPTIONS, *sys.argv[1:]], _environment(build))


def _environment(build: Path) -> dict[str, str]:
    """Ours, with the programs of this Python first and the logger plugin in reach."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONHASHSEED="0")
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.getenv("PYTHONPATH")]))
    cache = Path(os.getenv("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    if not _writable(cache):
        environment["XDG_CACHE_HOME"] = str((build / "cache").absolute())  # Snakemake does not start without one
    return environment


def _writable(folder: Path) -> bool:
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    return os.access(existing, os.W_OK | os.X_OK)


def _refuse(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
