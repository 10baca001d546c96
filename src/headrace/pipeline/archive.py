"""Conversations in the database: read, listed and pruned. Whoever calls this does so in a thread.

What it reads is what the batch writer has committed; `conversation.py` adds what is on its way.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from sqlalchemy import RowMapping, select

from headrace.pipeline.memory import Key, Line, RememberedTurn, Summary
from headrace.pipeline.record import delete_conversation
from headrace.storage.database import Database
from headrace.storage.tables import conversation_messages, conversations
from headrace.telemetry.seal import Sealer

__all__ = ["Conversation", "ConversationArchive", "Head", "SealedLine"]

LISTED = 1_000
"""Conversations in a list: the newest."""
READ_MESSAGES = 2_000
"""Messages of one conversation that are read: the newest."""
_PRUNE_ROWS = 100
"""Conversations a pruning transaction takes, so that the writer never waits long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation in a list. Times are seconds since the epoch."""

    id: str
    title: str
    """Its name: the beginning of its first message, until it was renamed."""
    created_at: float
    updated_at: float
    """When its last turn ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is stored of a conversation besides its messages."""

    subject: str
    title: str
    summary: Summary | None
    created_at: float
    updated_at: float


class SealedLine(msgspec.Struct, omit_defaults=True):
    """What is sealed of each message."""

    turn: str
    line: Line
    is_usable: bool = True


Conversations: TypeAlias = dict[str, Conversation]

_decode_line = msgspec.json.Decoder(SealedLine).decode
_decode_summary = msgspec.json.Decoder(Summary).decode


class ConversationArchive:
    """See the module. Text whose subject's key was destroyed is left out."""

    def __init__(self, database: Database, vault: Sealer) -> None:
        self._database = database
        self._vault = vault

    def head(self, owner: str, conversation: str) -> Head | None:
        """None: there is no such conversation."""
        query = select(conversations).where(
            conversations.c.owner == owner, conversations.c.id == conversation
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        summary = self._unseal(row["subject"], row["summary_sealed"])
        return Head(
            subject=row["subject"],
            title=self._unseal(row["subject"], row["title_sealed"]) or "",
            summary=_decode_summary(summary) if summary else None,
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )

    def turns(
        self, owner: str, conversation: str, *, limit_bytes: int | None = None
    ) -> Sequence[RememberedTurn]:
        """The newest turns, oldest first: 2,000 messages at most, or about `limit_bytes`."""
        table = conversation_messages
        query = (
            select(table.c.id, table.c.subject, table.c.payload_sealed)
            .where(table.c.owner == owner, table.c.conversation == conversation)
            .order_by(table.c.id.desc())
            .limit(READ_MESSAGES)
        )
        rows: list[RowMapping] = []
        size, is_cut = 0, False
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                rows.append(row)
                size += len(row["payload_sealed"])
                if limit_bytes is not None and size > limit_bytes:
                    is_cut = True
                    break
        turns = list(self._turns_of(reversed(rows)))
        if (is_cut or len(rows) == READ_MESSAGES) and len(turns) > 1:
            # The oldest turn may have lost its beginning.
            del turns[0]
        return turns

    def conversations(self, owner: str) -> Conversations:
        """The owner's conversations by id, the newest 1,000."""
        query = (
            select(conversations)
            .where(conversations.c.owner == owner)
            .order_by(conversations.c.updated_at.desc())
            .limit(LISTED)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return {
            row["id"]: Conversation(
                id=row["id"],
                title=self._unseal(row["subject"], row["title_sealed"]) or "",
                created_at=row["created_at"],
                updated_at=row["updated_at"],
            )
            for row in rows
        }

    def prune(
        self,
        before: float,
        *,
        is_used: Callable[[Key], bool],
        deleted: Callable[[Sequence[Key]], None],
    ) -> int:
        """Delete the conversations whose last turn ended before; how many.

        Args:
            is_used: whether a turn is using it at this moment; then it stays.
            deleted: told of those that are gone.
        """
        query = select(conversations.c.owner, conversations.c.id).where(
            conversations.c.updated_at < before
        )
        total = kept = 0
        while True:
            with self._database.write() as connection:
                page = query.order_by(conversations.c.updated_at).limit(_PRUNE_ROWS)
                rows = connection.execute(page.offset(kept)).all()
                keys = [key for row in rows if not is_used(key := (row.owner, row.id))]
                for owner, conversation in keys:
                    delete_conversation(connection, owner, conversation)
            deleted(keys)
            total += len(keys)
            kept += len(rows) - len(keys)
            if len(rows) < _PRUNE_ROWS:
                break
        if total:
            self._database.shrink()
        return total

    def _turns_of(self, rows: Iterable[RowMapping]) -> Iterable[RememberedTurn]:
        read = (
            (row, _decode_line(text))
            for row in rows
            if (text := self._unseal(row["subject"], row["payload_sealed"])) is not None
        )
        for turn_id, group in itertools.groupby(read, lambda each: each[1].turn):
            lines = list(group)
            first, sealed = lines[0]
            yield RememberedTurn(
                id=turn_id,
                position=first["id"],
                end=lines[-1][0]["id"],
                subject=first["subject"],
                lines=tuple(each.line for _, each in lines),
                is_usable=sealed.is_usable,
            )

    def _unseal(self, subject: str, sealed: bytes | None) -> str | None:
        return None if sealed is None else self._vault.unseal_if_kept(subject, sealed)
