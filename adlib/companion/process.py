"""A student's code in a process of its own: it runs cells, calls functions, and hands out plain values.

`Nursery` and `Process` are the grader's side. The nursery is a Python that has imported what the assignments need; for
each submission it forks, which takes no time where an import of torch takes seconds. In the fork, `sandbox` cuts what
the code may reach, then an IPython shell, as in a Jupyter kernel but without its sockets, does what it is asked.

Two pairs of sockets join the grader to a fork: a channel for requests and replies (a length, then JSON), and a leash,
held by the fork's guard: a byte on it interrupts the code, and when it goes slack, because the grader lets go or has
died, the code is killed with all that it has started.
"""

import builtins
import contextlib
import importlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from adlib.data import user_cache

from . import sandbox
from .exchange import NotPlain, decode, encode
from .run import die_with_parent

LARGEST = 50 * 2**20  # bytes of a reply
MERCY = 2.0  # seconds between an interruption and the end
PATIENCE = 120.0  # seconds for the nursery's imports
KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ", "ADLIB_DATA", "XDG_CACHE_HOME")  # of the environment


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds for a call of a function, a cell and the whole, and bytes of memory."""

    call: float = 20
    cell: float = 60
    whole: float = 240
    memory: int = 3 * 10**9
    network: bool = False


class TooLong(Exception):
    """The time was over and the code has been stopped; `alive` says whether its process still is."""

    def __init__(self, alive: bool) -> None:
        self.alive = alive


class Ended(Exception):
    """The process is gone; `killed` says whether by the system."""

    def __init__(self, killed: bool) -> None:
        self.killed = killed


class Nursery:
    """Forks a confined process for each submission."""

    def __init__(self, modules: Iterable[str] = ()) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        package = Path(__file__).resolve().parents[2]
        environment = {key: os.environ[key] for key in KEPT if key in os.environ}
        if "ADLIB_DATA" in environment:  # forks have another working folder and another home
            environment["ADLIB_DATA"] = str(Path(environment["ADLIB_DATA"]).expanduser().absolute())
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment |= {"PYTHONPATH": str(package), "PYTHONHASHSEED": "0", "MPLBACKEND": "agg", "PYTHONNOUSERSITE": "1"}
        self._home = tempfile.TemporaryDirectory(prefix="adlib-nursery-", ignore_cleanup_errors=True)
        environment |= {"HOME": self._home.name, "XDG_CACHE_HOME": str(user_cache().parent)}  # the cache stays
        self._control = ours
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), *modules],  # -P: nothing from this folder
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def fork(self, folder: Path, limits: Limits) -> "Process":
        """A process that may write in `folder` alone. Raises Ended when the nursery is gone."""
        channel, channel_there = socket.socketpair()
        leash, leash_there = socket.socketpair()
        order = {"folder": str(folder), "network": limits.network, "memory": limits.memory}
        order |= {"cpu": round(2 * limits.whole) + 1}
        try:
            socket.send_fds(
                self._control, [json.dumps(order).encode()], [channel_there.fileno(), leash_there.fileno()]
            )
        except OSError:
            channel.close()
            leash.close()
            raise Ended(killed=True) from None
        finally:
            channel_there.close()
            leash_there.close()
        return Process(channel, leash)

    def close(self) -> None:
        """Ends the nursery and all that it has forked."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._home.cleanup()


