"""Each conversation has one owner among the workers, by its id; whoever else gets a request for it
hands the request over.

So a conversation is in one process's memory, and its turns are in order without anybody waiting for
the database. The owner stays the same for as long as the service runs: while it is started again,
its conversations wait, because what it had written down is in its journal and nowhere else.
"""

import zlib
from collections.abc import Awaitable, Callable

from headrace.ids import new_id
from headrace.pipeline.conversation import Conversations, ConversationStore, ConversationWriter
from headrace.pipeline.memory import History, Key
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.types import Message

__all__ = ["OwnedConversations", "OwnedElsewhere", "Share", "owned_turn_id"]


class OwnedElsewhere(BaseException):
    """Another worker has to answer this request.

    Not an Exception: nothing went wrong, and nothing on the way may take it for a failure and
    answer it. Only `handover.py` catches it.
    """

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


class Share:
    """Which conversations are this worker's."""

    def __init__(self, slot: int, workers: int) -> None:
        self.slot = slot
        self.workers = workers

    def owner(self, conversation: str) -> int:
        """The slot of the worker that has a conversation."""
        return zlib.crc32(conversation.encode("utf-8", "surrogatepass")) % self.workers

    def is_own(self, conversation: str) -> bool:
        return self.owner(conversation) == self.slot


class OwnedConversations(ConversationStore):
    """The conversations of one worker. Asking for another's raises OwnedElsewhere."""

    def __init__(
        self,
        database: Database,
        writer: ConversationWriter,
        vault: Vault,
        *,
        share: Share,
        flush_others: Callable[[], Awaitable[None]],
    ) -> None:
        """
        Args:
            flush_others: waits until what other workers have recorded is in the database.
        """
        super().__init__(database, writer, vault)
        self._share = share
        self._flush_others = flush_others

    def claim(self, conversation: str) -> None:
        """See `ConversationStore`."""
        owner = self._share.owner(conversation)
        if owner != self._share.slot:
            raise OwnedElsewhere(owner)

    def new_id(self) -> str:
        """See `ConversationStore`: one of this worker's own, so that nothing is handed over."""
        return next(each for each in iter(new_id, "") if self._share.is_own(each))

    async def history(self, owner: str, conversation: str) -> History:
        """See `ConversationStore`."""
        self.claim(conversation)
        return await super().history(owner, conversation)

    async def turns(self, owner: str, conversation: str) -> list[tuple[str, list[Message]]]:
        """See `ConversationStore`."""
        self.claim(conversation)
        return await super().turns(owner, conversation)

    async def list(self, owner: str) -> Conversations:
        """See `ConversationStore`."""
        await self._flush_others()
        return await super().list(owner)

    def _is_used(self, key: Key, since: float) -> bool:
        return not self._share.is_own(key[1]) or super()._is_used(key, since)


def owned_turn_id(share: Share) -> str:
    """An id for a turn that may begin a conversation of its name (`gateway/responses`)."""
    return next(each for each in iter(new_id, "") if share.is_own(f"resp_{each.replace('-', '')}"))
