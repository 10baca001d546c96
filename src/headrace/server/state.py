"""Where a service keeps its state, and how other commands find the one that runs.

`service.json` says where a running service listens. It may outlive a service that was killed, so
what counts is the lock: the kernel drops it with the process.
"""

import fcntl
import os
import secrets
import ssl
from contextlib import suppress
from pathlib import Path

import msgspec

__all__ = [
    "DATABASE_FILE",
    "GATEWAY_FILE",
    "JOURNAL_FILE",
    "LIMITS_FILE",
    "LOCK_FILE",
    "SERVICE_FILE",
    "RunningService",
    "announce",
    "database_of",
    "gateway_of",
    "running_service",
    "withdraw",
]

DATABASE_FILE = "state.db"
JOURNAL_FILE = "journal.ring"
LIMITS_FILE = "limits.map"
"""What workers have counted, while several run and after they were all killed."""
GATEWAY_FILE = "gateway"
"""What tells this home's turns from those of others on the same database server."""
SERVICE_FILE = "service.json"
LOCK_FILE = "journal.lock"
"""Held by the process that the service is: the only one, or the supervisor of its workers."""


def database_of(setting: str | None, home: Path) -> str | Path:
    """What to open as the database: the setting's server, else the home's own file."""
    return home / DATABASE_FILE if setting is None else setting


def gateway_of(home: Path) -> str:
    """What the boots of this home's processes begin with, where several homes share a database.

    So a gateway that starts takes only its own unfinished turns for interrupted.
    """
    path = home / GATEWAY_FILE
    with suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(f"g{secrets.token_hex(4)}-")
    return path.read_text("ascii")


class RunningService(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service of a home listens."""

    url: str
    pid: int
    started_at: float
    """Seconds since the epoch."""
    workers: int = 1
    """Processes that answer there."""
    certificate: str = ""
    """File with the certificate that it shows; empty without TLS."""

    def verify(self) -> ssl.SSLContext | bool:
        """What an HTTP client on this machine verifies it with.

        The certificate is for the name by which others know the service, not for 127.0.0.1; so the
        file itself is what is trusted, whoever signed it.
        """
        if not self.certificate:
            return True
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def announce(home: Path, service: RunningService) -> None:
    """Say where this home's service listens."""
    temporary = home / f"{SERVICE_FILE}.{os.getpid()}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(msgspec.json.encode(service) + b"\n")
    temporary.replace(home / SERVICE_FILE)


def withdraw(home: Path) -> None:
    """The service has ended."""
    (home / SERVICE_FILE).unlink(missing_ok=True)


def running_service(home: Path) -> RunningService | None:
    """The service that runs on this home, or None."""
    try:
        found = msgspec.json.decode((home / SERVICE_FILE).read_bytes(), type=RunningService)
        os.kill(found.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    # The pid may be a stranger's by now. Looked at last, because looking takes the lock for a
    # moment, and a service that starts just then would think it taken.
    return found if _is_locked(home / LOCK_FILE) else None


def _is_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
