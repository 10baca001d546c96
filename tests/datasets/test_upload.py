"""Uploaded files: sealed, their owner's alone, gone for good when deleted."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from headrace.datasets.errors import DatasetUnreadable
from headrace.datasets.upload import BLOCK_BYTES, FOLDER, FileStore, StoredFile
from headrace.errors import InvalidRequest, NotFound
from headrace.privacy.vault import Vault
from headrace.storage.database import Database

pytestmark = pytest.mark.engines


@pytest.fixture
def files(database: Database, vault: Vault, tmp_path: Path) -> FileStore:
    return FileStore(database, vault, tmp_path, clock=lambda: 1_000.0)


def put(files: FileStore, data: bytes, *, key: str = "k1", name: str = "rows.jsonl") -> StoredFile:
    writer = files.new(name, "batch", key)
    writer.write(data)
    return writer.close()


def test_what_was_written_is_read_again(files: FileStore) -> None:
    data = bytes(range(256)) * (BLOCK_BYTES // 100)
    kept = put(files, data, name="行.jsonl")
    assert b"".join(files.read(kept)) == data
    assert (kept.bytes, files.get(kept.id, "k1")) == (len(data), kept)
    assert kept.name == "行.jsonl"


@pytest.mark.parametrize("data", [b"", b"a", b"a\n", b"a\n\nb", b"\n", b"a\r\nb\n"])
def test_lines_are_those_of_the_file(files: FileStore, data: bytes) -> None:
    expected = data.split(b"\n")
    assert list(files.lines(put(files, data))) == (expected if expected[-1] else expected[:-1])


def test_lines_go_on_across_blocks(files: FileStore) -> None:
    rows = [b"%d" % i * 40_000 for i in range(60)]
    assert list(files.lines(put(files, b"\n".join(rows)))) == rows


def test_a_file_is_its_owners_alone(files: FileStore) -> None:
    kept = put(files, b"x")
    with pytest.raises(NotFound):
        files.get(kept.id, "k2")
    assert files.page("k2") == ([], False)
    assert files.page(None)[0] == files.page("k1")[0] == [kept]


def test_lists_go_on_where_they_ended(files: FileStore) -> None:
    kept = [put(files, b"x") for _ in range(5)][::-1]
    first, more = files.page("k1", limit=2)
    assert (first, more) == (kept[:2], True)
    rest, more = files.page("k1", limit=3, after=first[-1].id)
    assert (rest, more) == (kept[2:], False)
    assert files.page("k1", newest_first=False)[0] == kept[::-1]
    assert files.page("k1", purpose="fine-tune") == ([], False)


def test_bytes_and_name_are_sealed(files: FileStore, tmp_path: Path) -> None:
    kept = put(files, b"the mill by the river", name="customer-miller.jsonl")
    assert b"river" not in (tmp_path / FOLDER / kept.id).read_bytes()
    for path in tmp_path.glob("state.db*"):
        assert b"customer-miller" not in path.read_bytes()


def test_a_deleted_file_cannot_be_read_even_from_a_copy(files: FileStore, tmp_path: Path) -> None:
    kept = put(files, b"the mill by the river")
    path = tmp_path / FOLDER / kept.id
    copy = path.read_bytes()
    files.delete(kept)
    assert not path.exists()
    path.write_bytes(copy)
    with pytest.raises(DatasetUnreadable):
        list(files.read(kept))
    with pytest.raises(NotFound):
        files.get(kept.id, "k1")


def test_a_changed_file_is_noticed(files: FileStore, tmp_path: Path) -> None:
    kept = put(files, b"the mill by the river" * 1000)
    path = tmp_path / FOLDER / kept.id
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetUnreadable):
        list(files.read(kept))
    path.write_bytes(data[:9])
    with pytest.raises(DatasetUnreadable):
        list(files.read(kept))


def test_an_expired_file_is_gone(database: Database, vault: Vault, tmp_path: Path) -> None:
    now = 1_000.0
    files = FileStore(database, vault, tmp_path, clock=lambda: now)
    writer = files.new("a", "batch", "k1", expires_at=2_000.0)
    kept = writer.close()
    assert files.get(kept.id, "k1") == kept
    now = 2_000.0
    with pytest.raises(NotFound, match="expired"):
        files.get(kept.id, "k1")
    assert files.expire() == 1
    assert files.page(None) == ([], False)


def test_an_abandoned_upload_leaves_nothing(files: FileStore, tmp_path: Path) -> None:
    writer = files.new("a", "batch", "k1")
    writer.write(b"x" * 2_000_000)
    writer.abandon()
    assert list((tmp_path / FOLDER).iterdir()) == []
    with pytest.raises(InvalidRequest, match="purpose"):
        files.new("a", "no-such", "k1")


def test_an_upload_whose_row_cannot_be_written_leaves_nothing(
    files: FileStore, database: Database, tmp_path: Path
) -> None:
    def rename(now: str, then: str) -> None:
        with database.write() as connection:
            connection.execute(text(f"ALTER TABLE {now} RENAME TO {then}"))

    writer = files.new("a", "batch", "k1")
    writer.write(b"x")
    rename("files", "aside")
    with pytest.raises(SQLAlchemyError):
        writer.close()
    with pytest.raises(SQLAlchemyError):
        writer.abandon()
    rename("aside", "files")
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert files.page(None) == ([], False)


def test_what_a_killed_process_left_half_goes_and_nothing_else(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    now = 10_000.0
    files = FileStore(database, vault, tmp_path, clock=lambda: now)
    kept, lost = put(files, b"kept"), put(files, b"lost")
    files.new("a", "batch", "k1")._file.close()  # killed while it was written
    with database.write() as connection:  # and before the row was
        connection.execute(text("DELETE FROM files WHERE id = :id"), {"id": lost.id})
    elsewhere = files.folder / "file-of-another-database"
    elsewhere.touch()
    for path in files.folder.iterdir():
        os.utime(path, (9_000.0, 9_000.0))
    files.expire()
    assert len(list(files.folder.iterdir())) == 4
    now = 13_601.0
    files.expire()
    assert sorted(files.folder.iterdir()) == sorted([files.folder / kept.id, elsewhere])
    assert b"".join(files.read(kept)) == b"kept"
