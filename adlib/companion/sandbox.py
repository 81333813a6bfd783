"""Limits that a process puts on itself before it runs a student's code: Linux's own, without root and without Docker.

First `leave` (namespaces: no network, no sight of other processes), then a fork, and in the child `limit` (memory and
time) and `restrict` (files). This stops accidents and what students usually try; it is not a jail for an attacker who
knows a hole in the kernel, and Unix sockets with a name in the file system stay within reach of who may open them.
`python -m adlib.companion.sandbox` says what this system grants.
"""

import ctypes
import json
import os
import resource
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

NEW_USER, NEW_PID, NEW_NET, NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000  # linux/sched.h
NO_NEW_PRIVILEGES = 38  # linux/prctl.h
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # Landlock's calls, the same numbers on every processor
READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15  # the rights that a rule about a single file may name
RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # how many rights over files Landlock knows, from a version on
SCOPES = 0b11  # from version 6: no signals and no abstract sockets to processes outside
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
PROC = ("self", "cpuinfo", "meminfo", "stat", "filesystems", "sys")


def leave(network: bool) -> bool:
    """Puts the children of this process into namespaces of their own; whether the system allows it.

    They see no process but their own, all die with the first of them, and without `network` they reach nobody.
    """
    user, group = os.getuid(), os.getgid()
    try:
        _unshare(NEW_USER | NEW_PID | NEW_IPC | (0 if network else NEW_NET))
        for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", file).write_text(text)
    except OSError:
        return False
    return True


def limit(memory: int, seconds: int, apart: bool = True) -> None:
    """At most so many bytes of memory and seconds of processor time for each process; no large files, no core dumps.

    Shared memory does not count. The number of processes is limited where they are counted `apart`, in a namespace.
    """
    for what, most in (
        (resource.RLIMIT_DATA, memory),  # not RLIMIT_AS: torch maps far more than it uses
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 2**28),
        (resource.RLIMIT_CORE, 0),
        *([(resource.RLIMIT_NPROC, 256)] if apart else []),
    ):
        lower(what, most)


def lower(what: int, most: int) -> None:
    """Sets one of the limits of `resource`, or leaves a lower one."""
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def restrict(readable: Iterable[Path], folder: Path) -> bool:
    """From now on only `readable` can be read and only `folder` written; whether the system can do that (Landlock)."""
    version = landlock()
    if not version:
        return False
    every = (1 << max(bits for since, bits in RIGHTS.items() if since <= version)) - 1
    ruleset = _system(CREATE_RULESET, struct.pack("QQQ", every, 0, SCOPES if version >= 6 else 0), 24, 0)
    rules = [(path, READ) for path in readable] + [(Path(path), every) for path in DEVICES] + [(folder, every)]
    for path, rights in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # what is not there needs no right
            continue
        rights &= every if path.is_dir() else ON_FILES
        _system(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    if ctypes.CDLL(None, use_errno=True).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    _system(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return True


def landlock() -> int:
    """The version of Landlock that runs here, 0 for none."""
    try:
        return _system(CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def readable() -> list[Path]:
    """What Python, adlib and its data sets need; no notebook, no master, no submission is among it."""
    import adlib
    from adlib.data import checkout_data, user_cache

    paths = sysconfig.get_paths()
    python = [sys.prefix, sys.base_prefix, *(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))]
    system = ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc", "/sys", *(f"/proc/{name}" for name in PROC)]
    data = [os.environ.get("ADLIB_DATA"), checkout_data(), user_cache()]
    return [Path(path) for path in (*python, *system, *adlib.__path__, *data) if path]


def granted() -> dict[str, bool]:
    """What this system grants, tried in a process of its own: {"network": it can be cut, "files": so can files}."""
    tried = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True)
    return json.loads(tried.stdout)


def _unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def _system(number: int, *arguments: int | bytes | None) -> int:
    """A system call that the C library has no name for."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


if __name__ == "__main__":
    print(json.dumps({"network": leave(network=False), "files": landlock() > 0}))
