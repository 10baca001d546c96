"""Files of releases, by content: what is there is whole, and never changes."""

import hashlib
import os
from pathlib import Path

from headrace.ids import new_id
from headrace.releases.errors import ReleaseInvalid

__all__ = ["BlobStore"]


class BlobStore:
    """A folder of files named by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Keep the bytes; gives their SHA-256 in hex."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = path.with_name(f"{new_id()}.part")
            try:
                with part.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return sha256

    def get(self, sha256: str) -> bytes:
        """
        Raises:
            ReleaseInvalid: they are gone, or were altered.
        """
        try:
            data = self._path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise ReleaseInvalid(
                f"the blob {sha256} is gone",
                hint="restore it from your backup, or import the release",
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ReleaseInvalid(
                f"the blob {sha256} was altered", hint="restore it from your backup"
            )
        return data

    def share(self, sha256: str, path: Path) -> None:
        """Give a file of this home to who shares its database: here, nobody."""

    def fetch(self, sha256: str, path: Path) -> bool:
        """Write what another shared into a file; False: nobody did."""
        return False

    def _path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256
