"""Every master, the miniature among them, as a parameter of the tests here; and a nursery for all of them."""

import pytest
from places import MASTERS, MINI

from adlib.companion import sandbox
from adlib.companion.assignments import read
from adlib.companion.judge import modules
from adlib.companion.process import Nursery


def pytest_generate_tests(metafunc):
    if "path" in metafunc.fixturenames:
        metafunc.parametrize("path", MASTERS, ids=lambda path: path.stem, scope="session")


@pytest.fixture(scope="session")
def mini():
    return read(MINI)


@pytest.fixture(scope="session")
def master(path):
    return read(path)


@pytest.fixture(scope="session")
def apart():
    """For tests that run students' code: it must be possible to cut the network."""
    if not sandbox.granted()["network"]:
        pytest.skip("this system refuses namespaces to ordinary processes, so that `make grade` refuses too")


@pytest.fixture(scope="session")
def nursery(apart):
    nursery = Nursery(modules(read(path) for path in MASTERS))
    yield nursery
    nursery.close()
