"""Readers without a browser: plain HTTP, so that every header and status can be looked at."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.console.scripted import ScriptedService
from tests.console.visitor import Visitor, Visits, make_key
from tests.running import ServiceProcess


@pytest.fixture(scope="session")
def scripted(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    """A real service, the model's words replaced by a step of its own (`scripted.py`)."""
    service = ScriptedService(tmp_path_factory.mktemp("scripted"), weights_folder).start()
    yield service
    service.stop()


@pytest.fixture
def visit(scripted: ServiceProcess) -> Iterator[Visits]:
    """Makes visitors who come from an address (any of 127/8 is this machine)."""
    with ExitStack() as stack:

        def come(address: str) -> Visitor:
            visitor = Visitor.of(scripted, address=address)
            stack.callback(visitor.client.close)
            return visitor

        yield come


@pytest.fixture
def stranger(visit: Visits) -> Visitor:
    """Nobody: not signed in."""
    return visit("127.0.0.1")


@pytest.fixture
def visitor(visit: Visits, scripted: ServiceProcess) -> Visitor:
    """The administrator, signed in."""
    visitor = visit("127.0.0.1")
    visitor.sign_in(scripted.key)
    return visitor


@pytest.fixture(scope="session")
def guest_key(scripted: ServiceProcess) -> str:
    """The secret of a key that is not an administrator's."""
    return make_key(scripted, "guest")[1]


@pytest.fixture
def guest(visit: Visits, guest_key: str) -> Visitor:
    """Somebody with a key of their own, signed in."""
    visitor = visit("127.0.0.1")
    visitor.sign_in(guest_key)
    return visitor
