"""Files of releases that are also in the database, so that every gateway on a server has them."""

from pathlib import Path

from sqlalchemy import func, select

from headrace.releases.blob import BlobStore
from headrace.releases.errors import ReleaseInvalid
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import release_blobs

__all__ = ["SharedBlobStore"]

MOST_BYTES = 256 * 1024 * 1024
"""Of a file that is shared: it is sent as one value, of which PostgreSQL takes no more than 1 GB."""
_PIECE_BYTES = 16 * 1024 * 1024


class SharedBlobStore(BlobStore):
    """A folder of files named by their SHA-256, filled up from the database."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder)
        self._database = database

    def put(self, data: bytes) -> str:
        """Keep the bytes in both places; gives their SHA-256 in hex."""
        sha256 = super().put(data)
        with self._database.write(alone=False) as connection:
            row = {"sha256": sha256, "data": data}
            connection.execute(insert_or_ignore(connection, release_blobs), row)
        return sha256

    def get(self, sha256: str) -> bytes:
        """
        Raises:
            ReleaseInvalid: they are in neither place, or were altered.
        """
        try:
            return super().get(sha256)
        except ReleaseInvalid:
            query = select(release_blobs.c.data).where(release_blobs.c.sha256 == sha256)
            with self._database.read() as connection:
                data = connection.execute(query).scalar()
            if data is None:
                raise
            super().put(data)
            return super().get(sha256)

    def share(self, sha256: str, path: Path) -> None:
        """Put a file of this home into the database, once; a larger one than MOST_BYTES stays out."""
        known = select(release_blobs.c.sha256).where(release_blobs.c.sha256 == sha256)
        with self._database.read() as connection:
            if connection.execute(known).first() is not None:
                return
        if path.stat().st_size > MOST_BYTES:
            return  # who misses it says so, and how to carry it
        with self._database.write(alone=False) as connection:
            row = {"sha256": sha256, "data": path.read_bytes()}
            connection.execute(insert_or_ignore(connection, release_blobs), row)

    def fetch(self, sha256: str, path: Path) -> bool:
        """Write what another home shared into a file; False: none did. The caller looks at the bytes."""
        size = select(func.length(release_blobs.c.data)).where(release_blobs.c.sha256 == sha256)
        with self._database.read() as connection, path.open("wb") as file:
            bytes_ = connection.execute(size).scalar()
            for start in range(0, bytes_ or 0, _PIECE_BYTES):
                piece = func.substr(release_blobs.c.data, start + 1, _PIECE_BYTES)
                query = select(piece).where(release_blobs.c.sha256 == sha256)
                file.write(bytes(connection.execute(query).scalar_one()))
        return bytes_ is not None
