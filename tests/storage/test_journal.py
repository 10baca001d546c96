"""The journal: what was appended comes out once, in order, whatever happens in between."""

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.storage.errors import StateUnusable
from headrace.storage.journal import Journal, Record

CAPACITY = 1024
"""Small, so that a few records go round the ring."""
PAGE = 4096
FRAME = 17

operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 300)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=60,
)


def payload_of(number: int, size: int) -> bytes:
    return (str(number).encode() * (size + 1))[:size]


def drain(journal: Journal) -> list[Record]:
    batch = journal.read(10**6, 10**9)
    journal.advance(batch)
    return list(batch.records)


@settings(deadline=None, max_examples=150)
@given(operations=operations)
def test_records_come_out_once_and_in_order(operations: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        journal = Journal.open(path, CAPACITY)
        expected: deque[Record] = deque()
        for number, (operation, size) in enumerate(operations):
            if operation == "append":
                record = Record(f"kind{number % 3}", payload_of(number, size))
                if journal.append(record.kind, record.payload):
                    expected.append(record)
            elif operation == "take":
                batch = journal.read(size, 10**9)
                assert list(batch.records) == [
                    expected.popleft() for _ in range(min(size, len(expected)))
                ]
                journal.advance(batch)
            else:
                journal.close()
                journal = Journal.open(path, CAPACITY)
        assert drain(journal) == list(expected)
        assert journal.pending_bytes == 0
        journal.close()


@settings(deadline=None, max_examples=60)
@given(
    before=st.lists(st.integers(0, 200), max_size=12),
    taken=st.integers(0, 12),
    size=st.integers(0, 200),
    data=st.data(),
)
def test_a_record_cut_off_at_any_byte_is_not_there_and_the_others_are(
    before: list[int], taken: int, size: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        journal = Journal.open(path, CAPACITY)
        for number, each in enumerate(before):
            if not journal.append("old", payload_of(number, each)):
                drain(journal)
                journal.append("old", payload_of(number, each))
        journal.advance(journal.read(taken, 10**9) if taken else journal.read(1, 10**9))
        kept = list(journal.read(10**6, 10**9).records)
        start = journal._end[0]
        whole_before = path.read_bytes()
        if not journal.append("new", payload_of(99, size)):
            journal.close()
            return
        whole_after = path.read_bytes()
        journal.close()

        length = FRAME + len("new") + size
        written = data.draw(st.integers(0, length), label="bytes written before the crash")
        torn = bytearray(whole_before)
        for offset in range(written):
            at = PAGE + (start + offset) % CAPACITY
            torn[at] = whole_after[at]
        path.write_bytes(torn)

        journal = Journal.open(path, CAPACITY)
        found = drain(journal)
        # Where the last bytes equal what lay there before, the record is whole without them.
        whole = [*kept, Record("new", payload_of(99, size))]
        assert found in (kept, whole)
        assert found == whole or written < length
        journal.close()


@settings(deadline=None, max_examples=80)
@given(
    laps=st.integers(0, 3),
    sizes=st.lists(st.integers(1, 80), min_size=1, max_size=8),
    data=st.data(),
)
def test_damage_costs_the_records_it_touches_and_no_others(
    laps: int, sizes: list[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        journal = Journal.open(path, CAPACITY)
        for _ in range(laps):
            assert journal.append("old", bytes(200))
            drain(journal)
        records = [Record("kind", payload_of(n, size)) for n, size in enumerate(sizes)]
        edges = [journal._end[0]]
        for record in records:
            assert journal.append(record.kind, record.payload)
            edges.append(journal._end[0])
        journal.close()
        first = data.draw(st.integers(edges[0], edges[-1] - 1), label="first damaged position")
        last = data.draw(st.integers(first, edges[-1] - 1), label="last damaged position")
        content = bytearray(path.read_bytes())
        for position in range(first, last + 1):
            content[PAGE + position % CAPACITY] ^= data.draw(st.integers(1, 255), label="bits")
        path.write_bytes(content)

        journal = Journal.open(path, CAPACITY)
        batch = journal.read(10**6, 10**9)
        whole = [
            record
            for record, (begin, end) in zip(records, itertools.pairwise(edges), strict=True)
            if end <= first or begin > last
        ]
        assert list(batch.records) == whole
        assert batch.lost == len(records) - len(whole)
        journal.advance(batch)
        assert journal.pending_bytes == 0
        assert journal.append("kind", b"after")
        assert drain(journal) == [Record("kind", b"after")]
        journal.close()


@given(cut=st.integers(0, 20))
@settings(deadline=None, max_examples=25)
def test_a_crash_while_freeing_space_only_repeats_records(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        journal = Journal.open(path, CAPACITY)
        for number in range(6):
            journal.append("kind", payload_of(number, 30))
        journal.advance(journal.read(2, 10**9))
        before = path.read_bytes()
        journal.advance(journal.read(2, 10**9))
        after = path.read_bytes()
        journal.close()
        changed = [at for at in range(PAGE) if before[at] != after[at]]
        torn = bytearray(before)
        for at in changed[:cut]:
            torn[at] = after[at]
        path.write_bytes(torn)

        journal = Journal.open(path, CAPACITY)
        first = drain(journal)[0].payload
        assert first in (payload_of(2, 30), payload_of(4, 30))
        journal.close()


def test_a_full_journal_takes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", CAPACITY)
    taken = 0
    while journal.append("kind", bytes(100)):
        taken += 1
    before = (tmp_path / "journal").read_bytes()
    assert not journal.append("kind", bytes(100))
    assert (tmp_path / "journal").read_bytes() == before
    assert len(drain(journal)) == taken
    assert journal.append("kind", bytes(100))
    journal.close()


def test_a_record_longer_than_a_quarter_of_the_ring_is_refused(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", CAPACITY)
    assert not journal.append("k", bytes(CAPACITY // 4))
    assert journal.append("k", bytes(CAPACITY // 4 - 1))
    journal.close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    Journal.open(tmp_path / "journal", CAPACITY).close()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "journal.new").exists()


def test_every_byte_of_the_ring_is_allocated(tmp_path: Path) -> None:
    Journal.open(tmp_path / "journal", 256 * 1024).close()
    assert (tmp_path / "journal").stat().st_blocks * 512 >= 256 * 1024


def test_an_existing_journal_keeps_its_capacity(tmp_path: Path) -> None:
    Journal.open(tmp_path / "journal", CAPACITY).close()
    journal = Journal.open(tmp_path / "journal", 4 * CAPACITY)
    assert journal.capacity == CAPACITY
    journal.close()


def test_no_space_for_the_journal_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    # The limit on file sizes stands for a full disk: both fail when the file is made.
    script = f"""
import resource
from pathlib import Path
from headrace.storage.errors import StateUnusable
from headrace.storage.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    Journal.open(Path({str(tmp_path)!r}) / "journal", 1024 * 1024)
except StateUnusable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "the journal of 1024 KiB cannot be made" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a journal", bytes(8192)])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal").write_bytes(content)
    with pytest.raises(StateUnusable, match="not a whole journal"):
        Journal.open(tmp_path / "journal", CAPACITY)


def test_a_shortened_journal_is_refused(tmp_path: Path) -> None:
    Journal.open(tmp_path / "journal", CAPACITY).close()
    shutil.copy(tmp_path / "journal", tmp_path / "copy")
    (tmp_path / "journal").write_bytes((tmp_path / "copy").read_bytes()[:-1])
    with pytest.raises(StateUnusable, match="not a whole journal"):
        Journal.open(tmp_path / "journal", CAPACITY)


def test_two_damaged_tails_are_a_clear_error(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", CAPACITY)
    journal.append("kind", b"x")
    drain(journal)
    journal.close()
    content = bytearray((tmp_path / "journal").read_bytes())
    content[64] ^= 1
    content[128] ^= 1
    (tmp_path / "journal").write_bytes(content)
    with pytest.raises(StateUnusable, match="first page is damaged"):
        Journal.open(tmp_path / "journal", CAPACITY)
