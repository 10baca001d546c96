"""Where a command acts: the folder it is called in, and the state that belongs to it."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from headrace.config.database import database_setting
from headrace.config.load import home_dir, home_path
from headrace.errors import NotFound
from headrace.server.state import DATABASE_FILE, database_of

if TYPE_CHECKING:
    from headrace.access.audit import AuditLog
    from headrace.storage.database import Database

__all__ = ["Place", "open_database", "who"]


@dataclass(frozen=True, slots=True)
class Place:
    """One service as the command line finds it. Commands work beside a running service."""

    root: Path
    """The service's folder."""
    home: Path
    """Its state; may not be there yet."""

    @classmethod
    def here(cls) -> Self:
        root = Path.cwd()
        return cls(root, home_path(root, os.environ))

    def made(self) -> Self:
        """This place, its home made if it was not there.

        Raises:
            ConfigError: it cannot be made.
        """
        home_dir(self.root, os.environ)
        return self

    @property
    def server(self) -> str | None:
        """The address of the database server that `database:` names; None: a file of the home.

        Raises:
            ConfigError: it is wrong.
        """
        return database_setting(self.root, os.environ)

    @property
    def has_state(self) -> bool:
        """Whether there may be anything to read."""
        return self.server is not None or (self.home / DATABASE_FILE).exists()

    @contextmanager
    def database(self) -> Iterator["Database"]:
        """The open database.

        Raises:
            NotFound: nothing has run here yet; nothing is made by looking.
            StateUnusable: it cannot be opened, is damaged, or stays busy.
        """
        if not self.has_state:
            raise NotFound(
                f"there is no service state in {self.home}",
                hint="call this in the service's folder, or start the service: `headrace up`",
            )
        with open_database(database_of(self.server, self.home)) as database:
            yield database

    @contextmanager
    def new_database(self) -> Iterator["Database"]:
        """The same, made if it was not there."""
        with open_database(database_of(self.server, self.made().home)) as database:
            yield database

    def audit(self, database: "Database") -> "AuditLog":
        """Where changes are noted. Asks for the master key when there is one to note."""
        from headrace.access.audit import AuditLog
        from headrace.privacy.vault import Vault

        return AuditLog(
            database, lambda: Vault.open(database, self.home, environ=os.environ).audit_secret
        )


def who() -> str:
    """Whoever is logged in: the command line has no key."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


@contextmanager
def open_database(where: str | Path) -> Iterator["Database"]:
    """An open database that says what to do when it fails half-way."""
    from sqlalchemy.exc import DatabaseError

    from headrace.storage.database import Database
    from headrace.storage.errors import StateUnusable

    database = Database.open(where)
    try:
        yield database
    except DatabaseError as error:
        raise StateUnusable(
            f"{where if isinstance(where, Path) else 'the database'}: {error.orig}",
            hint="if it is locked, try again; otherwise check the disk: `headrace doctor`",
        ) from error
    finally:
        database.close()
