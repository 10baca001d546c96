"""Limiters of several processes count as one would."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.access.limits.admission import Admission
from headrace.access.limits.config import Limits
from headrace.access.limits.errors import LimitExceeded
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.mapped.limiter import LimitKeeper, MappedLimiter, fill, fold
from headrace.access.limits.mapped.table import PLACES, WINDOW, Table
from headrace.access.limits.rule import Rule, is_money, scope_of
from headrace.access.limits.store import limit_handlers, load_counters
from headrace.access.limits.window import SLOTS, slot_at
from headrace.access.principal import Principal
from headrace.storage.database import Database

EPOCH = 1_795_554_333.0
KEYS = tuple(Principal(f"key-{name}", name, "user", "research") for name in ("ada", "bob"))
RULES = (
    Rule(requests_per_minute=9, concurrent=3),
    Rule(team="research", per=("team",), tokens_per_minute=300, usd_per_day=0.5, usd_per_month=2),
    Rule(per=(), concurrent=4),
)


class Clock:
    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> float:
        return self.now


class Journal:
    """Carries records into the database at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, kind: str, payload: bytes) -> bool:
        with self._database.write() as connection:
            limit_handlers()[kind](connection, [payload])
        return True


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "state.db")


def admitted(
    limiter: MemoryLimiter, key: Principal, tokens: int, now: float, usd: float
) -> Admission | str:
    try:
        return limiter.admit(key, "m", tokens, now, estimated_cost_usd=usd)
    except LimitExceeded as error:
        return str(error)


def use(database: Database, now: float = EPOCH) -> dict[str, dict[int, float]]:
    """What is in the database, is not nothing and still counts."""
    kept: dict[str, dict[int, float]] = {}
    for name, slots in load_counters(database, now=now).items():
        oldest = 0 if is_money(scope_of(name).dimension) else slot_at(now) - SLOTS
        found = {at: round(amount, 9) for at, amount in slots.items() if at > oldest}
        kept[name] = {at: amount for at, amount in found.items() if amount}
    return {name: slots for name, slots in kept.items() if slots}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "admit", "settle", "leave", "wait", "withdraw"]),
        st.integers(0, 2),  # which process
        st.integers(0, 1),  # whose key
        st.integers(1, 120),
        st.sampled_from([0.0, 0.03125, 0.25]),
    ),
    max_size=40,
)


