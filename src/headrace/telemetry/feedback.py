"""Feedback: what people say about an answer, kept with its trace."""

import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select

from headrace.errors import InvalidRequest
from headrace.ids import new_id
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.errors import StateUnusable
from headrace.storage.tables import feedback
from headrace.storage.writer import RecordHandler, RecordWriter
from headrace.telemetry.record import FeedbackRecord
from headrace.telemetry.seal import Sealer

__all__ = ["FEEDBACK", "Feedback", "FeedbackStore", "feedback_handlers"]

FEEDBACK = "feedback"
COMMENT_CHARS = 10_000

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


class FeedbackStore:
    """Ratings go in through the writer; comments are sealed under the key of who wrote them."""

    def __init__(self, database: Database, writer: RecordWriter, vault: Sealer) -> None:
        self._database = database
        self._writer = writer
        self._vault = vault

    async def record(self, trace_id: str, score: int, comment: str, key_id: str) -> Feedback:
        """Keep a rating; a later one by the same key for the same trace counts instead of it.

        Raises:
            InvalidRequest: the score is neither 1 nor -1, or the comment exceeds 10,000
                characters.
            StateUnusable: the journal is full, because the database cannot be written.
        """
        if score not in (-1, 1):
            raise InvalidRequest(f"score must be 1 or -1, not {score}", param="score")
        if len(comment) > COMMENT_CHARS:
            raise InvalidRequest(
                f"a comment may have {COMMENT_CHARS} characters, this one has {len(comment)}",
                param="comment",
            )
        given = Feedback(
            id=new_id(),
            trace_id=trace_id,
            key_id=key_id,
            score=score,
            comment=comment,
            created_at=time.time(),
        )
        sealed = None
        if comment:
            await self._vault.unlock(key_id)
            sealed = self._vault.seal_if_unlocked(key_id, comment)
        record = FeedbackRecord(given.id, trace_id, key_id, score, sealed, given.created_at)
        if not self._writer.append(FEEDBACK, _encode(record)):
            raise StateUnusable("the rating cannot be stored now", hint="try again in a minute")
        return given

    def for_trace(self, trace_id: str) -> list[Feedback]:
        """The ratings of a trace that count, oldest first: the last one of each key.

        Reads the database: call it in a thread.
        """
        query = select(feedback).where(feedback.c.trace_id == trace_id).order_by(feedback.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        last = {row.key_id: row for row in rows}
        return [
            Feedback(
                id=row.id,
                trace_id=row.trace_id,
                key_id=row.key_id,
                score=row.score,
                comment=self._comment(row.key_id, row.comment_sealed),
                created_at=row.created_at,
            )
            for row in sorted(last.values(), key=lambda row: str(row.id))
        ]

    def _comment(self, key_id: str, sealed: bytes | None) -> str:
        return "" if sealed is None else self._vault.unseal_if_kept(key_id, sealed) or ""


def feedback_handlers() -> dict[str, RecordHandler]:
    """What the batch writer does with feedback records."""
    return {FEEDBACK: _write}


def _write(connection: Connection, payloads: Sequence[bytes]) -> None:
    rows = [msgspec.structs.asdict(_decode(payload)) for payload in payloads]
    connection.execute(insert_or_ignore(connection, feedback), rows)
