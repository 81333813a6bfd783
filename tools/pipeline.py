"""From make to Snakemake: one run at a time in a checkout, and none that outlives make.

Arguments are Snakemake's own. The lock is given back by the system when this process ends, however it ends, and is not
handed on to its jobs; so there is nothing to unlock by hand.
"""

import fcntl
import os
import shutil
import signal
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
    shutil.rmtree(".snakemake/backups", ignore_errors=True)  # left by a killed run; Snakemake would stop at it
    _set_environment(build)
    return _snakemake([*OPTIONS, *sys.argv[1:]])


def _set_environment(build: Path) -> None:
    """For the jobs: the programs of this Python, one thread, fewer page faults. For Snakemake: a cache folder."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)])
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):  # glibc keeps freed memory: 1.2 times as fast
        os.environ.setdefault(name, str(1 << 32))
    cache = Path(os.getenv("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    existing = next((path for path in (cache, *cache.parents) if path.exists()), Path("/"))
    if not os.access(existing, os.W_OK | os.X_OK):
        os.environ["XDG_CACHE_HOME"] = str((build / "cache").absolute())


def _snakemake(arguments: list[str]) -> int:
    from snakemake.cli import main as snakemake  # finds the logger plugin beside this file, which is on sys.path
    from snakemake.scheduling.job_scheduler import JobScheduler

    # its own answer to SIGTERM takes locks that the code it interrupts may hold, and then hangs: let it act as Ctrl-C
    JobScheduler.exit_gracefully = _end
    try:
        snakemake(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    return 0


def _end(scheduler, *received):
    """As Ctrl-C does, which reaches the jobs too."""
    import psutil

    for job in psutil.Process().children(recursive=True):
        job.terminate()
    signal.default_int_handler(*received)


def _refuse(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
