"""One service per home: a lock that the kernel drops when the process ends, however it ends."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from headrace.storage.errors import HomeInUse, StateUnusable

__all__ = ["HomeLock"]


class HomeLock:
    """Held while a service runs. The command line works beside it and does not take it."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Take the lock or raise at once.

        Raises:
            HomeInUse: another process holds it; the message names its pid.
            StateUnusable: the lock file cannot be made.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateUnusable(
                f"{path}: cannot be created: {error.strerror}",
                hint="check the folder's permissions, or choose another with HEADRACE_HOME",
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise HomeInUse(
                f"another service (pid {holder}) already runs on {path.parent}",
                hint="stop it first, or give this one a home of its own with HEADRACE_HOME",
            ) from error
        except OSError as error:
            os.close(file)
            raise StateUnusable(
                f"{path}: this file system cannot lock files: {error.strerror}",
                hint="keep the home on a local disk (HEADRACE_HOME)",
            ) from error
        os.ftruncate(file, 0)
        # The pid is only for the message above; on a full disk the lock holds without it.
        with suppress(OSError):
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        return cls(file)

    def release(self) -> None:
        """Let another service start. Calling it again does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
