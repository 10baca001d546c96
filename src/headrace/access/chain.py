"""A table that is only added to: each row's code covers what it says and the row before.

The codes are HMAC-SHA256 under a key of the master key, so who can write the database cannot make
one. Beside the rows stands a seal, how many there are and the last one's code, under a code of its own:
rows that were cut off at the end are missed.

Not noticed is a whole database put back to an earlier state, seal and all: only who has written down
the last code (`verify` prints it) can tell. Rows from before there was a key hold plain digests; they
are counted apart, for they prove nothing against who can write the database.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, Table, func, insert, select

from headrace.storage.database import upsert
from headrace.storage.tables import meta

__all__ = ["Chain", "Checked", "Row", "Said"]

Row: TypeAlias = Mapping[str, object]
"""Columns by name."""
Said: TypeAlias = tuple[object, ...]
"""What a row says: what its code covers."""


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
    """One table's. The table is known by `number` and by the column that holds the codes."""

    def __init__(
        self,
        table: Table,
        key: bytes,
        said: Callable[[Row], Said],
        *,
        column: str = "code",
        plain: Callable[[str, Said], str] | None = None,
    ) -> None:
        """
        Args:
            key: 32 bytes.
            said: what a row's code covers.
            column: where the codes are.
            plain: what a row's digest was before there was a key, from the one before and what it says.
        """
        self._table = table
        self._seal_name = f"{table.name}_seal"
        self._key = key
        self._said = said
        self._column = column
        self._plain = plain

    def add(
        self, connection: Connection, row: Row, check: Callable[[Connection], Checked] | None = None
    ) -> tuple[int, str]:
        """Add a row in a writing transaction; gives its number and code.

        What was cut off stays missed: the next row comes after the seal and not after what is left,
        and where the seal itself is gone a number is left out.

        Args:
            check: asked where there is no seal; `self.check` unless more than that must hold.
        """
        last = connection.execute(select(func.max(self._table.c.number))).scalar() or 0
        seal = self._sealed(connection)
        if seal is not None:
            number, before = max(seal.rows, last) + 1, seal.head
        else:
            checked = (check or self.check)(connection)
            number, before = last + (1 if checked.wrong is None else 2), checked.head
        added = {**row, "number": number}
        code = self._code(before, self._said(added))
        connection.execute(insert(self._table), {**added, self._column: code})
        self._seal(connection, number, code)
        return number, code

    def check(self, connection: Connection) -> Checked:
        """Look at every row, in their order, and at the seal."""
        before, rows, unkeyed = "", 0, 0
        wrong: int | None = None
        query = select(self._table).order_by(self._table.c.number)
        for row in connection.execute(query).mappings():
            code, said = str(row[self._column]), self._said(row)  # type: ignore[arg-type]  # by name
            is_old = (
                self._plain is not None and unkeyed == rows and code == self._plain(before, said)
            )
            is_right = is_old or hmac.compare_digest(code, self._code(before, said))
            if wrong is None and (row["number"] != rows + 1 or not is_right):
                wrong = rows + 1
            before, rows, unkeyed = code, rows + 1, unkeyed + is_old
        if wrong is None and not self._is_all(connection, rows, before, unkeyed=unkeyed):
            wrong = rows + 1
        return Checked(rows=rows, head=before, wrong=wrong, unkeyed=unkeyed)

    def _code(self, before: str, said: Said) -> str:
        """Of what says this, after a row with the code `before`."""
        told = msgspec.json.encode([self._seal_name, before, said])
        return hmac.digest(self._key, told, "sha256").hex()

    def _seal(self, connection: Connection, rows: int, head: str) -> None:
        seal = _Seal(rows, head, self._code("", (rows, head)))
        row = {"name": self._seal_name, "value": msgspec.json.encode(seal).decode()}
        connection.execute(upsert(connection, meta, ["value"]), row)

    def _is_all(self, connection: Connection, rows: int, head: str, *, unkeyed: int) -> bool:
        seal = self._sealed(connection)
        if seal is None:
            return rows == unkeyed  # none was ever added with a key
        return (seal.rows, seal.head) == (rows, head)

    def _sealed(self, connection: Connection) -> _Seal | None:
        """The seal; None where there is none that was made with the key."""
        query = select(meta.c.value).where(meta.c.name == self._seal_name)
        try:
            seal = msgspec.json.decode(connection.execute(query).scalar() or "", type=_Seal)
        except msgspec.MsgspecError:
            return None
        code = self._code("", (seal.rows, seal.head))
        return seal if hmac.compare_digest(code, seal.code) else None
