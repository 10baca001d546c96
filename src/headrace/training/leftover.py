"""What a fine-tune leaves in its folder, and what of it goes.

One that has succeeded never goes on: what only a resumed run reads goes at its end, so that its
checkpoints are weights alone. Of one that was cancelled, or that its owner can no longer resume,
nothing will be made: its checkpoints go at once. Another one that broke off may be resumed (`headrace train resume`)
and keeps everything. When it is old, or its model is deleted, all goes but what was asked, the events,
the result and what says how it ended; one that broke off then begins anew when it is resumed.

Who calls holds the folder's lock. Whatever is cut off here is done by the next call.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from headrace.training.folder import (
    CANCEL,
    CHECKPOINTS,
    ERROR,
    EVENTS,
    JOB,
    LOCK,
    RESULT,
    RESULT_FILE,
)

__all__ = [
    "NOISE_KEY",
    "OPTIMIZER",
    "PROGRESS",
    "clear",
    "drop",
    "ended_at",
    "has_leftovers",
    "shed",
]

OPTIMIZER, PROGRESS = "optimizer.pt", "progress.json"
"""In a checkpoint: what only a resumed run reads."""
NOISE_KEY = "noise.key"
"""In the folder of a private training until it ends: who knows it can take the noise away again."""
_GOING = f".{CHECKPOINTS}.gone"
_KEPT = frozenset((JOB, LOCK, EVENTS, RESULT, CANCEL, ERROR))


def ended_at(folder: Path, *, for_good: bool = False) -> float | None:
    """When it succeeded, was cancelled or (unless `for_good`) failed; None: none of them. Whether a
    process trains there is not looked at."""
    ends = [folder / RESULT / RESULT_FILE, folder / CANCEL]
    for end in ends if for_good else [*ends, folder / ERROR]:
        with suppress(OSError):
            return end.stat().st_mtime
    return None


def has_leftovers(folder: Path, *, for_good: bool) -> bool:
    """Whether there is anything that `shed` (`clear`, unless `for_good`) would delete."""
    if for_good:
        gone = (NOISE_KEY, *((CHECKPOINTS, _GOING) if _is_cancelled(folder) else ()))
        return any((folder / name).exists() for name in gone) or any(_states(folder))
    return any(each.name not in _KEPT for each in folder.iterdir())


def shed(folder: Path) -> None:
    """Delete what only a resumed run needs; of a cancelled one that is all there is."""
    if _is_cancelled(folder):
        drop(folder)
        return
    (folder / NOISE_KEY).unlink(missing_ok=True)
    for path in _states(folder):
        path.unlink(missing_ok=True)
    for part in (folder / CHECKPOINTS).glob(".*.part"):
        shutil.rmtree(part, ignore_errors=True)


def drop(folder: Path) -> None:
    """Delete the checkpoints: a run that is started again begins anew."""
    going = folder / _GOING
    shutil.rmtree(going, ignore_errors=True)
    with suppress(FileNotFoundError):
        # At once: half a checkpoint is none to go on from.
        (folder / CHECKPOINTS).rename(going)
    shutil.rmtree(going, ignore_errors=True)
    (folder / NOISE_KEY).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Delete everything that does not stay for good."""
    drop(folder)
    for path in folder.iterdir():
        if path.name in _KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_cancelled(folder: Path) -> bool:
    return (folder / CANCEL).exists() and not (folder / RESULT).exists()


def _states(folder: Path) -> list[Path]:
    checkpoints = folder / CHECKPOINTS
    return [path for name in (OPTIMIZER, PROGRESS) for path in checkpoints.glob(f"step-*/{name}")]
