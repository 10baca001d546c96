"""A table that is only added to: each row's code covers what it says and the row before.

The codes are HMAC-SHA256 under a key of the master key, so who can write the database cannot make
one. Beside the rows stands a seal, how many there are and the last one's code, under a code of its own:
rows that were cut off at the end are missed.

Not noticed is a whole database put back to an earlier state, seal and all: only who has written down
the last code (`verify` prints it) can tell. Rows from before there was a key hold plain digests; they
are counted apart, for they prove nothing against who can write the database.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, select

from headrace.storage.database import upsert
from headrace.storage.tables import meta

__all__ = ["Chain", "Checked", "Link"]

Link: TypeAlias = tuple[int, str, tuple[object, ...]]
"""A row: its number, its code, and what it says."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a chain."""

    rows: int
    head: str
    """Code of the last row; empty: there is none."""
    wrong: int | None = None
    """Number of the first row that was changed or is missing; None: all are as they were written."""
    unkeyed: int = 0
    """How many of the first rows are from before there was a key."""


class _Seal(msgspec.Struct, frozen=True):
    rows: int
    head: str
    code: str


class Chain:
    """Codes of one table. The caller holds the database's write lock while it adds a row."""

    def __init__(self, name: str, key: bytes) -> None:
        """
        Args:
            name: what `meta` knows the seal by; no row of another chain fits.
            key: 32 bytes.
        """
        self._name = f"{name}_seal"
        self._key = key

    def code(self, before: str, said: tuple[object, ...]) -> str:
        """Of a row that says this, after one with the code `before`."""
        return hmac.digest(
            self._key, msgspec.json.encode([self._name, before, said]), "sha256"
        ).hex()

    def end(
        self, connection: Connection, last: int, check: Callable[[], Checked]
    ) -> tuple[int, str]:
        """The next row's number, and the code that it follows.

        What was cut off stays missed: the next row comes after the seal and not after what is left,
        and where the seal itself is gone a number is left out.

        Args:
            last: the highest number that is there.
            check: asked where there is no seal.
        """
        seal = self._sealed(connection)
        if seal is not None:
            return max(seal.rows, last) + 1, seal.head
        checked = check()
        return last + (1 if checked.wrong is None else 2), checked.head

    def seal(self, connection: Connection, rows: int, head: str) -> None:
        """Note that this is all. In the transaction that adds the row."""
        seal = _Seal(rows, head, self.code("", (rows, head)))
        row = {"name": self._name, "value": msgspec.json.encode(seal).decode()}
        connection.execute(upsert(connection, meta, ["value"]), row)

    def check(
        self,
        connection: Connection,
        links: Iterable[Link],
        plain: Callable[[str, tuple[object, ...]], str] | None = None,
    ) -> Checked:
        """Look at every row, in their order, and at the seal.

        Args:
            plain: what a row's digest was before there was a key.
        """
        before, rows, unkeyed = "", 0, 0
        wrong: int | None = None
        for number, code, said in links:
            is_old = plain is not None and unkeyed == rows and code == plain(before, said)
            is_right = is_old or hmac.compare_digest(code, self.code(before, said))
            if wrong is None and (number != rows + 1 or not is_right):
                wrong = rows + 1
            before, rows, unkeyed = code, rows + 1, unkeyed + is_old
        if wrong is None and not self._is_all(connection, rows, before, unkeyed=unkeyed):
            wrong = rows + 1
        return Checked(rows=rows, head=before, wrong=wrong, unkeyed=unkeyed)

    def _is_all(self, connection: Connection, rows: int, head: str, *, unkeyed: int) -> bool:
        seal = self._sealed(connection)
        if seal is None:
            return rows == unkeyed  # none was ever added with a key
        return (seal.rows, seal.head) == (rows, head)

    def _sealed(self, connection: Connection) -> _Seal | None:
        """The seal; None where there is none that was made with the key."""
        query = select(meta.c.value).where(meta.c.name == self._name)
        try:
            seal = msgspec.json.decode(connection.execute(query).scalar() or "", type=_Seal)
        except msgspec.MsgspecError:
            return None
        code = self.code("", (seal.rows, seal.head))
        return seal if hmac.compare_digest(code, seal.code) else None
