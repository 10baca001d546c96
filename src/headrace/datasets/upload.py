"""Files that clients upload, and files made for them: sealed in blocks, each under a key of its own.

Deleting a file destroys its key first: what may be left of it on a disk or in a backup of the
folder cannot be read any more.
"""

import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
from sqlalchemy import RowMapping, delete, insert, select

from headrace.datasets.errors import DatasetUnreadable
from headrace.errors import InvalidRequest, NotFound
from headrace.ids import new_id
from headrace.privacy.errors import SealBroken
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import files

__all__ = ["PURPOSES", "FileStore", "FileWriter", "StoredFile"]

FOLDER = "files"
PURPOSES = (
    "assistants", "batch", "batch_output", "evals", "fine-tune", "fine-tune-results", "user_data", "vision"
)  # fmt: skip
BLOCK_BYTES = 1 << 20
ORPHANED_AFTER_S = 3600.0
"""Without a change to its bytes, a file that has no row is nobody's: whoever wrote it was killed."""
SWEEP_EVERY_S = 3600.0
_ASKED_AT_ONCE = 500
_LENGTH = struct.Struct(">I")


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file, as its owner sees it."""

    id: str
    key_id: str
    """Whose it is: other keys do not see it."""
    name: str
    purpose: str
    bytes: int
    digest: str
    """SHA-256 of the bytes, in hex."""
    created_at: float
    expires_at: float | None = None

    @property
    def subject(self) -> str:
        """Whose key seals it: nobody else's."""
        return f"file:{self.id}"


class FileWriter:
    """Takes the bytes of a new file. It is there once `close` has ended, and not before."""

    def __init__(
        self, store: "FileStore", name: str, purpose: str, key_id: str, expires_at: float | None
    ) -> None:
        self._store = store
        self._name, self._purpose, self._key_id = name, purpose, key_id
        self._expires_at = expires_at
        self.id = f"file-{new_id()}"
        self._subject = f"file:{self.id}"
        store.vault.unlock_now(self._subject)
        store.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = store.folder / f"{self.id}.part"
        self._file: BinaryIO = self._path.open("wb")
        self._path.chmod(0o600)
        self._waiting = bytearray()
        self._digest = hashlib.sha256()
        self.bytes = 0

    def describe(self, name: str, purpose: str, expires_at: float | None) -> None:
        """Say what only came with or behind the bytes.

        Raises:
            InvalidRequest: nobody knows that purpose.
        """
        check_purpose(purpose)
        self._name, self._purpose, self._expires_at = name, purpose, expires_at

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self._digest.update(data)
        self._waiting += data
        while len(self._waiting) >= BLOCK_BYTES:
            self._seal(bytes(self._waiting[:BLOCK_BYTES]))
            del self._waiting[:BLOCK_BYTES]

    def close(self) -> StoredFile:
        """The file, on the disk for good."""
        if self._waiting:
            self._seal(bytes(self._waiting))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.replace(self._path.with_suffix(""))
        return self._store._keep(  # noqa: SLF001 - two halves of one thing
            StoredFile(
                id=self.id,
                key_id=self._key_id,
                name=self._name,
                purpose=self._purpose,
                bytes=self.bytes,
                digest=self._digest.hexdigest(),
                created_at=self._store.clock(),
                expires_at=self._expires_at,
            )
        )

    def abandon(self) -> None:
        """Leave nothing behind, wherever `close` may have broken off."""
        with suppress(OSError):  # a full disk: what is not written yet is not wanted either
            self._file.close()
        self._path.unlink(missing_ok=True)
        self._path.with_suffix("").unlink(missing_ok=True)
        self._store.forget(self.id)

    def _seal(self, block: bytes) -> None:
        sealed = self._store.vault.seal_bytes(self._subject, block)
        self._file.write(_LENGTH.pack(len(sealed)))
        self._file.write(sealed)


