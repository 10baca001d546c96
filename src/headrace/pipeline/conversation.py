"""Conversation memory: what was said by conversation id, sealed, in memory and in the database.

A turn reads and adds in memory; what it adds goes to the batch writer's journal at once, so it
survives a crash, and from there into the database. Only a conversation that was not used lately
costs a database read, in a thread. An owner (a key) never sees another owner's conversations.

Use it from the event loop's thread; only `prune` is for a thread of one's own.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from headrace.errors import InvalidRequest, NotFound
from headrace.ids import new_id
from headrace.pipeline.archive import Conversation, ConversationArchive, Head, SealedLine
from headrace.pipeline.memory import (
    CACHE_BYTES,
    KEPT_BYTES,
    History,
    HistoryCache,
    Key,
    Line,
    RememberedTurn,
    Summary,
    ids_after,
    title_of,
)
from headrace.pipeline.record import (
    CONVERSATION,
    ConversationRecord,
    DeletionRecord,
    SummaryRecord,
    TitleRecord,
    TurnRecord,
    encode_record,
    write_records,
)
from headrace.storage.database import Database
from headrace.storage.errors import StateUnusable
from headrace.storage.writer import RecordHandler, RecordWriter
from headrace.telemetry.seal import Sealer
from headrace.types import Message

__all__ = [
    "Conversation",
    "ConversationStore",
    "ConversationWriter",
    "Conversations",
    "check_conversation_id",
    "conversation_handlers",
]

ID_CHARS = 200
_FLUSH_S = 5.0
"""How long anything here waits for a database that cannot be written."""

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class ConversationWriter(RecordWriter, Protocol):
    """What the store needs of the batch writer."""

    async def flush(self) -> None: ...


Conversations: TypeAlias = list[Conversation]
TurnMessages: TypeAlias = list[tuple[str, list[Message]]]

_encode = msgspec.json.Encoder().encode


class ConversationStore:
    """See the module."""

    def __init__(
        self,
        database: Database,
        writer: ConversationWriter,
        vault: Sealer,
        *,
        clock: Callable[[], float] = time.time,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._archive = ConversationArchive(database, vault)
        self._writer = writer
        self._vault = vault
        self._clock = clock
        self._cache = HistoryCache(cache_bytes)
        self._appended = 0
        """Records appended by this store, and how many of them are known to be stored."""
        self._flushed = 0
        self._settled = False
        self._flushing: asyncio.Task[None] | None = None

    def claim(self, conversation: str) -> None:
        """Make sure that this process has the conversation, before a turn in it begins.

        One of several workers may not: then this ends the request here, and its owner answers it.
        """

    def new_id(self) -> str:
        """An id for a new conversation, which this process has."""
        return new_id()

    async def history(self, owner: str, conversation: str) -> History:
        """The conversation as this turn finds it; an unknown id is an empty conversation.

        Raises:
            InvalidRequest: that cannot be a conversation's id.
            StateUnusable: it has to be read from the database, and that cannot be done now.
        """
        check_conversation_id(conversation)
        history = self._cache.get((owner, conversation)) or History(owner, conversation)
        history.used_at = self._clock()
        self._cache.put(history)
        if not history.is_loaded:
            async with history.loading:
                if not history.is_loaded:
                    await self._settle()
                    # The thread goes on when the client leaves, so it only reads.
                    _fill(history, *await _in_thread(self._read, history.key))
                    self._keep(history)
        return history

    def remember(
        self,
        history: History,
        turn_id: str,
        lines: Sequence[Line],
        *,
        subject: str,
        is_usable: bool = True,
    ) -> bool:
        """Add what one turn said. A memory copy into the journal; waits for nothing.

        Args:
            history: as the turn got it; the turns that ended meanwhile are in it.
            lines: at least one; the user's messages, then the answer.
            subject: whose key seals it; it must have been unlocked.
            is_usable: whether later turns may have it as context.

        Returns:
            False: it is not remembered, as the conversation was deleted meanwhile; or it is in
            memory only, as it could not be sealed or the journal is full (the log says so).
        """
        if history.is_deleted:
            return False
        at = self._clock()
        subject = self._vault.subject_id(subject)
        ids = ids_after(history.end, len(lines))
        turn = RememberedTurn(
            id=turn_id,
            position=ids[0],
            end=ids[-1],
            subject=subject,
            lines=tuple(lines),
            is_usable=is_usable,
        )
        if not history.exists:
            history.created_at = at
            history.subject = subject
            history.title = title_of(turn)
        history.updated_at = at
        history.extend([turn])
        stored = self._store_turn(history, turn, ids, at)
        self._keep(history)
        return stored

    async def summarise(self, history: History, summary: Summary) -> None:
        """Keep a summary of the conversation's beginning, in place of an earlier one."""
        if not history.exists:
            return
        sealed = await self._seal(history, _encode(summary).decode())
        if history.is_deleted:
            return
        history.summary = summary
        self._append(history, SummaryRecord(*history.key, sealed))

    async def turns(self, owner: str, conversation: str) -> TurnMessages:
        """Each turn's id and the messages it added, oldest first; empty for an unknown id.

        Raises:
            StateUnusable: the database cannot be read.
        """
        # Held from before the read on, so that nothing falls between memory and database.
        history = self._cache.get((owner, conversation))
        stored = list(await _in_thread(self._archive.turns, owner, conversation))
        history = history or self._cache.get((owner, conversation))
        if history is not None and history.is_loaded:
            # What is still on its way into the database, and what was deleted from it.
            known = {turn.position for turn in stored}
            stored = [turn for turn in stored if turn.position > history.floor]
            stored += [turn for turn in history.turns if turn.position not in known]
        stored.sort(key=lambda turn: turn.position)
        return [(turn.id, turn.messages) for turn in stored]

    async def list(self, owner: str) -> Conversations:
        """The owner's conversations, the one used last first; at most 1,000.

        Raises:
            StateUnusable: the database cannot be read.
        """
        flushed, held = self._flushed, self._cache.of(owner)
        found = await _in_thread(self._archive.conversations, owner)
        for history in {each.key: each for each in (*held, *self._cache.of(owner))}.values():
            if not history.is_loaded or history.appended <= flushed:
                continue
            found.pop(history.conversation, None)
            if history.exists:
                found[history.conversation] = Conversation(
                    id=history.conversation,
                    title=history.title,
                    created_at=history.created_at,
                    updated_at=history.updated_at,
                )
        return sorted(found.values(), key=lambda each: -each.updated_at)

    async def rename(self, owner: str, conversation: str, title: str) -> None:
        """Give the conversation another title.

        Raises:
            NotFound: this owner has no such conversation.
            StateUnusable: it cannot be stored now.
        """
        history = await self._existing(owner, conversation)
        sealed = await self._seal(history, title)
        if history.is_deleted:
            raise _gone()
        self._append_or_refuse(history, TitleRecord(*history.key, sealed))
        history.title = title
        await self._flush()

    async def delete(self, owner: str, conversation: str) -> None:
        """Delete it for good. A turn that is still being answered is not remembered any more.

        Raises:
            NotFound: this owner has no such conversation.
            StateUnusable: it cannot be stored now.
        """
        history = await self._existing(owner, conversation)
        self._append_or_refuse(history, DeletionRecord(*history.key))
        history.is_deleted = True
        # An empty one takes its place: the database may have the old one for a moment yet.
        fresh = History(owner, conversation, floor=ids_after(history.end, 1)[0])
        fresh.appended = history.appended
        self._cache.put(fresh)
        await self._flush()

    def prune(self, *, before: float) -> int:
        """Delete the conversations not used since `before` (epoch seconds); how many.

        Writes the database: call it in a thread.
        """
        return self._archive.prune(
            before,
            is_used=lambda key: self._is_used(key, before),
            deleted=self._cache.forget,
        )

    def _is_used(self, key: Key, since: float) -> bool:
        return self._cache.is_used_since(key, since)

    async def _existing(self, owner: str, conversation: str) -> History:
        history = await self.history(owner, conversation)
        if not history.exists:
            raise _gone()
        return history

    def _store_turn(
        self, history: History, turn: RememberedTurn, ids: Sequence[str], at: float
    ) -> bool:
        sealed: list[tuple[str, bytes]] = []
        title = self._vault.seal_if_unlocked(turn.subject, history.title)
        for message_id, line in zip(ids, turn.lines, strict=True):
            payload = _encode(SealedLine(turn.id, line, turn.is_usable)).decode()
            one = self._vault.seal_if_unlocked(turn.subject, payload)
            if one is not None:
                sealed.append((message_id, one))
        if title is None or len(sealed) < len(ids):
            # A text is never stored in clear: without its subject's key it stays in memory.
            _log.warning("turn %s is remembered until the next start only: no key", turn.id)
            return False
        record = TurnRecord(*history.key, turn.subject, at, title, sealed)
        return self._append(history, record)

    async def _seal(self, history: History, text: str) -> bytes:
        try:
            await self._vault.unlock(history.subject)
        except SQLAlchemyError as error:
            raise _unusable() from error
        sealed = self._vault.seal_if_unlocked(history.subject, text)
        if sealed is None:
            raise StateUnusable("the conversation cannot be stored now", hint="try again")
        return sealed

    def _append(self, history: History, record: ConversationRecord) -> bool:
        if not self._writer.append(CONVERSATION, encode_record(record)):
            return False
        self._appended += 1
        history.appended = self._appended
        return True

    def _append_or_refuse(self, history: History, record: ConversationRecord) -> None:
        if not self._append(history, record):
            raise StateUnusable(
                "the conversation cannot be changed now", hint="try again in a minute"
            )

    async def _flush(self) -> bool:
        """Wait until all that was appended is in the database, but not for a sick one."""
        appended = self._appended
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await self._writer.flush()
            self._flushed = max(self._flushed, appended)
            return True
        return False

    async def _settle(self) -> None:
        """Before the first read: what an earlier process left in the journal must be stored."""
        if not self._settled:
            self._settled = await self._flush()
            if not self._settled:
                _log.warning("reading conversations although records still wait in the journal")

    def _keep(self, history: History) -> None:
        if history.is_deleted:
            return
        self._cache.put(history)
        if self._cache.is_over:
            self._cache.evict(self._flushed)
        if self._cache.is_over and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._make_room())

    async def _make_room(self) -> None:
        if await self._flush():
            self._cache.evict(self._flushed)

    def _read(self, key: Key) -> tuple[Head | None, Sequence[RememberedTurn]]:
        return self._archive.head(*key), self._archive.turns(*key, limit_bytes=KEPT_BYTES)


