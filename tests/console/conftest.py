"""Readers without a browser: plain HTTP, so that every header and status can be looked at."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.console.scripted import ScriptedService
from tests.console.visitor import Visitor, Visits, make_key
from tests.running import ServiceProcess, wait_for

SHOP = """\
description: Answers customers.
messages: {{system: {{default: 'Answer {tone}.', zh: '请用中文回答。'}}}}
params: {{max_tokens: 12}}
tests:
  - {{name: It greets, user: Say hello., language: en, expect: {{min_chars: 1}}}}
  - {{name: It sings, user: Say hello., language: en, expect: {{contains: [Tralala]}}}}
"""


@pytest.fixture(scope="session")
def scripted(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    """A real service, the model's words replaced by a step of its own (`scripted.py`)."""
    service = ScriptedService(tmp_path_factory.mktemp("scripted"), weights_folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def prompt_service(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    """The real assistant with a template of its own, of which there are two versions."""
    root = tmp_path_factory.mktemp("prompt_service")
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    path = root / "prompts" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(SHOP.format(tone="briefly"), encoding="utf-8")
    service = ServiceProcess.start(root, home)
    path.write_text(SHOP.format(tone="in <b>one</b> word"), encoding="utf-8")
    wait_for(lambda: "v2" in service.run("prompts", "history", "shop").stdout)
    service.run("prompts", "tag", "shop", "v1", "production")
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
