"""What conversations hand to the batch writer, and how it gets into the database.

All records are of one kind, because order holds within a kind only: a deletion must come after
the turns that were there before it, and before those of a conversation begun anew.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, delete, update

from headrace.storage.database import insert_or_ignore, upsert
from headrace.storage.tables import conversation_messages, conversations

__all__ = [
    "CONVERSATION",
    "ConversationRecord",
    "DeletionRecord",
    "SummaryRecord",
    "TitleRecord",
    "TurnRecord",
    "delete_conversation",
    "encode_record",
    "write_records",
]

CONVERSATION = "conversation"
"""The records' kind."""


class _Record(msgspec.Struct, frozen=True, array_like=True, tag=True):
    owner: str
    conversation: str


class TurnRecord(_Record, frozen=True, array_like=True, tag="turn"):
    """A turn was added. `subject` (a subject id) sealed all that is in it."""

    subject: str
    at: float
    title_sealed: bytes
    """Counts if the conversation is new."""
    messages: list[tuple[str, bytes]]
    """Id and sealed `Line` of each."""


class TitleRecord(_Record, frozen=True, array_like=True, tag="title"):
    """The conversation has another title."""

    title_sealed: bytes


class SummaryRecord(_Record, frozen=True, array_like=True, tag="summary"):
    """The conversation's beginning was summarised."""

    summary_sealed: bytes


class DeletionRecord(_Record, frozen=True, array_like=True, tag="deletion"):
    """The conversation was deleted."""


ConversationRecord: TypeAlias = TurnRecord | TitleRecord | SummaryRecord | DeletionRecord

encode_record = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ConversationRecord).decode


def write_records(connection: Connection, payloads: Sequence[bytes]) -> None:
    """Write records in their order; writing them again changes nothing."""
    records = [_decode(payload) for payload in payloads]
    for kind, run in itertools.groupby(records, type):
        if kind is TurnRecord:
            _write_turns(connection, [each for each in run if isinstance(each, TurnRecord)])
            continue
        for record in run:
            _write_change(connection, record)


def delete_conversation(connection: Connection, owner: str, conversation: str) -> None:
    """Delete a conversation with its messages."""
    connection.execute(
        delete(conversation_messages).where(
            conversation_messages.c.owner == owner,
            conversation_messages.c.conversation == conversation,
        )
    )
    connection.execute(
        delete(conversations).where(
            conversations.c.owner == owner, conversations.c.id == conversation
        )
    )


def _write_turns(connection: Connection, records: Sequence[TurnRecord]) -> None:
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for record in records:
        row = rows.setdefault((record.owner, record.conversation), _conversation_row(record))
        row["updated_at"] = record.at
    connection.execute(upsert(connection, conversations, ["updated_at"]), list(rows.values()))
    connection.execute(
        insert_or_ignore(connection, conversation_messages), list(_message_rows(records))
    )


def _conversation_row(record: TurnRecord) -> dict[str, object]:
    return {
        "owner": record.owner,
        "id": record.conversation,
        "title_sealed": record.title_sealed,
        "subject": record.subject,
        "created_at": record.at,
        "updated_at": record.at,
    }


def _message_rows(records: Iterable[TurnRecord]) -> Iterable[dict[str, object]]:
    for record in records:
        for message_id, sealed in record.messages:
            yield {
                "id": message_id,
                "owner": record.owner,
                "conversation": record.conversation,
                "subject": record.subject,
                "created_at": record.at,
                "payload_sealed": sealed,
            }


def _write_change(connection: Connection, record: ConversationRecord) -> None:
    this = update(conversations).where(
        conversations.c.owner == record.owner, conversations.c.id == record.conversation
    )
    if isinstance(record, TitleRecord):
        connection.execute(this.values(title_sealed=record.title_sealed))
    elif isinstance(record, SummaryRecord):
        connection.execute(this.values(summary_sealed=record.summary_sealed))
    elif isinstance(record, DeletionRecord):
        delete_conversation(connection, record.owner, record.conversation)
