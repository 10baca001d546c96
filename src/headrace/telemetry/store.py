"""Traces in the database: written in batches by the writer, read by the page and command line.

Everything here reads or writes the database, so the server calls it in a thread. What it reads
is what the writer has committed; a turn that has just ended appears within a tenth of a second
(`BatchWriter.flush` waits for it).
"""

import re
from collections.abc import Sequence
from functools import cache
from operator import attrgetter

import msgspec
from sqlalchemy import (
    Connection,
    Dialect,
    Executable,
    LargeBinary,
    RowMapping,
    Select,
    String,
    bindparam,
    delete,
    exists,
    func,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from headrace.errors import NotFound
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import feedback, open_traces, traces
from headrace.storage.writer import JointHandler, RecordHandler
from headrace.telemetry.record import Detail, TraceBegin, TraceEnd
from headrace.telemetry.recorder import TRACE_BEGIN, TRACE_END
from headrace.telemetry.seal import Sealer
from headrace.telemetry.trace import Trace, TraceStatus

__all__ = ["Pruned", "TraceStore", "joint_trace_handlers", "trace_handlers"]

_DELETE_ROWS = 500
"""Rows a pruning transaction takes, so that the writer never waits long for the lock."""

_encode = msgspec.msgpack.Encoder().encode
_decode_begin = msgspec.msgpack.Decoder(TraceBegin).decode
_decode_detail = msgspec.msgpack.Decoder(Detail).decode

_FIELDS = tuple(
    name
    for name in Trace.__struct_fields__
    if name not in ("spans", "findings", "input", "output", "clock_zero")
)
_COLUMNS = tuple(traces.c[name] for name in _FIELDS)
_ROW_NAMES = (*_FIELDS, "detail", "input_sealed", "output_sealed", "size_bytes")
_figures = attrgetter(*_FIELDS)

_Begun = msgspec.defstruct("_Begun", [("id", str), ("boot", str)], array_like=True)
"""The first fields of a `TraceBegin`; what follows is skipped, which costs far less."""
_EndTrace = msgspec.defstruct(
    "_EndTrace",
    [
        (each.name, msgspec.Raw if each.name in ("spans", "findings") else each.type)
        for each in msgspec.structs.fields(Trace)
        if each.name in (*_FIELDS, "spans", "findings")
    ],
    kw_only=True,
)
"""A `Trace` whose spans and findings stay as they came: the column takes them so."""
_End = msgspec.defstruct(
    "_End",
    [
        ("trace", _EndTrace),
        ("input_sealed", bytes | None),
        ("output_sealed", bytes | None),
        ("was_noted", bool, True),
    ],
    array_like=True,
)
_decode_begun = msgspec.msgpack.Decoder(_Begun).decode
_decode_end = msgspec.msgpack.Decoder(_End).decode
_PAIR = b"\x92"
"""MessagePack's head of an array of two, which a `Detail` is."""


class Pruned(msgspec.Struct, frozen=True):
    """What retention removed."""

    by_age: int = 0
    by_size: int = 0
    freed_bytes: int = 0


class TraceStore:
    """Queries over stored traces."""

    def __init__(self, database: Database, vault: Sealer) -> None:
        self._database = database
        self._vault = vault

    def list(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        conversation: str | None = None,
        status: TraceStatus | None = None,
        model: str | None = None,
        key_id: str | None = None,
    ) -> list[Trace]:
        """The newest traces first, with spans and findings but without texts.

        Args:
            before: a trace id; only older ones are given (for the next page).
        """
        query = select(*_COLUMNS, traces.c.detail).order_by(traces.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(traces.c.id < before)
        wanted = {"conversation": conversation, "status": status, "model": model, "key_id": key_id}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(traces.c[name] == value)
        with self._database.read() as connection:
            return [_trace(row) for row in connection.execute(query).mappings()]

    def get(self, trace_id: str) -> Trace:
        """One trace with its texts; they are empty if they were not kept or their key is gone.

        Raises:
            NotFound: no such trace (or its turn has not ended yet).
            SealBroken: the stored texts were changed.
        """
        query = select(*_COLUMNS, traces.c.detail, traces.c.input_sealed, traces.c.output_sealed)
        with self._database.read() as connection:
            row = connection.execute(query.where(traces.c.id == trace_id)).mappings().first()
        if row is None:
            raise NotFound(
                f"no trace has the id {trace_id!r}",
                hint="traces are kept as long as `traces.retention_days` and `traces.max_mb` say",
            )
        trace = _trace(row)
        trace.input = self._unseal(trace.subject, row["input_sealed"])
        trace.output = self._unseal(trace.subject, row["output_sealed"])
        return trace

    def find(self, name: str) -> str:
        """The id that `name` means: an id, an unmistakable beginning or ending of one, or `last`.

        Raises:
            NotFound: nothing matches, or several traces do.
        """
        query = select(traces.c.id).order_by(traces.c.id.desc()).limit(2)
        if name != "last":
            if not name or set(name) - set("0123456789abcdef-"):
                raise NotFound(f"{name!r} is not a trace id", hint="see `headrace trace list`")
            query = query.where(traces.c.id.like(f"{name}%") | traces.c.id.like(f"%{name}"))
        with self._database.read() as connection:
            found = connection.execute(query).scalars().all()
        if not found:
            raise NotFound(f"no trace matches {name!r}", hint="see `headrace trace list`")
        if len(found) > 1 and name != "last":
            raise NotFound(f"several traces match {name!r}", hint="give more of the id")
        return str(found[0])

    def close_unfinished(self, boot: str, *, of: str = "") -> int:
        """Store the turns that an earlier process left unfinished, as `interrupted`.

        Call it once the writer has started. Turns of this process (`boot`) are left alone.

        Args:
            of: what the boots of the processes that ended begin with, where others still run.

        Returns:
            How many there were.
        """
        left = (open_traces.c.boot != boot) & open_traces.c.boot.startswith(of, autoescape=True)
        with self._database.write() as connection:
            rows = connection.execute(
                select(open_traces.c.id, open_traces.c.record).where(left)
            ).all()
            for row in rows:
                trace = _decode_begin(row.record).trace
                trace.status, trace.error = "interrupted", "interrupted"
                connection.execute(
                    insert_or_ignore(connection, traces), _row(TraceEnd(trace, None, None))
                )
            connection.execute(delete(open_traces).where(left))
        return len(rows)

    def has_begun(self, trace_id: str) -> bool:
        """Whether a turn of that id was ever begun, as far as the writer has got."""
        with self._database.read() as connection:
            return any(
                connection.execute(select(table.c.id).where(table.c.id == trace_id)).first()
                for table in (traces, open_traces)
            )

    def prune(self, *, retention_days: float, max_mb: int, now: float) -> Pruned:
        """Delete traces older than `retention_days`, then the oldest beyond `max_mb`.

        Their feedback goes with them. The size is what traces take: texts, spans and figures.
        Between two transactions of some hundred rows the writer gets its turn.

        Raises:
            SQLAlchemyError: the database stayed locked, or is sick; call it again later.
        """
        horizon = now - retention_days * 86_400
        by_age, freed = self._delete(select(traces.c.id).where(traces.c.started_at < horizon))
        by_size = 0
        while (over := self._size_bytes() - max_mb * 1024 * 1024) > 0:
            gone, bytes_gone = self._delete_oldest(over)
            by_size, freed = by_size + gone, freed + bytes_gone
            if not gone:
                break
        if by_age or by_size:
            self._database.shrink()
        return Pruned(by_age, by_size, freed)

    def _unseal(self, subject: str, sealed: bytes | None) -> str:
        return "" if sealed is None else self._vault.unseal_if_kept(subject, sealed) or ""

    def _size_bytes(self) -> int:
        with self._database.read() as connection:
            return int(connection.execute(select(func.sum(traces.c.size_bytes))).scalar() or 0)

    def _delete(self, which: Select[str]) -> tuple[int, int]:
        """Delete the traces selected, some hundred a transaction: (how many, bytes)."""
        total = freed = 0
        while True:
            with self._database.write() as connection:
                ids = connection.execute(which.limit(_DELETE_ROWS)).scalars().all()
                freed += _delete_rows(connection, ids)
            total += len(ids)
            if len(ids) < _DELETE_ROWS:
                return total, freed

    def _delete_oldest(self, over_bytes: int) -> tuple[int, int]:
        """Delete the oldest traces until `over_bytes` are freed, or one transaction is full."""
        oldest = select(traces.c.id, traces.c.size_bytes).order_by(traces.c.started_at)
        with self._database.write() as connection:
            ids: list[str] = []
            taken = 0
            for row in connection.execute(oldest.limit(_DELETE_ROWS)):
                if taken >= over_bytes:
                    break
                ids.append(row.id)
                taken += row.size_bytes
            return len(ids), _delete_rows(connection, ids)


def trace_handlers() -> dict[str, RecordHandler]:
    """What the batch writer does with the recorder's records."""
    return {TRACE_BEGIN: _write_begins, TRACE_END: _write_ends}


def joint_trace_handlers() -> dict[tuple[str, ...], JointHandler]:
    """What it does with a batch of them: a turn that ended in it need not be noted as begun."""
    return {(TRACE_BEGIN, TRACE_END): _write_turns}


# Made once: making a statement costs more than running it.
_FORGET_OPEN = delete(open_traces).where(open_traces.c.id == bindparam("ended"))


@cache
def _opening(dialect: str) -> Executable:
    """Notes a turn as begun, unless its end is stored: after a crash a begin may come again."""
    values = (("id", String), ("boot", String), ("record", LargeBinary))
    ended = exists().where(traces.c.id == bindparam("new_id", type_=String))
    new = select(*(bindparam(f"new_{name}", type_=kind) for name, kind in values)).where(~ended)
    names = [name for name, _ in values]
    if dialect == "sqlite":
        return sqlite.insert(open_traces).from_select(names, new).on_conflict_do_nothing()
    # Its import, so only for those who have a server.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(open_traces).from_select(names, new).on_conflict_do_nothing()


def _write_turns(connection: Connection, groups: Sequence[Sequence[bytes]]) -> None:
    begun = [_begun(payload)[0] for payload in groups[0]]
    ends = [_decode_end(payload) for payload in groups[1]]
    rows = [_row_of(end) for end in ends]
    ended = {row[0] for row in rows}
    still_open = [
        payload for each, payload in zip(begun, groups[0], strict=True) if each not in ended
    ]
    if still_open:
        _write_begins(connection, still_open)
    if rows:
        _insert_ends(connection, rows)
        noted = {row[0] for row, end in zip(rows, ends, strict=True) if _was_noted(end)}
        noted.difference_update(begun)
        if noted:
            connection.execute(_FORGET_OPEN, [{"ended": each} for each in noted])


def _begun(payload: bytes) -> tuple[str, str]:
    """A turn's id, and the process it began in."""
    turn, boot = msgspec.structs.astuple(_decode_begun(payload))
    return turn, boot


def _was_noted(end: msgspec.Struct) -> bool:
    return bool(end.was_noted)  # type: ignore[attr-defined]


def _write_begins(connection: Connection, payloads: Sequence[bytes]) -> None:
    rows = []
    for payload in payloads:
        turn, boot = _begun(payload)
        rows.append({"new_id": turn, "new_boot": boot, "new_record": payload})
    connection.execute(_opening(connection.dialect.name), rows)


def _write_ends(connection: Connection, payloads: Sequence[bytes]) -> None:
    rows = [_row_of(_decode_end(payload)) for payload in payloads]
    _insert_ends(connection, rows)
    connection.execute(_FORGET_OPEN, [{"ended": row[0]} for row in rows])


def _insert_ends(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    if connection.dialect.name == "postgresql":
        from headrace.storage.postgres import copy_or_ignore

        copy_or_ignore(connection, traces, _ROW_NAMES, rows)
        return
    # Past SQLAlchemy's handling of each value, which costs more than the database does. And many
    # rows at a time: with each statement the driver lets go of Python's lock, and has to wait until
    # whoever answers requests meanwhile gives it back.
    at = 0
    for size in _TOGETHER:
        sql, order = _insertion(connection.dialect, size)
        while at + size <= len(rows):
            some = rows[at : at + size]
            connection.exec_driver_sql(sql, tuple([row[each] for row in some for each in order]))
            at += size
    if at < len(rows):
        sql, order = _insertion(connection.dialect, 1)
        connection.exec_driver_sql(sql, [tuple([row[each] for each in order]) for row in rows[at:]])


_TOGETHER = (64, 16)
"""Rows of one statement: few sizes, so that the driver keeps each prepared."""


@cache
def _insertion(dialect: Dialect, size: int) -> tuple[str, Sequence[int]]:
    """The statement for so many rows as the driver takes it, and where in a row its values stand."""
    compiled = sqlite.insert(traces).on_conflict_do_nothing().compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup is not None
    before, values, after = re.split(r"(?<=VALUES )(\([?, ]+\))", str(compiled))
    return (
        f"{before}{', '.join([values] * size)}{after}",
        [_ROW_NAMES.index(name) for name in compiled.positiontup],
    )


def _delete_rows(connection: Connection, ids: Sequence[str]) -> int:
    if not ids:
        return 0
    size = select(func.sum(traces.c.size_bytes)).where(traces.c.id.in_(ids))
    freed = int(connection.execute(size).scalar() or 0)
    connection.execute(delete(feedback).where(feedback.c.trace_id.in_(ids)))
    connection.execute(delete(traces).where(traces.c.id.in_(ids)))
    return freed


def _row_of(end: msgspec.Struct) -> tuple[object, ...]:
    """The row of an ended turn (`_End`), as `_ROW_NAMES` orders it; the id comes first."""
    trace, asked, answered, _ = msgspec.structs.astuple(end)
    detail = b"".join((_PAIR, trace.spans, trace.findings))
    size = len(detail) + len(asked or b"") + len(answered or b"")
    return (*_figures(trace), detail, asked, answered, size)


def _row(end: TraceEnd) -> dict[str, object]:
    trace = end.trace
    row: dict[str, object] = {name: getattr(trace, name) for name in _FIELDS}
    detail = _encode(Detail(trace.spans, trace.findings))
    row["detail"] = detail
    row["input_sealed"], row["output_sealed"] = end.input_sealed, end.output_sealed
    row["size_bytes"] = len(detail) + len(end.input_sealed or b"") + len(end.output_sealed or b"")
    return row


def _trace(row: RowMapping) -> Trace:
    detail = _decode_detail(row["detail"])
    fields = {name: row[name] for name in _FIELDS}
    return msgspec.convert(
        {**fields, "spans": detail.spans, "findings": detail.findings, "clock_zero": 0.0}, Trace
    )
