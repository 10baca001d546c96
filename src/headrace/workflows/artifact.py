"""What steps leave: content-addressed files and folders, published by rename, never changed again.

In the folder `workflows` of the home:

    work, <run>, <step>.<attempt>       a step's folder while it runs, and beside it its log
    artifacts, ab, <sha256>, <name>     what was kept of it, read-only

An artifact is there whole or not at all: it is written elsewhere, forced to the disk, and renamed.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.ids import new_id
from headrace.workflows.errors import StepFailed

__all__ = ["Artifact", "Workspace", "digest_of"]

FOLDER = "workflows"
_BLOCK = 1 << 20


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that a step left."""

    sha256: str
    name: str
    """Of the file or folder."""
    bytes: int


class Workspace:
    """The files of all runs of a home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._artifacts = self._folder / "artifacts"
        self._work = self._folder / "work"

    def fresh(self, run_id: str, step_id: str, attempt: int) -> Path:
        """An empty folder for one attempt at a step; of this attempt alone."""
        folder = self._work / run_id / f"{_safe(step_id)}.{attempt}.{new_id()[-12:]}"
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def log(self, run_id: str, step_id: str) -> Path:
        """Where the output of a step's process is."""
        folder = self._work / run_id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{_safe(step_id)}.log"

    def path(self, artifact: Artifact) -> Path:
        """Where an artifact is."""
        return self._artifacts / artifact.sha256[:2] / artifact.sha256 / artifact.name

    def has(self, artifact: Artifact) -> bool:
        """Whether it is still there."""
        return self.path(artifact).exists()

    def publish(self, path: Path, what: str) -> Artifact:
        """Keep a file or folder; it is moved away from where it is.

        Raises:
            StepFailed: it is not there, or holds what cannot be kept.
        """
        if not path.exists() or path.is_symlink():
            raise StepFailed(
                f"{what}: the output {path.name!r} was not written",
                hint="write it to the path that `{{ outputs.NAME }}` gives",
            )
        digest, size = digest_of(path)
        artifact = Artifact(sha256=digest, name=path.name, bytes=size)
        there = self.path(artifact)
        there.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if there.exists():
            self.touch(artifact)
        else:
            _settle(path)
            try:
                path.rename(there)
            except OSError:
                # Another run has just published the same folder.
                if not there.exists():
                    raise
            _flush(there.parent)
        return artifact

    def touch(self, artifact: Artifact) -> None:
        """It is needed again: what deletes old artifacts looks at this time."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path(artifact).parent)

    def clear(self, folder: Path) -> None:
        """Drop what an attempt leaves that nobody asked to keep."""
        _drop(folder)

    def drop(self, artifact_digest: str) -> int:
        """Delete an artifact; gives its bytes."""
        folder = self._artifacts / artifact_digest[:2] / artifact_digest
        # Out of the way first, so that nobody finds half of it.
        away = self._artifacts / f"gone-{new_id()}"
        try:
            folder.rename(away)
        except FileNotFoundError:
            return 0
        size = sum(each.lstat().st_size for each in away.rglob("*") if each.is_file())
        _drop(away)
        return size

    def digests(self) -> Iterator[tuple[str, float]]:
        """Every artifact's digest, with when it was last published, in seconds since the epoch."""
        for folder in self._artifacts.glob("??/*"):
            try:
                yield folder.name, folder.stat().st_mtime
            except FileNotFoundError:
                continue

    def size(self, artifact_digest: str) -> int:
        """Bytes of an artifact."""
        folder = self._artifacts / artifact_digest[:2] / artifact_digest
        return sum(each.lstat().st_size for each in folder.rglob("*") if each.is_file())

    def leftovers(self) -> Iterator[Path]:
        """What deleting was killed in the middle of."""
        yield from self._artifacts.glob("gone-*")

    def runs(self) -> Iterator[tuple[str, Path]]:
        """The folders of runs, with their run's id."""
        for folder in self._work.glob("*"):
            yield folder.name, folder

    def drop_folder(self, folder: Path) -> int:
        """Delete a folder of this workspace; gives its bytes."""
        assert folder.is_relative_to(self._folder)
        size = sum(each.lstat().st_size for each in folder.rglob("*") if each.is_file())
        _drop(folder)
        return size


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 of a file, or of a folder's files with their paths; and the bytes of all of them.

    Raises:
        StepFailed: the folder holds a link or a device.
    """
    if path.is_file():
        return _digest_file(path)
    whole, total = hashlib.sha256(b"folder\n"), 0
    for each in sorted(path.rglob("*"), key=lambda each: each.relative_to(path).parts):
        below = each.relative_to(path).as_posix()
        mode = each.lstat().st_mode
        if stat.S_ISDIR(mode):
            whole.update(f"{len(below)} {below}/\n".encode())
        elif stat.S_ISREG(mode):
            digest, size = _digest_file(each)
            executable = "x" if mode & stat.S_IXUSR else "-"
            whole.update(f"{len(below)} {below} {executable} {digest}\n".encode())
            total += size
        else:
            raise StepFailed(
                f"{below}: only files and folders can be kept", hint="write copies, not links"
            )
    return whole.hexdigest(), total


def _digest_file(path: Path) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            size += len(block)
    return found.hexdigest(), size


def _settle(path: Path) -> None:
    """Force it to the disk, and let nobody write to it by mistake."""
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if each.is_file():
            _flush(each)
            each.chmod(stat.S_IMODE(each.stat().st_mode) & ~0o222)


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _drop(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _safe(step_id: str) -> str:
    """A step's id as the name of a file: a matrix may hold any text."""
    if all(each.isalnum() or each in "_-=,[]." for each in step_id) and len(step_id) < 100:
        return step_id
    return f"{step_id.partition('[')[0]}-{hashlib.sha256(step_id.encode()).hexdigest()[:16]}"
