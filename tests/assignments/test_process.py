"""The process of a student's code: what it answers, what it may see, and how it ends."""

import os
import time

import pytest

from adlib.companion import process
from adlib.companion.exchange import decode, encode
from adlib.companion.process import Ended, Limits, Nursery, TooLong

NOTHING = {"args": {"list": []}, "kwargs": {"dict": []}}


@pytest.fixture(scope="module")
def light(apart, tmp_path_factory):
    """A nursery that has imported nothing but the shell; the data folder is named as `make` users may name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        patch.setenv("ADLIB_DATA", "sets")
        patch.setenv("COURSE_PASSWORD", "swordfish")
        nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def fork(light, tmp_path):
    fork = light.fork(tmp_path, Limits())
    yield fork
    fork.close()


def value(fork, expression):
    assert fork.ask({"run": f"it = {expression}"}, 10) == {}
    return decode(fork.ask({"get": "it"}, 10)["value"])


def test_cells_are_ipythons(fork):
    assert fork.ask({"run": "%matplotlib inline\nimport asyncio\nawait asyncio.sleep(0)\nx = 3\nx"}, 20) == {}
    assert fork.ask({"get": "x"}, 5) == {"value": 3}


def test_functions_get_and_return_plain_values(fork):
    fork.ask({"run": "def add(a, b=1):\n    return [a, b]"}, 10)
    reply = fork.ask({"call": "add", "args": encode([1.5]), "kwargs": encode({"b": "x"})}, 10)
    assert decode(reply["value"]) == [1.5, "x"]
    assert fork.ask({"call": "none"} | NOTHING, 10) == {"missing": True}


def test_errors_come_with_a_line_and_pythons_own_class(fork):
    fork.ask({"run": "class Mine(ValueError):\n    pass\ndef f():\n    raise Mine('one\\ntwo')"}, 10)
    error = fork.ask({"call": "f"} | NOTHING, 10)["error"]
    assert error == {"type": "Mine", "builtin": "ValueError", "text": "one", "line": 0}
    error = fork.ask({"run": "x = 1\ny = ]"}, 10)["error"]
    assert error == {"type": "SyntaxError", "builtin": "SyntaxError", "text": "unmatched ']'", "line": 2}


def test_an_error_that_cannot_be_shown_is_shown_by_its_name(fork):
    mute = "class Mute(Exception):\n    def __str__(self):\n        raise KeyError\ndef f():\n    raise Mute"
    fork.ask({"run": mute}, 10)
    assert fork.ask({"call": "f"} | NOTHING, 10)["error"]["type"] == "Mute"


def test_the_environment_holds_no_more_than_it_must(fork, tmp_path, light):
    seen = value(fork, "dict(__import__('os').environ)")
    assert "COURSE_PASSWORD" not in seen and seen["HOME"] == seen["TMPDIR"] == str(tmp_path)
    assert os.path.isabs(seen["ADLIB_DATA"]) and seen["ADLIB_DATA"].endswith("/sets")


def test_only_its_own_processes_are_seen(fork):
    assert value(fork, "__import__('os').getpid()") == 1
    error = fork.ask({"run": f"import os\nos.kill({os.getpid()}, 0)"}, 10)["error"]
    assert error["builtin"] == "ProcessLookupError"


def test_a_loop_is_interrupted_and_its_names_stay(fork):
    fork.ask({"run": "x = 1"}, 10)
    with pytest.raises(TooLong) as stopped:
        fork.ask({"run": "x = 2\nwhile True:\n    pass"}, 0.5)
    assert stopped.value.alive and fork.ask({"get": "x"}, 10) == {"value": 2}


def test_a_loop_that_goes_on_is_killed(fork, monkeypatch):
    monkeypatch.setattr(process, "MERCY", 0.5)
    begin = time.monotonic()
    with pytest.raises(TooLong) as stopped:
        stubborn = "while True:\n    try:\n        sum(range(999))\n    except BaseException:\n        pass"
        fork.ask({"run": stubborn}, 0.5)
    assert not stopped.value.alive and time.monotonic() - begin < 10
    with pytest.raises(Ended):
        fork.ask({"get": "x"}, 1)


def test_an_end_is_told_from_a_crash(light, tmp_path):
    for source, killed in (("import os\nos._exit(3)", False), ("import ctypes\nctypes.string_at(0)", True)):
        with pytest.raises(Ended) as ended:
            light.fork(tmp_path, Limits()).ask({"run": source}, 10)
        assert ended.value.killed is killed


def test_forks_know_nothing_of_each_other(light, tmp_path):
    first, second = light.fork(tmp_path, Limits()), light.fork(tmp_path, Limits())
    first.ask({"run": "import math\nmath.pi = 3\nx = 1"}, 10)
    assert second.ask({"get": "x"}, 10) == {"missing": True}
    assert value(second, "__import__('math').pi") > 3
    first.close()
    second.close()


def test_a_nursery_that_is_gone_is_told(apart, tmp_path):
    nursery = Nursery()
    nursery.close()
    with pytest.raises(Ended):
        nursery.fork(tmp_path, Limits())