def _fill(history: History, head: Head | None, turns: Sequence[RememberedTurn]) -> None:
    """Put in what the database has."""
    if head is not None:
        history.subject, history.title = head.subject, head.title
        history.created_at, history.updated_at = head.created_at, head.updated_at
        history.summary = head.summary
    history.extend(turns)
    history.is_loaded = True


def conversation_handlers() -> dict[str, RecordHandler]:
    """What the batch writer does with the records of conversations."""
    return {CONVERSATION: write_records}


def check_conversation_id(conversation: str) -> None:
    """Raises InvalidRequest unless this can be a conversation's id."""
    if not 1 <= len(conversation) <= ID_CHARS:
        raise InvalidRequest(
            f"a conversation's id has 1 to {ID_CHARS} characters, this one has {len(conversation)}",
            param="conversation",
        )
    if not conversation.isprintable():
        raise InvalidRequest(
            "a conversation's id has printable characters only",
            hint="a UUID makes a good one",
            param="conversation",
        )


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except SQLAlchemyError as error:
        raise _unusable() from error


def _gone() -> NotFound:
    return NotFound("there is no such conversation (any more)", hint="it may have been deleted")


def _unusable() -> StateUnusable:
    return StateUnusable(
        "conversations cannot be read now: the database does not answer",
        hint="try again in a minute; `headrace doctor` looks at the database",
    )
