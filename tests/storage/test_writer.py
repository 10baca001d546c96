"""The batch writer: what it accepted reaches the database, whatever stands in the way."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.storage.database import Database
from headrace.storage.errors import HomeInUse
from headrace.storage.journal import Record
from headrace.storage.reject import read_rejects
from headrace.storage.writer import BatchWriter
from tests.running import wait_for

pytestmark = pytest.mark.engines

MakeWriter = Callable[..., BatchWriter]
Names = Callable[[], set[str]]
PAGE = 4096


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    """Another process holds the database's write lock until the block ends."""
    script = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


async def test_what_was_appended_is_stored_and_told_of_in_order(
    make_writer: MakeWriter, names: Names
) -> None:
    told: list[bytes] = []
    writer = make_writer(committed=told.extend)
    writer.start()
    wanted = [f"n{number}" for number in range(1500)]
    for name in wanted:
        assert writer.append("name", name.encode())
    await asyncio.wait_for(writer.flush(), 30)
    assert names() == set(wanted)
    writer.close()
    assert told == [name.encode() for name in wanted]
    assert writer.pending_bytes == 0


async def test_flush_of_nothing_returns_at_once(make_writer: MakeWriter) -> None:
    writer = make_writer()
    await asyncio.wait_for(writer.flush(), 5)
    writer.close()


async def test_several_may_wait_for_a_flush(make_writer: MakeWriter, names: Names) -> None:
    writer = make_writer()
    writer.append("name", b"first")
    waiting = [asyncio.create_task(writer.flush()) for _ in range(3)]
    await asyncio.sleep(0)
    writer.start()
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert names() == {"first"}
    writer.close()


def test_closing_writes_what_is_waiting(make_writer: MakeWriter, names: Names) -> None:
    writer = make_writer()
    writer.start()
    for number in range(100):
        writer.append("name", str(number).encode())
    writer.close()
    assert len(names()) == 100


def test_what_one_process_left_the_next_one_writes(make_writer: MakeWriter, names: Names) -> None:
    left = make_writer()
    left.append("name", b"left behind")
    left.close()
    assert names() == set()
    writer = make_writer()
    writer.start()
    assert names() == {"left behind"}
    writer.close()


def test_a_second_writer_on_a_home_is_refused_and_the_first_goes_on(
    make_writer: MakeWriter, names: Names
) -> None:
    first = make_writer()
    first.start()
    with pytest.raises(HomeInUse, match="already runs"):
        make_writer()
    assert first.append("name", b"still here")
    first.close()
    assert names() == {"still here"}


def test_one_bad_record_is_put_aside_and_the_others_are_stored(
    make_writer: MakeWriter, names: Names, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make_writer()
    for payload in (b"before", b"\xff\xff", b"after"):
        writer.append("name", payload)
    writer.append("no such kind", b"?")
    writer.start()
    writer.close()
    assert names() == {"before", "after"}
    assert writer.rejected == 2
    assert read_rejects(tmp_path / "journal.rejected") == [
        Record("name", b"\xff\xff"),
        Record("no such kind", b"?"),
    ]
    assert "put aside" in caplog.text


def test_a_listener_that_fails_harms_nobody(
    make_writer: MakeWriter, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    def listen(payloads: Sequence[bytes]) -> None:
        raise RuntimeError("a listener of no importance")

    writer = make_writer(committed=listen)
    writer.start()
    writer.append("name", b"one")
    writer.close()
    assert names() == {"one"}
    assert "a listener of no importance" in caplog.text


@pytest.mark.sqlite
async def test_records_wait_while_another_process_holds_the_database(
    make_writer: MakeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    monkeypatch.setattr("headrace.storage.database.BUSY_TIMEOUT_S", 0.05)
    impatient = Database.open(tmp_path / "state.db")
    writer = make_writer()
    writer._database = impatient
    writer.start()
    with locked_by_another_process(tmp_path / "state.db"):
        assert writer.append("name", b"during the lock")
        wait_for(lambda: not writer.is_healthy)
        assert writer.failure is not None
        assert "locked" in writer.failure
        assert writer.append("name", b"later")
        assert writer.pending_bytes > 0
        assert names() == set()
    await asyncio.wait_for(writer.flush(), 30)
    assert names() == {"during the lock", "later"}
    assert writer.is_healthy
    assert (writer.shed, writer.rejected) == (0, 0)
    writer.close()
    impatient.close()


@pytest.mark.sqlite
def test_a_full_journal_sheds_says_so_once_and_recovers(
    make_writer: MakeWriter, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    writer = make_writer()
    accepted = {f"{number}" for number in range(100) if writer.append("name", _long(number))}
    assert 0 < len(accepted) < 100
    assert writer.shed == 100 - len(accepted)
    said = [each for each in caplog.messages if "shedding records" in each]
    assert len(said) == 1
    writer.start()
    wait_for(lambda: not writer.pending_bytes)
    assert {name.rstrip("x") for name in names()} == accepted
    assert writer.append("name", b"room again")
    writer.close()
    assert "the journal has room again" in caplog.text
    assert "room again" in names()


def test_a_record_too_long_for_the_journal_is_shed_at_once(make_writer: MakeWriter) -> None:
    writer = make_writer()
    assert not writer.append("name", bytes(writer.capacity_bytes // 4))
    assert writer.shed == 1
    writer.close()


def test_a_damaged_page_costs_its_records_and_is_said(
    make_writer: MakeWriter, names: Names, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make_writer()
    for number in range(12):
        assert writer.append("name", _long(number))
    writer.close()
    content = bytearray((tmp_path / "journal").read_bytes())
    content[2 * PAGE : 3 * PAGE] = bytes(PAGE)
    (tmp_path / "journal").write_bytes(content)

    writer = make_writer()
    writer.start()
    writer.close()
    assert 0 < writer.damaged < 12
    assert len(names()) == 12 - writer.damaged
    assert f"{writer.damaged} records are lost" in caplog.text


def _long(number: int) -> bytes:
    return str(number).encode().ljust(3000, b"x")
