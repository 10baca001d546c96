"""What a service's home holds after all: its traces, and whether its database is whole."""

import sqlite3
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from headrace.server.state import DATABASE_FILE

__all__ = ["Kept"]


class Kept:
    """The database of a home, read beside the service or after it."""

    def __init__(self, home: Path) -> None:
        self._path = home / DATABASE_FILE

    def _rows(self, query: str) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def statuses(self) -> dict[str, str]:
        """How each turn ended, by its id."""
        return dict(self._rows("SELECT id, status FROM traces"))

    def unfinished(self) -> list[str]:
        """Turns that have begun and not ended."""
        return [identity for identity, _ in self._rows("SELECT id, 0 FROM open_traces")]

    def is_whole(self) -> bool:
        """Whether SQLite finds nothing wrong with it."""
        return [tuple(row) for row in self._rows("PRAGMA integrity_check")] == [("ok",)]

    def holds(self, traces: Collection[str]) -> str:
        """What is wrong with the traces that clients saw: empty when each is there once."""
        kept = Counter(identity for identity, _ in self._rows("SELECT id, 0 FROM traces"))
        missing = [each for each in traces if not kept[each]]
        doubled = [each for each in kept if kept[each] > 1]
        shared = [each for each, times in Counter(traces).items() if times > 1]
        wrong = {"missing": missing, "kept twice": doubled, "shown twice": shared}
        return "; ".join(f"{what}: {len(ids)} ({ids[0]})" for what, ids in wrong.items() if ids)
