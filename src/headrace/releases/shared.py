"""Files of releases that are also in the database, so that every gateway on a server has them."""

from pathlib import Path

from sqlalchemy import select

from headrace.releases.blob import BlobStore
from headrace.releases.errors import ReleaseInvalid
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import release_blobs

__all__ = ["SharedBlobStore"]


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