class FileStore:
    """See the module. Reads and writes files and the database: not for an event loop."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        home: Path,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self.vault = vault
        self.folder = home / FOLDER
        self.clock = clock
        self._swept_at = -SWEEP_EVERY_S

    def new(
        self, name: str, purpose: str, key_id: str, *, expires_at: float | None = None
    ) -> FileWriter:
        """A file to write.

        Raises:
            InvalidRequest: nobody knows that purpose.
        """
        check_purpose(purpose)
        return FileWriter(self, name, purpose, key_id, expires_at)

    def get(self, file_id: str, key_id: str | None) -> StoredFile:
        """
        Args:
            key_id: who asks; None may see every file.

        Raises:
            NotFound: there is no such file, or it is another key's.
        """
        query = select(files).where(files.c.id == file_id)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None or (key_id is not None and row["key_id"] != key_id):
            raise NotFound(f"there is no file {file_id!r}", param="file_id")
        found = self._file(row)
        if found.expires_at is not None and found.expires_at <= self.clock():
            raise NotFound(f"the file {file_id!r} has expired", param="file_id")
        return found

    def page(
        self,
        key_id: str | None,
        *,
        purpose: str | None = None,
        after: str | None = None,
        limit: int = 10_000,
        newest_first: bool = True,
    ) -> tuple[list[StoredFile], bool]:
        """Files, and whether there are more behind them. Arguments as of OpenAI's list."""
        order = files.c.id.desc() if newest_first else files.c.id.asc()
        query = select(files).order_by(order).limit(limit + 1)
        if key_id is not None:
            query = query.where(files.c.key_id == key_id)
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        if after is not None:
            query = query.where(files.c.id < after if newest_first else files.c.id > after)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [self._file(row) for row in rows[:limit]], len(rows) > limit

    def read(self, file: StoredFile) -> Iterator[bytes]:
        """The bytes, a block at a time.

        Raises:
            DatasetUnreadable: it is gone, cut off or was changed.
        """
        path = self.folder / file.id
        size = 0
        try:
            with path.open("rb") as handle:
                while length := handle.read(_LENGTH.size):
                    sealed = handle.read(_LENGTH.unpack(length)[0])
                    block = self.vault.unseal_bytes_if_kept(file.subject, sealed)
                    if block is None:
                        break
                    size += len(block)
                    yield block
        except (OSError, struct.error, SealBroken) as error:
            raise DatasetUnreadable(f"the file {file.id} cannot be read: {error}") from error
        if size != file.bytes:
            raise DatasetUnreadable(f"the file {file.id} was cut off or erased")

    def lines(self, file: StoredFile) -> Iterator[bytes]:
        """The lines, without their ends; the last one need not have one."""
        rest = b""
        for block in self.read(file):
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def delete(self, file: StoredFile) -> None:
        """Destroy its key, then its row and its bytes."""
        self.forget(file.id)
        with suppress(FileNotFoundError):
            (self.folder / file.id).unlink()

    def forget(self, file_id: str) -> None:
        """Destroy the key of a file, then its row; either may be gone."""
        self.vault.destroy(f"file:{file_id}")
        with self._database.write() as connection:
            connection.execute(delete(files).where(files.c.id == file_id))

    def expire(self) -> int:
        """Delete what has expired, and, once an hour, what a killed process left half; gives how
        many files have expired."""
        if self.clock() - self._swept_at >= SWEEP_EVERY_S:
            self._sweep()
            self._swept_at = self.clock()
        query = select(files).where(files.c.expires_at <= self.clock())
        with self._database.read() as connection:
            old = [self._file(row) for row in connection.execute(query).mappings()]
        # On a server there are other homes' files, too, which they delete.
        own = [each for each in old if not self._database.is_postgres or self.is_here(each.id)]
        for each in own:
            self.delete(each)
        return len(own)

    def _sweep(self) -> None:
        """Delete what lies here without a row, and is not being written."""
        before = self.clock() - ORPHANED_AFTER_S
        old: dict[str, Path] = {}
        for path in self.folder.glob("file-*"):
            with suppress(FileNotFoundError):  # deleted, or whole, this moment
                if path.stat().st_mtime < before:
                    old[path.name] = path
        names = sorted(old)
        for start in range(0, len(names), _ASKED_AT_ONCE):
            some = names[start : start + _ASKED_AT_ONCE]
            with self._database.read() as connection:
                query = select(files.c.id).where(files.c.id.in_(some))
                kept = set(connection.execute(query).scalars())
            for name in some:
                # Without a key here it is another database's: nothing of ours is left half.
                if name not in kept and self.vault.destroy(f"file:{name.removesuffix('.part')}"):
                    old[name].unlink(missing_ok=True)

    def is_here(self, file_id: str) -> bool:
        """Whether this home has the bytes of a file."""
        return (self.folder / file_id).exists()

    def _keep(self, file: StoredFile) -> StoredFile:
        row = msgspec.structs.asdict(file)
        row["name_sealed"] = self.vault.seal(file.subject, row.pop("name"))
        with self._database.write() as connection:
            connection.execute(insert(files), row)
        return file

    def _file(self, row: RowMapping) -> StoredFile:
        name = self.vault.unseal_if_kept(f"file:{row['id']}", row["name_sealed"])
        return StoredFile(
            id=row["id"],
            key_id=row["key_id"],
            name=name or "",
            purpose=row["purpose"],
            bytes=row["bytes"],
            digest=row["digest"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
        )


def check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise InvalidRequest(
            f"'purpose' is {purpose!r}; allowed: {', '.join(PURPOSES)}", param="purpose"
        )