class Process:
    """The grader's end of a forked process."""

    def __init__(self, channel: socket.socket, leash: socket.socket) -> None:
        self._channel, self._leash = channel, leash
        self._number = 0  # of the last request; a reply carries it
        try:
            self.confined: dict[str, bool] = self._reply(time.monotonic() + PATIENCE)
        except TimeoutError:
            raise Ended(self.close()) from None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to a request. Raises TooLong, after which the process may have been killed, or Ended."""
        self._number += 1
        message = json.dumps(request | {"number": self._number}).encode()
        try:
            self._channel.settimeout(max(seconds, 0.1))
            self._channel.sendall(struct.pack("Q", len(message)) + message)
        except OSError:  # it has ended, or does not listen
            raise Ended(self.close()) from None
        with contextlib.suppress(TimeoutError):
            return self._reply(time.monotonic() + seconds)
        with contextlib.suppress(OSError):
            self._leash.send(b"i")
        try:
            self._reply(time.monotonic() + MERCY)
        except (TimeoutError, Ended):
            self.close()
            raise TooLong(alive=False) from None
        raise TooLong(alive=True)

    def close(self) -> bool:
        """Kills the process and its children and waits for their end; whether the system had killed it before."""
        self._channel.close()
        with contextlib.suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            self._leash.settimeout(10)
            word = self._leash.recv(100)
            self._leash.close()
            return word.startswith(b"-")
        return False

    def _reply(self, end: float) -> dict[str, Any]:
        """The reply to the last request; what the code itself has written to the channel is passed over."""
        while True:
            try:
                (length,) = struct.unpack("Q", self._receive(8, end))
                reply = json.loads(self._receive(length, end)) if length <= LARGEST else None
            except (ValueError, RecursionError):
                reply = None
            if not isinstance(reply, dict):
                raise Ended(self.close())
            if reply.pop("number", None) == self._number:
                return reply

    def _receive(self, size: int, end: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._channel.settimeout(left)
            try:
                part = self._channel.recv(min(size - len(received), 2**20))
            except TimeoutError:
                raise
            except OSError:
                part = b""
            if not part:
                raise Ended(self.close())
            received += part
        return bytes(received)


# ------------------------------------------------------------------------------------------- in the other processes


def _nursery(control: socket.socket, modules: list[str]) -> None:
    """Imports, then forks a guard for every order that comes."""
    die_with_parent()
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    session = Session()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended guards leave nothing behind
    readable = sandbox.readable()
    while True:
        message, sockets, *_ = socket.recv_fds(control, 2**16, 2)
        if not message:
            return
        if os.fork() == 0:
            try:
                control.close()
                _guard(json.loads(message), *(socket.socket(fileno=number) for number in sockets), readable, session)
            finally:
                os._exit(1)
        for number in sockets:
            os.close(number)


def _guard(
    order: dict[str, Any], channel: socket.socket, leash: socket.socket, readable: list[Path], session: "Session"
) -> NoReturn:
    """Starts the student's process and kills it when the leash goes slack."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    apart = sandbox.leave(order["network"])
    child = os.fork()
    if child == 0:
        leash.close()
        _student(order, channel, apart, readable, session)  # never comes back
    channel.close()
    while leash.recv(1):
        os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        leash.send(str(code).encode())
    leash.close()
    if not apart:  # no namespace has taken its children along
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _student(
    order: dict[str, Any], channel: socket.socket, apart: bool, readable: list[Path], session: "Session"
) -> NoReturn:
    """Confines this process, then answers requests until the grader has no more."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(order["folder"])
    os.chdir(folder)
    os.environ |= dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR"), str(folder))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    sys.stdin, sys.stdout = open(os.devnull), open(os.devnull, "w")
    sys.stderr = sys.stdout
    files = sandbox.restrict(readable, folder)
    sandbox.limit(order["memory"], order["cpu"], apart)
    _send(channel, {"network": apart and not order["network"], "files": files, "number": 0})
    stream = channel.makefile("rb")
    while True:
        try:
            head = stream.read(8)
            if len(head) < 8:
                os._exit(0)
            request = json.loads(stream.read(struct.unpack("Q", head)[0]))
            _send(channel, session.reply(request) | {"number": request["number"]})
        except KeyboardInterrupt:  # it came when the code had just ended
            continue


def _send(channel: socket.socket, reply: dict[str, Any]) -> None:
    message = json.dumps(reply).encode()
    if len(message) > LARGEST:
        too_large = {"refused": f"it is larger than {LARGEST // 2**20} MB", "number": reply["number"]}
        message = json.dumps(too_large).encode()
    channel.sendall(struct.pack("Q", len(message)) + message)


class Session:
    """A notebook's namespace: an IPython shell that runs cells and calls what they have defined."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        class Shell(InteractiveShell):
            def enable_gui(self, gui: str | None = None) -> None:
                """`%matplotlib inline` may ask for it."""

        self._shell = Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        builtins.input = _no_input
        random.seed(0)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(0)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(0)

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """What comes of {"run": source}, {"call": name, "args": ..., "kwargs": ...} or {"get": name}."""
        try:
            if "run" in request:
                return self._run(request["run"])
            name = request.get("call") or request["get"]
            if name not in self._shell.user_ns:
                return {"missing": True}
            value = self._shell.user_ns[name]
            if "call" in request:
                value = value(*decode(request["args"]), **decode(request["kwargs"]))
            return {"value": encode(value)}
        except NotPlain as error:
            return {"refused": str(error)}
        except BaseException as error:  # whatever a student's code may raise, SystemExit too
            return {"error": _described(error)}

    def _run(self, source: str) -> dict[str, Any]:
        result = self._shell.run_cell(source, store_history=False)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
        error = result.error_before_exec or result.error_in_exec
        return {"error": _described(error)} if error else {}


def _no_input(prompt: object = "") -> str:
    raise RuntimeError("input() waits for somebody to type, and nobody is there")


def _described(error: BaseException) -> dict[str, Any]:
    """{"type", "builtin": the class of Python's own that it derives from, "text": its first line, "line": of code}."""
    try:
        text = str(error).strip()
    except Exception:  # a student's own class
        text = ""
    own = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    if isinstance(error, SyntaxError):
        text = error.msg or text
    lines = text.splitlines() or [""]
    first = lines[0] if len(lines[0]) <= 200 else lines[0][:200] + " ..."
    return {"type": type(error).__name__, "builtin": own, "text": first, "line": getattr(error, "lineno", None) or 0}


if __name__ == "__main__":
    _nursery(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