@given(steps=STEPS)
@settings(max_examples=60)
def test_three_processes_decide_as_one_would(
    steps: Sequence[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("limits")
    database = Database.open(folder / "state.db")
    table = folder / "limits.map"
    fill(table, 3, database, now=EPOCH)
    clock = Clock()
    limits = Limits(rules=RULES)
    many = [MappedLimiter(limits, table, slot, clock=clock) for slot in range(3)]
    other = Database.open(folder / "other.db")
    one = MemoryLimiter(limits, clock=clock, writer=Journal(other))
    running: list[tuple[MappedLimiter, Admission, Admission]] = []
    for step in steps:
        what, slot, key, amount, usd = cast(tuple[str, int, int, int, float], step)
        if what == "admit":
            here = admitted(many[slot], KEYS[key], amount, clock.now, usd)
            there = admitted(one, KEYS[key], amount, clock.now, usd)
            if isinstance(here, str) or isinstance(there, str):
                assert here == there
            else:
                running.append((many[slot], here, there))
            assert many[slot].headers(KEYS[key], "m") == one.headers(KEYS[key], "m")
        elif what == "wait":
            clock.now += amount / 4
        elif running:
            by, here, there = running.pop(amount % len(running))
            if what == "withdraw":
                by.withdraw(here)
                one.withdraw(there)
            for each in (here, there):
                if what == "settle":
                    each.settle(amount, usd)
                each.release()
    for _, here, there in running:
        here.release()
        there.release()
    fold(table, database)
    assert not table.exists()
    assert use(database, clock.now) == use(other, clock.now)
    database.close()
    other.close()


def test_what_was_counted_is_kept_for_the_next_start(database: Database, tmp_path: Path) -> None:
    table = tmp_path / "limits.map"
    fill(table, 2, database, now=EPOCH)
    limits = Limits(rules=RULES)
    workers = [MappedLimiter(limits, table, slot, clock=Clock()) for slot in range(2)]
    keeper = LimitKeeper(table, 0, Journal(database))
    for worker in (*workers, *workers):
        call = worker.admit(KEYS[0], "m", 50, EPOCH, estimated_cost_usd=0.1)
        call.settle(20, 0.05)
        call.release()
        keeper.keep()
    kept = use(database)
    assert sorted(sum(slots.values()) for slots in kept.values()) == [0.2, 0.2, 4.0, 80.0]
    fold(table, database)
    assert use(database) == kept
    fill(table, 2, database, now=EPOCH)
    again = MappedLimiter(limits, table, 1, clock=Clock())
    again.admit(KEYS[0], "m", 220, EPOCH)
    with pytest.raises(LimitExceeded, match="limit 300, used 300, requested 1"):
        again.admit(KEYS[0], "m", 1, EPOCH)


def test_a_process_that_died_leaves_its_places(database: Database, tmp_path: Path) -> None:
    table = tmp_path / "limits.map"
    fill(table, 2, database, now=EPOCH)
    limits = Limits(rules=(Rule(concurrent=2),))
    first, second = (MappedLimiter(limits, table, slot, clock=Clock()) for slot in range(2))
    first.admit(KEYS[0], "m", 1, EPOCH)
    kept = second.admit(KEYS[0], "m", 1, EPOCH)
    with pytest.raises(LimitExceeded):
        second.admit(KEYS[0], "m", 1, EPOCH)
    MappedLimiter(limits, table, 0, clock=Clock())
    second.admit(KEYS[0], "m", 1, EPOCH)
    with pytest.raises(LimitExceeded):
        second.admit(KEYS[0], "m", 1, EPOCH)
    kept.release()
    second.admit(KEYS[0], "m", 1, EPOCH)


def test_sums_left_wrong_by_a_process_that_died_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "limits.map"
    Table.create(path, 2).close()
    script = (
        "import os, sys; from pathlib import Path\n"
        "from headrace.access.limits.mapped.table import WINDOW, Table\n"
        "with Table.open(Path(sys.argv[1]), 1) as table:\n"
        "    words = table.record('w', WINDOW).words\n"
        "    words[2] = words[3] = 5\n"
        "    words[4] = 7  # counted in its slot, and not yet in the sum\n"
        "    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    with Table.open(path, 0) as table:
        assert table.record("w", WINDOW).words[2] == 12


def test_a_table_grows_and_all_see_it(tmp_path: Path) -> None:
    path = tmp_path / "limits.map"
    Table.create(path, 2).close()
    one, two = Table.open(path, 0), Table.open(path, 1)
    names = [f"{'名' * (number % 50)}{number}" for number in range(3000)]
    for number, name in enumerate(names):
        with (one, two)[number % 2] as table:
            table.record(name, WINDOW if number % 3 else PLACES).words[0] = number
    assert path.stat().st_size > 2 * 1024 * 1024
    for table in (one, two):
        assert {each.name: each.words[0] for each in table.records()} == {
            name: number for number, name in enumerate(names)
        }


def test_processes_killed_while_they_count_let_nobody_wait(tmp_path: Path) -> None:
    path = tmp_path / "limits.map"
    Table.create(path, 2).close()
    script = (
        "import sys; from pathlib import Path\n"
        "from headrace.access.limits.mapped.table import WINDOW, Table\n"
        "table = Table.open(Path(sys.argv[1]), 1)\n"
        "print('counting', flush=True)\n"
        "while True:\n"
        "    with table:\n"
        "        words = table.record('w', WINDOW).words\n"
        "        words[3] += 1; words[2] += 1\n"
    )
    mine = Table.open(path, 0)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            before = 0
            for _ in range(200):
                with mine:
                    words = mine.record("w", WINDOW).words
                    assert words[2] == words[3] >= before
                    before = words[2]
            os.kill(process.pid, signal.SIGKILL)
        with mine:
            assert words[2] == words[3]
