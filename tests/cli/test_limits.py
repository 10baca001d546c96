"""`headrace limits`, against what a real limiter has written."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.access.keys import KeyStore
from headrace.access.limits.config import read_limits
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.store import limit_handlers
from headrace.config.load import load_service
from headrace.server.state import DATABASE_FILE, JOURNAL_FILE
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter

if TYPE_CHECKING:
    from tests.cli.conftest import Call

SERVICE = """
models:
  small: {deployments: [{backend: embedded, weights: "file:small.gguf"}]}
pipeline: [generate]
limits:
  - {requests_per_minute: 60, tokens_per_minute: 100k, concurrent: 8}
  - {team: research, usd_per_month: 100}
"""


@pytest.fixture
def used(folder: Path) -> Iterator[dict[str, str]]:
    """A service two of whose keys have called; gives their ids."""
    (folder / "headrace.yaml").write_text(SERVICE)
    home = folder / ".headrace"
    database = Database.open(home / DATABASE_FILE)
    store = KeyStore.open(database)
    keys = {
        name: store.authenticate(store.create(name, "user", team=team)[0])
        for name, team in (("ada", "research"), ("bob", "research"), ("财务", ""))
    }
    writer = BatchWriter(database, home / JOURNAL_FILE, limit_handlers())
    writer.start()
    limiter = MemoryLimiter(read_limits(load_service(folder, {}).limits), writer=writer)
    for name in ("ada", "ada", "bob"):
        key = keys[name]
        assert key is not None
        with limiter.admit(key, "small", 500, time.time()) as admission:
            admission.settle(120, 1.25)
    writer.close()
    database.close()
    yield {name: key.key_id for name, key in keys.items() if key is not None}


def test_the_table_has_a_line_for_each_limit_and_who_it_is_for(
    call: "Call", used: dict[str, str]
) -> None:
    del used
    lines = [line.split() for line in call("limits").out.splitlines()]
    assert lines[0] == ["WHO", "MODEL", "LIMIT", "USED", "OF", "LEFT", "RESETS"]
    assert ["ada", "any", "requests", "per", "minute", "2", "60", "58", "slides"] in lines
    assert ["ada", "any", "tokens", "per", "minute", "240", "100,000", "99,760", "slides"] in lines
    assert ["财务", "any", "concurrent", "?", "8", "?"] in lines
    (team,) = [line for line in lines if line[:2] == ["team", "research"]]
    assert team[2:9] == ["any", "usd", "per", "month", "$3.75", "$100.00", "$96.25"]
    assert len(lines) == 1 + 3 * 3 + 1


def test_json_says_the_same_and_can_be_narrowed(call: "Call", used: dict[str, str]) -> None:
    everything = json.loads(call("limits", "--json").out)
    assert everything == json.loads(call("limits", "show", "--json").out)
    (requests, _, _) = json.loads(call("limits", "show", "--key", "bob", "--json").out)
    assert requests == {
        "limit": "requests_per_minute",
        "rule": "all",
        "key": "bob",
        "key_id": used["bob"],
        "team": None,
        "model": None,
        "used": 1.0,
        "allowed": 60,
        "resets_at": None,
    }
    (team,) = json.loads(call("limits", "show", "--team", "research", "--json").out)
    assert team["used"] == 3.75
    assert team["resets_at"] > time.time()
    shown = json.loads(call("limits", "show", "--used", "--json").out)
    assert {each["key"] for each in shown} == {"ada", "bob", None}


def test_a_service_without_limits_says_so(call: "Call", folder: Path) -> None:
    call("keys", "create", "ada")
    (folder / "headrace.yaml").write_text(SERVICE.partition("limits:")[0])
    result = call("limits")
    assert result.status == 0
    assert "no limits are declared" in result.err
    assert json.loads(call("limits", "--json").out) == []


def test_a_redis_that_does_not_answer_is_said(call: "Call", folder: Path) -> None:
    call("keys", "create", "ada")
    shared = "limits:\n  redis: {url: unix:///nowhere/redis.sock}\n  rules: [{concurrent: 1}]\n"
    (folder / "headrace.yaml").write_text(SERVICE.partition("limits:")[0] + shared)
    result = call("limits")
    assert result.status == 1
    assert "the Redis of limits.redis does not answer" in result.err
