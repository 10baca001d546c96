"""Taking over what another gateway on the same database server has changed.

Keys are looked at by `upkeep.py`, as beside the command line. Here: which release `production` is,
which prompts are tagged, which version of the knowledge base is newest. What has changed is written
into the home as a command of this machine would, and the service reloads as it does then. What
cannot be taken over, as its signer is not trusted yet or its files are not there, is tried again.

A trial (`--canary`) is the business of the gateway it was begun on; the others see its outcome.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from headrace.errors import HeadraceError
from headrace.prompts.store import TAGS_FILE
from headrace.releases.channel import (
    PRODUCTION,
    Serving,
    moving,
    read_serving,
    write_serving,
)
from headrace.releases.store import ReleaseStore
from headrace.server.knowledge import CURRENT
from headrace.storage.database import Database
from headrace.storage.tables import channel_moves, prompt_tags

__all__ = ["Follower"]

LOOK_EVERY_S = 1.0
RETRY_S = 15.0
"""Until a release that could not be taken over is tried again."""
_VERSION = text("SELECT value FROM headrace_knowledge.meta WHERE key = 'version'")

_log = logging.getLogger(__name__)


class Follower:
    """See the module. One process of a home runs it."""

    def __init__(
        self,
        database: Database,
        root: Path,
        home: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._root = root
        self._home = home
        self._releases = ReleaseStore(database, home)
        self._move: str | None = None
        self._refused = ""
        """Why the release of the last move is not served here, if it is not."""
        self._again_at = 0.0
        self._tag: str | None = None
        self._is_away = False

    async def run(self) -> None:
        """Look until cancelled; nothing to do where the database is this home's own file."""
        while self._database.is_postgres:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Take over what has changed since the last look."""
        try:
            with self._database.read() as connection:
                move, tag = _newest(connection)
            version = self._knowledge()
            if move != self._move or (self._refused and self._clock() >= self._again_at):
                self._take_over_release()
                self._move = move
        except SQLAlchemyError as error:
            if not self._is_away:
                _log.error("what other gateways change cannot be read: %s", error)
            self._is_away = True
            return
        self._is_away = False
        if self._tag is not None and tag != self._tag:
            (self._home / TAGS_FILE).touch()
        self._tag = tag
        self._note_knowledge(version)

    def _knowledge(self) -> str | None:
        """The newest version of the knowledge base; None where there is none."""
        try:
            with self._database.read() as connection:
                found = connection.execute(_VERSION).scalar()
        except DBAPIError as error:
            if error.connection_invalidated or "does not exist" not in str(error.orig):
                raise
            return None
        return None if found is None else str(found)

    def _note_knowledge(self, version: str | None) -> None:
        path = self._home / CURRENT
        if version is None or (path.exists() and path.read_text("utf-8") == version):
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.with_suffix(".new").write_text(version, "utf-8")
        path.with_suffix(".new").replace(path)

    def _take_over_release(self) -> None:
        before, self._refused = self._refused, ""
        with moving(self._home):
            digest = self._releases.serving(PRODUCTION)
            serving = read_serving(self._home)
            if digest == (serving.release if serving is not None else ""):
                return
            if serving is not None and serving.canary is not None:
                _log.warning("another gateway has moved production: the trial here ends")
            if not digest:
                write_serving(self._home, None)
                _log.info("the folder's files are served: another gateway went back to them")
                return
            try:
                release = self._releases.get(digest)
                folder = self._releases.unpacked(release, self._root)
            except HeadraceError as error:
                self._refused = f"{digest[:19]}, this one cannot: {error.message} ({error.hint})"
                self._again_at = self._clock() + RETRY_S
                if self._refused != before:
                    _log.error("another gateway serves %s", self._refused)
                return
            serving = Serving(release=digest, name=release.name, folder=str(folder))
            write_serving(self._home, serving)
            _log.info("%s is served: another gateway has deployed it", release.name)


def _newest(connection: Connection) -> tuple[str, str]:
    """The last move of `production`, and of any tag."""
    moves = select(func.max(channel_moves.c.id)).where(channel_moves.c.channel == PRODUCTION)
    tags = select(func.max(prompt_tags.c.id))
    return str(connection.execute(moves).scalar()), str(connection.execute(tags).scalar())
