"""What a response goes on from: `previous_response_id` and `conversation`, as Headrace keeps them.

A stored response is a turn of a Headrace conversation, and its id says which: no table of ours maps
one to the other, so any gateway over the same database continues it. A response that begins
something new has a conversation of its own name. Going on from any but the newest turn of a
conversation makes a branch: a new conversation, which begins as a copy.

Not covered: two requests that go on from the same response at the same moment share its
conversation, so the next one may see both.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from headrace.errors import InvalidRequest, NotFound
from headrace.gateway.call import Call
from headrace.gateway.responses.wire import ResponsesRequest
from headrace.gateway.turns import CONVERSATION_HEADER
from headrace.pipeline.conversation import check_conversation_id
from headrace.pipeline.memory import RememberedTurn
from headrace.pipeline.steps.ground.step import GroundStep
from headrace.types import Message

__all__ = ["Continuation", "ResponseName", "continuation_of", "keeps_conversations"]

Turns: TypeAlias = Sequence[RememberedTurn]

_OWN = re.compile(r"resp_([0-9a-f]{32})")
_NAME = re.compile(r"resp_([0-9a-f]{32})(?:([0-9a-f]{32})|_([A-Za-z0-9_-]+))?")


class ResponseName(msgspec.Struct, frozen=True):
    """What a response's id says: its turn, and the conversation that the turn is of."""

    turn: str
    conversation: str
    """A response that is not kept has the one that it would begin."""

    @classmethod
    def of(cls, turn_id: str, conversation: str | None = None) -> "ResponseName":
        """None: a conversation of its own."""
        return cls(turn_id, conversation or _own(turn_id))

    @property
    def id(self) -> str:
        """`resp_` and the turn; then the turn that began the conversation, or `_` and its name."""
        own = _own(self.turn)
        if self.conversation == own:
            return own
        begun = _OWN.fullmatch(self.conversation)
        if begun is not None:
            return own + begun[1]
        return f"{own}_{base64.urlsafe_b64encode(self.conversation.encode()).decode().rstrip('=')}"

    @classmethod
    def parse(cls, response_id: str) -> "ResponseName | None":
        """None: that is no id of ours."""
        found = _NAME.fullmatch(response_id)
        if found is None:
            return None
        turn, begun, named = found.groups()
        dashed = f"{turn[:8]}-{turn[8:12]}-{turn[12:16]}-{turn[16:20]}-{turn[20:]}"
        if named is None:
            return cls(dashed, f"resp_{begun or turn}")
        try:
            name = base64.urlsafe_b64decode(named + "=" * (-len(named) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        return cls(dashed, name)


def _own(turn_id: str) -> str:
    return f"resp_{turn_id.replace('-', '')}"


class Continuation(msgspec.Struct, frozen=True):
    """Where a new response stands."""

    conversation: str | None
    """The conversation that it becomes a turn of; None: it is not kept."""
    messages: Sequence[Message] = ()
    """What comes before its own input and does not come along by itself."""


def keeps_conversations(call: Call) -> bool:
    """Whether the pipeline remembers what was said, and shows it to the model."""
    return any(
        isinstance(step, GroundStep) and step.settings.history
        for step in call.service.pipeline.steps
    )


async def continuation_of(call: Call, request: ResponsesRequest) -> Continuation:
    """What the request goes on from.

    Raises:
        InvalidRequest: both ways at once, or a service that keeps no conversations.
        NotFound: there is no such response, or it is another key's.
        StateUnusable: the conversation cannot be read now.
    """
    named, previous = request.conversation_name, request.previous_response_id
    if named is not None and previous is not None:
        raise InvalidRequest(
            "'conversation' and 'previous_response_id' exclude each other",
            hint="send one of them",
            param="previous_response_id",
        )
    if named is not None:
        check_conversation_id(named)
    kept = keeps_conversations(call)
    own = ResponseName.of(call.id).id if kept and request.store is not False else None
    if named is None and previous is None:
        # The header names a conversation for any call, and `chat_turn` reads it.
        return Continuation(None if call.headers.get(CONVERSATION_HEADER) else own)
    if not kept:
        raise InvalidRequest(
            "this service keeps no conversations, so there is nothing to go on from",
            hint="add the step `ground` to the pipeline, or send the earlier items in 'input'",
            param="conversation" if previous is None else "previous_response_id",
        )
    if previous is not None:
        return await _after(call, previous, own)
    assert named is not None
    if own is not None:
        return Continuation(named)
    history = await call.platform.conversations.history(call.principal.key_id, named)
    return Continuation(None, _said(history.turns))


async def _after(call: Call, previous: str, own: str | None) -> Continuation:
    name = ResponseName.parse(previous)
    if name is None:
        raise _no_response(previous)
    history = await call.platform.conversations.history(call.principal.key_id, name.conversation)
    position = next((i for i, each in enumerate(history.turns) if each.id == name.turn), None)
    if position is None:
        raise _no_response(previous)
    upto = history.turns[: position + 1]
    if own is None:
        return Continuation(None, _said(upto))
    if len(upto) == len(history.turns):
        return Continuation(history.conversation)
    await _copy(call, upto, own)
    return Continuation(own)


def _no_response(response_id: str) -> NotFound:
    return NotFound(
        f"no response has the id {response_id!r}",
        hint="it was not stored, was deleted, or belongs to another key",
        param="previous_response_id",
    )


async def _copy(call: Call, turns: Turns, conversation: str) -> None:
    """Begin a conversation with what was said in another one."""
    store = call.platform.conversations
    branch = await store.history(call.principal.key_id, conversation)
    for turn in turns:
        store.remember(branch, turn.id, turn.lines, subject=turn.subject, is_usable=turn.is_usable)


def _said(turns: Turns) -> list[Message]:
    return [message for turn in turns if turn.is_usable for message in turn.messages]
