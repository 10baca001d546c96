"""A remote backend whose provider counts the tokens of a prompt on request."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from headrace.errors import InvalidRequest, ModelUnavailable
from headrace.models.estimate import estimate_tokens
from headrace.models.remote import RemoteBackend, RemoteSettings, Request, Wire
from headrace.types import Message

__all__ = ["CountingBackend"]

COUNTED_PROMPTS = 1024
"""Token counts kept, least recently used out: a count costs a round trip."""
BYTES_PER_TOKEN_AT_LEAST = 0.5
TOKENS_AROUND = 2_048
TOKENS_PER_MESSAGE = 64


class CountingBackend(RemoteBackend, ABC):
    """Asks the provider to count; where it does not, the estimate stands in."""

    def __init__(self, settings: RemoteSettings, wire: Wire, *, name: str) -> None:
        super().__init__(settings, wire, name=name)
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    @abstractmethod
    def count_request(self, messages: Sequence[Message]) -> Request:
        """Ask how many tokens a prompt comes to."""

    @abstractmethod
    def counted(self, body: bytes) -> int:
        """The number that the response holds."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt as the provider counts them.

        Where it does not count (it is down, this model has no counter, it dislikes the messages),
        the estimate stands in: whatever is wrong will be said when the answer is asked for.
        """
        key = msgspec.msgpack.encode(messages)
        known = self._counts.get(key)
        if known is not None:
            self._counts.move_to_end(key)
            return known
        try:
            async with self._sent(self.count_request(messages)) as reply:
                count = self.counted(await reply.read())
        except (InvalidRequest, ModelUnavailable):
            return estimate_tokens(messages)
        self._counts[key] = count
        if len(self._counts) > COUNTED_PROMPTS:
            self._counts.popitem(last=False)
        return count

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """At most this many tokens, so that a prompt that surely fits costs no round trip.

        Nobody outside knows these tokenizers. Those that are known give a token at least one byte
        of text; twice as many and 2,048 for the provider's own words leave room for what is not.
        """
        bound = TOKENS_AROUND
        for message in messages:
            if message.tool_calls or not isinstance(message.content, str):
                return None
            bound += TOKENS_PER_MESSAGE
            bound += int(len(message.content.encode()) / BYTES_PER_TOKEN_AT_LEAST)
        return bound
