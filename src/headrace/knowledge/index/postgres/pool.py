"""Connections that hold one version, and come back by themselves when the server was away."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.postgres.schema import IN_USE, Connection, connect, is_made, meta

__all__ = ["Pool"]

_TRIES = 5
_SETTINGS = (
    # Twice what is asked for as a rule: it finds more of the best, and rows that may not be read
    # do not make it begin again.
    "SET hnsw.ef_search = 120",
    # Goes on until there are enough rows that may be read.
    "SET hnsw.iterative_scan = strict_order",
    "SET hnsw.max_scan_tuples = 100000",
)


class Pool:
    """Some connections to one version of the index."""

    def __init__(self, server: str, connections: int) -> None:
        self._server = server
        self._free: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()
        self._all: list[Connection] = []
        self.number = 0
        self.version = self.embedder = ""
        first = connect(server)
        try:
            if is_made(first):
                self._choose(first)
        except BaseException:
            first.close()
            raise
        self._all.append(first)
        self._free.put(first)
        for _ in range(connections - 1):
            # Made when they are needed: many services are asked one thing at a time.
            self._free.put(None)

    def _choose(self, database: Connection) -> None:
        """Take hold of the newest version."""
        for _ in range(_TRIES):
            number = int(meta(database, "number") or 0)
            _hold(database, number)
            if int(meta(database, "number") or 0) == number:
                self.number = number
                self.version = meta(database, "version")
                self.embedder = meta(database, "embedder")
                return
            # A new version came while we looked; look again.
            database.execute("SELECT pg_advisory_unlock_all()")
        raise KnowledgeUnusable("versions come too fast", hint="try again")

    def _connected(self) -> Connection:
        """A further connection to the same version.

        Raises:
            KnowledgeUnusable: it was deleted while nobody held it.
        """
        made = connect(self._server)
        try:
            if self.number:
                _hold(made, self.number)
                _check_there(made, self.number)
        except BaseException:
            made.close()
            raise
        self._all.append(made)
        return made

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """One of them, for one thread."""
        taken = self._free.get()
        usable: Connection | None = None
        try:
            usable = taken if taken is not None and _is_alive(taken) else self._connected()
            if taken is not None and usable is not taken:
                self._forget(taken)
            yield usable
        finally:
            self._free.put(usable)

    def _forget(self, dead: Connection) -> None:
        dead.close()
        self._all = [each for each in self._all if each is not dead]

    def close(self) -> None:
        """Close all; the server may delete the version then."""
        for each in self._all:
            each.close()


def _hold(database: Connection, number: int) -> None:
    for setting in _SETTINGS:
        database.execute(setting)
    database.execute("SELECT pg_advisory_lock_shared(%s, %s)", (IN_USE, number))


def _check_there(database: Connection, number: int) -> None:
    if int(meta(database, "swept") or 0) > number:
        raise KnowledgeUnusable(
            "the version of the knowledge base is gone", hint="a newer one is coming"
        )


def _is_alive(database: Connection) -> bool:
    """Whether the server is still at the other end; costs a word there and back."""
    try:
        database.execute("")
    except psycopg.OperationalError:
        return False
    return True
