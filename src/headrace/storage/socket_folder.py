"""A short folder for Unix sockets (their paths end at 107 bytes), gone with its process.

A process that is killed cannot remove its own. So each folder holds a locked file, and who makes a
new one first removes those of this user whose lock the kernel has dropped. Not covered: a folder
whose process was killed in the instant before its lock file was in place; it stays, empty.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["SocketFolder"]

_PREFIX = "headrace-"
_LOCK = "lock"


class SocketFolder:
    """Made, with mode 0700, when it is created; `remove` it in the end."""

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Locked before it has its name: no sweep finds it without its lock.
        unnamed = self.path / f"{_LOCK}.new"
        self._lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # a file system without locks: the folder is not swept then
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove it with all that is in it. Calling it again does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _sweep(parent: Path) -> None:
    """Remove what killed processes of this user left."""
    for folder in parent.glob(f"{_PREFIX}*"):
        # Another process may be sweeping, too.
        with suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
