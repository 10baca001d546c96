"""The audit log: every change of what is served and of who may ask, with who, why and evidence.

A row is added in the transaction that makes the change: neither is there without the other. Rows are
only added, in a chain of keyed codes (chain.py). No personal data goes in: a person goes by the id that
the database knows them by, and reasons that are about a person stay where they are encrypted.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, TypeAlias, get_args

import msgspec
from sqlalchemy import Connection, RowMapping, select

from headrace.access.chain import Chain, Checked, Row, Said
from headrace.storage.database import Database
from headrace.storage.tables import audit_log

__all__ = ["ACTIONS", "Action", "AuditLog", "Change", "Entry", "changing"]

Action: TypeAlias = Literal[
    "key.create",
    "key.revoke",
    "prompt.tag",
    "prompt.untag",
    "release.promote",
    "release.rollback",
    "release.serve",
    "release.trial",
    "release.trial_end",
    "review.decide",
    "subject.erase",
]
"""What was done. The names are stable: docs/audit.md."""
ACTIONS: tuple[Action, ...] = get_args(Action)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody does."""

    who: str
    """The key's id and name, the user of the machine, or `headrace` itself."""
    action: Action
    target: str
    """What it is done to: an id, a digest, a name."""
    why: str = ""
    """In their words; empty: they gave none."""
    evidence: Mapping[str, object] = {}
    """What it stands on or was before, as JSON."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `at` is epoch seconds."""

    number: int
    at: float
    who: str
    action: str
    target: str
    why: str
    evidence: dict[str, object]
    code: str


class AuditLog:
    """See the module. Reads and writes the database: call it in a thread."""

    def __init__(
        self,
        database: Database,
        key: Callable[[], bytes],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            key: gives the chain's key. Asked when it is needed: who only reads needs none.
        """
        self._database = database
        self._key = key
        self._clock = clock
        self._known: Chain | None = None

    @contextmanager
    def write(self, change: Change) -> Iterator[Connection]:
        """A writing transaction that makes the change, and is in the log when it is committed.

        Raises:
            HeadraceError: the key cannot be had; nothing is changed then.
        """
        chain = self._chain()  # before the transaction: it may read the database
        with self._database.write() as connection:
            yield connection
            self._add(chain, connection, change)

    def add(self, connection: Connection, change: Change) -> None:
        """The same inside of a writing transaction, by who has the key already."""
        self._add(self._chain(), connection, change)

    def record(self, change: Change) -> None:
        """Note a change that is no transaction of this database."""
        with self.write(change):
            pass

    def list(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        action: str | None = None,
        who: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Sequence[Entry]:
        """The newest first.

        Args:
            before: only rows with a lower number (for the next page).
            action: only these; its beginning is enough: `release`.
            who: a part of it is enough, in small or capital letters.
            since, until: epoch seconds; `until` is not included.
        """
        column = audit_log.c
        query = select(audit_log).order_by(column.number.desc()).limit(limit)
        if before is not None:
            query = query.where(column.number < before)
        if action is not None:
            query = query.where(column.action.startswith(action, autoescape=True))
        if who is not None:
            query = query.where(column.who.icontains(who, autoescape=True))
        if since is not None:
            query = query.where(column.at >= since)
        if until is not None:
            query = query.where(column.at < until)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def verify(self) -> Checked:
        """Whether every row is as it was written, and none is missing.

        Raises:
            HeadraceError: the key cannot be had.
        """
        chain = self._chain()
        with self._database.read() as connection:
            return chain.check(connection)

    def _chain(self) -> Chain:
        if self._known is None:
            self._known = Chain(audit_log, self._key(), _said)
        return self._known

    def _add(self, chain: Chain, connection: Connection, change: Change) -> None:
        row: dict[str, object] = {
            "at": self._clock(),
            "who": change.who,
            "action": change.action,
            "target": change.target,
            "why": change.why,
            "evidence": msgspec.json.encode(change.evidence, order="sorted"),
        }
        chain.add(connection, row)


def changing(
    database: Database, audit: AuditLog | None, change: Change
) -> AbstractContextManager[Connection]:
    """A writing transaction that is in the log, where one is kept: databases for a trial have none."""
    return database.write() if audit is None else audit.write(change)


def _said(row: Row) -> Said:
    evidence = row["evidence"]
    data = bytes(evidence) if isinstance(evidence, bytes | memoryview) else b""
    said = (row[name] for name in ("number", "who", "action", "target", "why"))
    return (float(row["at"]), *said, hashlib.sha256(data).hexdigest())  # type: ignore[arg-type]  # the column is a number


def _entry(row: RowMapping) -> Entry:
    try:
        evidence = msgspec.json.decode(bytes(row["evidence"]), type=dict[str, object])
    except msgspec.MsgspecError:  # somebody changed it: `verify` says so, the rest is still read
        evidence = {"damaged": True}
    return Entry(**{**row, "evidence": evidence})
