"""The review queue: what policies gave to a person, and what the person decided.

Entries come in through the batch writer, like traces. Texts and reasons are sealed under the key of the
person they are about: erasing that person makes them unreadable. A decision may be taken again; every
one stays, in a chain of keyed codes (access/chain.py; `verify`). Deciding sends nothing to the user by itself.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import msgspec
from sqlalchemy import Connection, RowMapping, func, select, update

from headrace.access.audit import AuditLog, Change
from headrace.access.chain import Chain, Checked, Row, Said
from headrace.errors import InvalidRequest, NotFound
from headrace.privacy.vault import Vault
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import review_decisions, reviews
from headrace.storage.writer import RecordHandler
from headrace.telemetry.escalation import REVIEW, ReviewRecord

__all__ = ["DECISIONS", "Decided", "Decision", "Review", "ReviewStore", "review_handlers"]

Decision: TypeAlias = Literal["allow", "refuse"]
"""Whether the text would have been right to send."""
DECISIONS: tuple[Decision, ...] = get_args(Decision)
REASON_CHARS = 10_000

_decode = msgspec.msgpack.Decoder(ReviewRecord).decode


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `decided_at` is epoch seconds."""

    number: int
    who: str
    decision: str
    reason: str
    """Empty if the person it is about was erased."""
    decided_at: float
    digest: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the queue. `created_at` is epoch seconds."""

    id: str
    created_at: float
    trace_id: str
    subject: str
    key_id: str
    conversation: str | None
    model: str
    language: str
    policy: str
    side: str
    kind: str
    detector: str
    score: float
    withheld: bool
    decision: str | None
    text: str = ""
    """Only where one entry is read; empty if texts are not kept, or the person was erased."""
    decisions: list[Decided] = []
    """Oldest first; only where one entry is read."""


_SHOWN = tuple(reviews.c[each] for each in Review.__struct_fields__ if each in reviews.c)


class ReviewStore:
    """See the module. Reads and writes the database: call it in a thread."""

    def __init__(
        self, database: Database, vault: Vault, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._chain = Chain(
            review_decisions, vault.audit_secret, _said, column="digest", plain=_digest
        )
        self._audit = AuditLog(database, lambda: vault.audit_secret, clock=clock)

    def list(
        self, *, decided: bool | None = False, limit: int = 50, before: str | None = None
    ) -> list[Review]:
        """The newest entries first, without texts.

        Args:
            decided: open ones, decided ones, or (None) both.
            before: an entry's id; only older ones are given (for the next page).
        """
        query = select(*_SHOWN).order_by(reviews.c.id.desc()).limit(limit)
        if decided is not None:
            is_open = reviews.c.decision.is_(None)
            query = query.where(~is_open if decided else is_open)
        if before is not None:
            query = query.where(reviews.c.id < before)
        with self._database.read() as connection:
            return [_review(row) for row in connection.execute(query).mappings()]

    def open_count(self) -> int:
        """How many entries wait."""
        query = select(func.count()).select_from(reviews).where(reviews.c.decision.is_(None))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def get(self, review_id: str) -> Review:
        """One entry with its text and decisions. Part of an id that ends it is enough.

        Raises:
            NotFound: there is none, or several end so.
        """
        query = select(*_SHOWN, reviews.c.text_sealed)
        query = query.where(reviews.c.id.endswith(review_id, autoescape=True)).limit(2)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
            if len(rows) != 1 or not review_id:
                what = "several entries end in" if len(rows) > 1 else "no entry has the id"
                raise NotFound(f"{what} {review_id!r}", hint="see `headrace screen review list`")
            row = rows[0]
            past = select(review_decisions).where(review_decisions.c.review_id == row["id"])
            decided = connection.execute(past.order_by(review_decisions.c.number)).mappings().all()
        subject = row["subject"]
        return msgspec.structs.replace(
            _review(row),
            text=self._text(subject, row["text_sealed"]),
            decisions=[
                Decided(
                    number=each["number"],
                    who=each["who"],
                    decision=each["decision"],
                    reason=self._text(subject, each["reason_sealed"]),
                    decided_at=each["decided_at"],
                    digest=each["digest"],
                )
                for each in decided
            ],
        )

    def decide(self, review_id: str, decision: str, reason: str, *, who: str) -> Review:
        """Note a decision; the last one counts. Gives the entry as it is then.

        Args:
            who: the key's id and name, or who sits at the machine.

        Raises:
            NotFound: there is no such entry.
            InvalidRequest: no such decision, no reason, or a reason beyond 10,000 characters.
        """
        if decision not in DECISIONS:
            raise InvalidRequest(f"a decision is one of {', '.join(DECISIONS)}", param="decision")
        if not reason.strip() or len(reason) > REASON_CHARS:
            raise InvalidRequest(
                f"a decision needs a reason of at most {REASON_CHARS:,} characters", param="reason"
            )
        entry = self.get(review_id)
        sealed = None
        if self._vault.has_key(entry.subject):
            self._vault.unlock_now(entry.subject)
            sealed = self._vault.seal(entry.subject, reason.strip())
        with self._database.write() as connection:
            row = {
                "review_id": entry.id,
                "who": who,
                "decision": decision,
                "reason_sealed": sealed,
                "decided_at": self._clock(),
            }
            number, code = self._chain.add(connection, row, self._checked)
            # The reason is about a person, and stays where it is encrypted.
            evidence = {"decision": decision, "number": number, "code": code}
            change = Change(who=who, action="review.decide", target=entry.id, evidence=evidence)
            self._audit.add(connection, change)
            changed = update(reviews).where(reviews.c.id == entry.id).values(decision=decision)
            connection.execute(changed)
        return self.get(entry.id)

    def verify(self) -> Checked:
        """Whether every decision is as it was written, and none is missing."""
        with self._database.read() as connection:
            return self._checked(connection)

    def _checked(self, connection: Connection) -> Checked:
        decided = select(review_decisions.c.review_id)
        bare = select(func.count()).select_from(reviews)
        bare = bare.where(reviews.c.decision.is_not(None), reviews.c.id.not_in(decided))
        checked = self._chain.check(connection)
        if checked.wrong is None and connection.execute(bare).scalar_one():
            # Decided, and by nobody: the decisions went together with their seal.
            return msgspec.structs.replace(checked, wrong=checked.rows + 1)
        return checked

    def _text(self, subject: str, sealed: bytes | None) -> str:
        return "" if sealed is None else self._vault.unseal_if_kept(subject, sealed) or ""


def review_handlers() -> dict[str, RecordHandler]:
    """What the batch writer does with entries."""
    return {REVIEW: _write}


def _write(connection: Connection, payloads: Sequence[bytes]) -> None:
    rows = [_row(_decode(payload)) for payload in payloads]
    connection.execute(insert_or_ignore(connection, reviews), rows)


def _row(record: ReviewRecord) -> dict[str, object]:
    trace, entry = record.trace, record.entry
    return {
        "id": record.id,
        "created_at": trace.started_at,
        "trace_id": trace.id,
        "subject": trace.subject,
        "key_id": trace.key_id,
        "conversation": trace.conversation,
        "model": trace.model,
        "language": trace.language,
        "policy": entry.policy,
        "side": entry.side,
        "kind": entry.kind,
        "detector": entry.detector,
        "score": entry.score,
        "withheld": entry.withheld,
        "decision": None,
        "text_sealed": record.text_sealed,
    }


def _review(row: RowMapping) -> Review:
    return Review(**{column.name: row[column.name] for column in _SHOWN})


def _said(row: Row) -> Said:
    """What a decision says."""
    reason = row["reason_sealed"]
    sealed = bytes(reason) if isinstance(reason, bytes | memoryview) else b""
    return (
        row["number"],
        row["review_id"],
        row["who"],
        row["decision"],
        hashlib.sha256(sealed).hexdigest(),
        float(row["decided_at"]),  # type: ignore[arg-type]  # the column is a number
    )


def _digest(before: str, said: Said) -> str:
    """What a decision's digest was before there was a key."""
    return hashlib.sha256(msgspec.json.encode((before, *said))).hexdigest()
