"""What was used survives the process, however it ends."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from headrace.access.limits.calendar import Calendar
from headrace.access.limits.ledger import Ledger
from headrace.access.limits.limiter import LIMIT_USE
from headrace.access.limits.rule import Rule, counter_name, scope_of
from headrace.access.limits.store import (
    KEPT_S,
    limit_handlers,
    load_counters,
    prune_counters,
)
from headrace.access.limits.window import SLOTS, slot_at
from headrace.access.principal import Principal
from headrace.storage.database import Database
from headrace.storage.tables import limit_counters
from tests.access.limits.programs.traffic import open_limiter, totals

pytestmark = pytest.mark.engines

TRAFFIC = Path(__file__).parent / "programs" / "traffic.py"
REQUESTS = counter_name(Rule(requests_per_minute=5), "requests_per_minute", ("key-a",))
MONEY = counter_name(Rule(usd_per_day=5), "usd_per_day", ("key-a",))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


def write(database: Database, *records: list[tuple[str, int, float]]) -> None:
    with database.write() as connection:
        limit_handlers()[LIMIT_USE](connection, [msgspec.msgpack.encode(each) for each in records])


@pytest.mark.sqlite
def test_a_service_killed_in_the_middle_of_traffic_goes_on_where_it_was(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for life in range(2):
        process = subprocess.Popen([sys.executable, TRAFFIC, tmp_path, notes])
        try:
            # Some of it in the database, some only in the journal, some in between.
            wait_for_lines(process, notes, 400 * (life + 1))
        finally:
            process.kill()
            process.wait()
        last = notes.read_bytes().splitlines()[-1]
        expected = msgspec.json.decode(last, type=dict[str, float])
        limiter, writer, database = open_limiter(tmp_path)
        found = totals(limiter, time.time())
        writer.close()
        database.close()
        assert set(found) == set(expected)
        assert sum(expected.values()) > 10_000
        for name, amount in expected.items():
            # What came between the last note and the kill: one step.
            step = 0.02 if "usd" in name else 500 if "tokens" in name else 1
            assert abs(found[name] - amount) <= step + 1e-6, name
            assert abs(found[name] - amount) <= max(step, amount * 0.01), name


def wait_for_lines(process: "subprocess.Popen[bytes]", path: Path, count: int) -> None:
    while process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
    raise AssertionError("the traffic ended by itself")


def test_a_batch_written_twice_counts_once(database: Database) -> None:
    now = time.time()
    slot = slot_at(now)
    records = [[(REQUESTS, slot, 1.0), (MONEY, 9, 0.5)], [(REQUESTS, slot, 2.0), (MONEY, 9, 0.7)]]
    write(database, *records)
    write(database, *records)
    assert load_counters(database, now=now) == {REQUESTS: {slot: 2.0}, MONEY: {9: 0.7}}


def test_a_counter_keeps_only_what_can_still_count(database: Database) -> None:
    now = time.time()
    newest = slot_at(now)
    write(database, *([(REQUESTS, newest - ago, 1.0)] for ago in range(3 * SLOTS, -1, -1)))
    write(database, *([(MONEY, day, 1.0)] for day in range(1_000)))
    found = load_counters(database, now=now)
    assert sorted(found[REQUESTS]) == list(range(newest - SLOTS + 1, newest + 1))
    assert max(found[MONEY]) == 999
    assert len(found[MONEY]) < 100


def test_a_minute_that_is_over_is_not_loaded(database: Database) -> None:
    write(database, [(REQUESTS, slot_at(time.time()), 3.0), (MONEY, 9, 1.0)])
    assert set(load_counters(database, now=time.time() + 120)) == {MONEY}


def test_counters_of_keys_long_unused_are_deleted(database: Database) -> None:
    write(database, [(REQUESTS, slot_at(time.time()), 3.0), (MONEY, 9, 1.0)])
    assert prune_counters(database, now=time.time() + KEPT_S - 60) == 0
    assert prune_counters(database, now=time.time() + KEPT_S + 60) == 2
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(limit_counters)).scalar() == 0


def test_a_clock_that_was_set_back_between_two_lives_forgets_nothing() -> None:
    now = 1_795_554_333.0
    future = {slot_at(now + 5_000): 4.0, slot_at(now + 5_030): 1.0}
    ledger = Ledger((Rule(requests_per_minute=5),), Calendar(), {REQUESTS: future})
    plan = ledger.plan(Principal("key-a", "a", "user"), "m", now)
    window = plan.requests[0].window
    window.advance(slot_at(now + 59.5))
    assert window.total == 5
    window.advance(slot_at(now + 61))
    assert window.total == 0


def test_a_counters_name_says_whose_it_is() -> None:
    rule = Rule(key='a"b', model="财*", per=("key", "model"), tokens_per_minute=1)
    scope = scope_of(counter_name(rule, "tokens_per_minute", ("key-a", "财务")))
    assert (scope.dimension, scope.key, scope.team) == ("tokens_per_minute", 'a"b', None)
    assert (scope.per, scope.names) == (("key", "model"), ("key-a", "财务"))
