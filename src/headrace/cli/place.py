"""Where a command acts: the folder it is called in, and the state that belongs to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from headrace.config.load import home_dir, home_path
from headrace.errors import NotFound
from headrace.server.state import DATABASE_FILE

if TYPE_CHECKING:
    from headrace.storage.database import Database

__all__ = ["Place"]


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

    @contextmanager
    def database(self) -> Iterator["Database"]:
        """The open database.

        Raises:
            NotFound: nothing has run here yet; nothing is made by looking.
            StateUnusable: it cannot be opened, is damaged, or stays busy.
        """
        path = self.home / DATABASE_FILE
        if not path.exists():
            raise NotFound(
                f"there is no service state in {self.home}",
                hint="call this in the service's folder, or start the service: `headrace up`",
            )
        with open_database(path) as database:
            yield database

    @contextmanager
    def new_database(self) -> Iterator["Database"]:
        """The same, made if it was not there."""
        with open_database(self.made().home / DATABASE_FILE) as database:
            yield database


@contextmanager
def open_database(path: Path) -> Iterator["Database"]:
    """An open database that says what to do when it fails half-way."""
    from sqlalchemy.exc import DatabaseError

    from headrace.storage.database import Database
    from headrace.storage.errors import StateUnusable

    database = Database.open(path)
    try:
        yield database
    except DatabaseError as error:
        raise StateUnusable(
            f"{path}: {error.orig}",
            hint="if it is locked, try again; otherwise check the disk: `headrace doctor`",
        ) from error
    finally:
        database.close()
