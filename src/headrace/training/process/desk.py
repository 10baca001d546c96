"""What passes between the workers on a cluster and the process that holds the job's folder.

A desk is a Ray actor on that process's machine: the first of the workers puts down events and
checkpoints, the process takes them and writes its folder, so that no machine needs another's disk.
"""

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import ray

from headrace.errors import HeadraceError
from headrace.training.job import EventType, Level

__all__ = ["Broken", "Desk", "Kept", "Note", "Paused", "Told", "Trained", "packed", "unpacked"]


@dataclass(frozen=True, slots=True)
class Told:
    """An event."""

    type: EventType
    message: str
    data: dict[str, str | int | float | bool | None]
    level: Level


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint."""

    step: int
    best_step: int
    files: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trained:
    """The end."""

    progress: bytes
    files: bytes = field(repr=False)
    """The weights that are wanted."""
    machine: str


@dataclass(frozen=True, slots=True)
class Paused:
    """It was asked to end, and has, with a checkpoint."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What another try would not mend."""

    error: HeadraceError


Note = Told | Kept | Trained | Paused | Broken


class _Desk:
    """Its methods are called from elsewhere, one at a time."""

    def __init__(self, kept: list[Kept]) -> None:
        """
        Args:
            kept: checkpoints of earlier starts: the newest last, and the best.
        """
        self._kept = {each.step: each for each in kept}
        self._notes: list[Note] = []
        self._is_ending = self._is_over = False

    def put(self, note: Note) -> None:
        if isinstance(note, Kept):
            self._kept = {
                step: each for step, each in self._kept.items() if step == note.best_step
            } | {note.step: note}
        self._is_over |= isinstance(note, Trained | Paused | Broken)
        self._notes.append(note)

    def take(self) -> list[Note]:
        notes, self._notes = self._notes, []
        return notes

    def is_over(self) -> bool:
        """Whether there is nothing left to do for a worker that starts."""
        return self._is_over

    def kept(self) -> list[Kept]:
        """What a worker that starts goes on from."""
        return [self._kept[step] for step in sorted(self._kept)]

    def end(self) -> None:
        self._is_ending = True

    def is_ending(self) -> bool:
        return self._is_ending


Desk = ray.remote(_Desk)


def packed(folder: Path) -> bytes:
    """The files of a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return buffer.getvalue()


def unpacked(files: bytes, folder: Path) -> None:
    """Make a folder of them."""
    folder.mkdir(mode=0o700, parents=True)
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        archive.extractall(folder, filter="data")
