"""Brings a database to the newest schema. Imported only when it is not there yet."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from headrace.storage.errors import SchemaTooNew

__all__ = ["alembic_config", "upgrade"]


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings, for the migrations in this folder and this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Run the missing migrations in the connection's transaction: all of them or none.

    The caller holds the write lock, so of two processes that start together the second finds
    nothing left to do.

    Raises:
        SchemaTooNew: the database has a revision that this version does not know.
    """
    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise SchemaTooNew(
            f"the database has schema {current!r}, which this version of Headrace does not know",
            hint="upgrade Headrace to the version that wrote it, or restore an older backup",
        )
    command.upgrade(config, "head")
