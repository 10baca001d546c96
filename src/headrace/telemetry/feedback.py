"""Feedback: what people say about an answer, kept with its trace."""

import time
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, Select, func, select

from headrace.errors import InvalidRequest
from headrace.ids import new_id
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.errors import StateUnusable
from headrace.storage.tables import feedback, traces
from headrace.storage.writer import RecordHandler, RecordWriter
from headrace.telemetry.record import FeedbackRecord
from headrace.telemetry.seal import Sealer

__all__ = [
    "FEEDBACK",
    "Feedback",
    "FeedbackStore",
    "corrections",
    "feedback_handlers",
    "last_ratings",
]

FEEDBACK = "feedback"
COMMENT_CHARS = 10_000
CORRECTION_CHARS = 100_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FeedbackRecord).decode


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """One rating of one answer. `score` is 1 (good) or -1 (bad); `created_at` epoch seconds."""

    id: str
    trace_id: str
    key_id: str
    score: int
    comment: str
    created_at: float
    correction: str = ""
    """What the answer should have been."""


class FeedbackStore:
    """Ratings go in through the writer. Comments are sealed under the key of who wrote them,
    corrections under that of the person whom the answer is about: they go with that person."""

    def __init__(self, database: Database, writer: RecordWriter, vault: Sealer) -> None:
        self._database = database
        self._writer = writer
        self._vault = vault

    async def record(
        self,
        trace_id: str,
        score: int,
        comment: str,
        key_id: str,
        *,
        correction: str = "",
        subject: str = "",
    ) -> Feedback:
        """Keep a rating; a later one by the same key for the same trace counts instead of it.

        Args:
            correction: what the answer should have been.
            subject: whom the trace is about; needed for a correction.

        Raises:
            InvalidRequest: the score is neither 1 nor -1, or a text is too long.
            StateUnusable: the journal is full, because the database cannot be written.
        """
        if score not in (-1, 1):
            raise InvalidRequest(f"score must be 1 or -1, not {score}", param="score")
        _check_length("comment", comment, COMMENT_CHARS)
        _check_length("correction", correction, CORRECTION_CHARS)
        given = Feedback(
            id=new_id(),
            trace_id=trace_id,
            key_id=key_id,
            score=score,
            comment=comment,
            created_at=time.time(),
            correction=correction,
        )
        record = FeedbackRecord(
            given.id,
            trace_id,
            key_id,
            score,
            await self._sealed(key_id, comment),
            given.created_at,
            await self._sealed(subject, correction),
        )
        if not self._writer.append(FEEDBACK, _encode(record)):
            raise StateUnusable("the rating cannot be stored now", hint="try again in a minute")
        return given

    async def _sealed(self, subject: str, text: str) -> bytes | None:
        """None for no text, and for a text about somebody who was erased."""
        if not text:
            return None
        await self._vault.unlock(subject)
        return self._vault.seal_if_unlocked(subject, text)

    def for_trace(self, trace_id: str) -> list[Feedback]:
        """The ratings of a trace that count, oldest first: the last one of each key.

        Reads the database: call it in a thread.
        """
        query = (
            select(feedback, traces.c.subject)
            .outerjoin(traces, traces.c.id == feedback.c.trace_id)
            .where(feedback.c.trace_id == trace_id)
            .order_by(feedback.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        last = {row.key_id: row for row in rows}
        return [
            Feedback(
                id=row.id,
                trace_id=row.trace_id,
                key_id=row.key_id,
                score=row.score,
                comment=self._text(row.key_id, row.comment_sealed),
                created_at=row.created_at,
                correction=self._text(row.subject, row.correction_sealed),
            )
            for row in sorted(last.values(), key=lambda row: str(row.id))
        ]

    def _text(self, subject: str | None, sealed: bytes | None) -> str:
        if sealed is None or subject is None:
            return ""
        return self._vault.unseal_if_kept(subject, sealed) or ""


def last_ratings() -> Select[tuple[str]]:
    """Ids of the ratings that count: the last one of each key for each trace."""
    return select(func.max(feedback.c.id)).group_by(feedback.c.trace_id, feedback.c.key_id)


def corrections(database: Database, vault: Sealer, subjects: Collection[str]) -> dict[str, str]:
    """The newest correction of each trace about these people, as far as they can be read.

    Reads the database: call it in a thread.
    """
    corrected = select(feedback.c.trace_id).where(feedback.c.correction_sealed.is_not(None))
    query = (
        select(feedback, traces.c.subject)
        .join(traces, traces.c.id == feedback.c.trace_id)
        .where(feedback.c.trace_id.in_(corrected))
        .order_by(feedback.c.id)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    # Whoever rates again without a correction has taken it back.
    last = {(row.trace_id, row.key_id): row for row in rows if row.subject in subjects}
    found = {
        row.trace_id: vault.unseal_if_kept(row.subject, row.correction_sealed) or ""
        for row in sorted(last.values(), key=lambda row: str(row.id))
        if row.correction_sealed is not None
    }
    return {trace: text for trace, text in found.items() if text}


def feedback_handlers() -> dict[str, RecordHandler]:
    """What the batch writer does with feedback records."""
    return {FEEDBACK: _write}


def _check_length(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidRequest(
            f"a {name} may have {most} characters, this one has {len(text)}", param=name
        )


def _write(connection: Connection, payloads: Sequence[bytes]) -> None:
    rows = [msgspec.structs.asdict(_decode(payload)) for payload in payloads]
    connection.execute(insert_or_ignore(connection, feedback), rows)
