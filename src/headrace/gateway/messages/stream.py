"""A message as server-sent events.

The protocol has one block open at a time, while filters may hold back the end of any text until the
answer ends. So the first call streams, further ones wait until it has surely ended, which is with
the answer; and what comes late of the thoughts or the text gets a block of its own.
"""

from typing import Literal, TypeAlias

import msgspec

from headrace.errors import HeadraceError
from headrace.gateway.annotation import message_citations
from headrace.gateway.messages.errors import error_event
from headrace.gateway.messages.render import (
    Json,
    message_of,
    stop_of,
    text_block,
    thinking_block,
    tool_use_block,
    usage_of,
)
from headrace.pipeline.turn import Turn
from headrace.types import Delta, FinishReason, FunctionCall, ToolCall, ToolCallDelta

__all__ = ["MessageStream"]

TextKind: TypeAlias = Literal["text", "thinking"]

_encode = msgspec.json.Encoder().encode
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta",'


class MessageStream:
    """Turns the deltas of one answer into events."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._has_begun = False
        self._blocks = 0
        """Blocks begun so far."""
        self._open: Literal["text", "thinking", "tool_use"] | None = None
        self._head = b""
        """While a text is open: the beginning of its every delta, which comes once a token."""
        self._calls: dict[int, ToolCall] = {}
        self._streamed: int | None = None
        """Index of the call whose block is open."""
        self._late: dict[TextKind, str] = {}
        self._refused = False
        self._finish_reason: FinishReason = "stop"

    def chunk(self, delta: Delta) -> bytes:
        """The events of one delta; before the first ones, the one that begins the message."""
        if delta.usage is not None or delta.index:
            return b""
        if self._head and _is_text_alone(delta):
            return b"%b%b}}\n\n" % (self._head, _encode(delta.text))
        events = self._begun()
        if delta.reasoning:
            events += self._add("thinking", delta.reasoning)
        if text := delta.text + delta.refusal:
            events += self._add("text", text)
        for citation in message_citations(delta.annotations or (), self._turn.passages):
            if self._open == "text":
                events.append(self._grow({"type": "citations_delta", "citation": citation}))
        self._refused = self._refused or bool(delta.refusal)
        for piece in delta.tool_calls or ():
            events += self._add_call(piece)
        if delta.finish_reason is not None:
            self._finish_reason = delta.finish_reason
        return b"".join(events)

    def end(self) -> bytes:
        """The events that close the message."""
        events = self._begun() + self._close()
        for index, call in self._calls.items():
            if index != self._streamed:
                events += self._open_call(index, call) + self._close()
        late, self._late = self._late, {}
        for kind, text in late.items():
            events += self._add(kind, text) + self._close()
        stop = stop_of(self._turn, self._finish_reason, refused=self._refused)
        usage = usage_of(self._turn.usage)
        events += [
            self._event("message_delta", delta=stop, usage=usage),
            self._event("message_stop"),
        ]
        return b"".join(events)

    def failed(self, error: HeadraceError) -> bytes:
        """The event that ends an answer that broke off."""
        return error_event(error, self._turn.id)

    @staticmethod
    def _event(kind: str, **fields: object) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **fields}))

    def _begun(self) -> list[bytes]:
        if self._has_begun:
            return []
        self._has_begun = True
        return [
            self._event("message_start", message=message_of(self._turn, [])),
            self._event("ping"),
        ]

    def _start(self, kind: Literal["text", "thinking", "tool_use"], block: Json) -> list[bytes]:
        events = self._close()
        events.append(self._event("content_block_start", index=self._blocks, content_block=block))
        self._open = kind
        if kind == "text":
            place = f'"index":{self._blocks},"delta":{{"type":"text_delta","text":'
            self._head = _DELTA + place.encode()
        self._blocks += 1
        return events

    def _close(self) -> list[bytes]:
        if self._open is None:
            return []
        self._open = None
        self._head = b""
        return [self._event("content_block_stop", index=self._blocks - 1)]

    def _grow(self, delta: Json) -> bytes:
        return self._event("content_block_delta", index=self._blocks - 1, delta=delta)

    def _add(self, kind: TextKind, text: str) -> list[bytes]:
        if self._open == "tool_use":
            self._late[kind] = self._late.get(kind, "") + text
            return []
        events: list[bytes] = []
        if self._open != kind:
            block = text_block("") if kind == "text" else thinking_block("")
            events += self._start(kind, block)
        events.append(self._grow({"type": f"{kind}_delta", kind: text}))
        return events

    def _add_call(self, piece: ToolCallDelta) -> list[bytes]:
        function = piece.function
        name = (function.name if function is not None else None) or ""
        arguments = (function.arguments if function is not None else None) or ""
        call = self._calls.get(piece.index)
        if call is None:
            call = ToolCall(id=piece.id or "", function=FunctionCall(name, arguments))
            self._calls[piece.index] = call
            return self._open_call(piece.index, call) if self._streamed is None else []
        call.function.name += name
        call.function.arguments += arguments
        if piece.index != self._streamed or not arguments:
            return []
        return [self._grow({"type": "input_json_delta", "partial_json": arguments})]

    def _open_call(self, index: int, call: ToolCall) -> list[bytes]:
        self._streamed = index
        block = {**tool_use_block(call, index, self._turn), "input": {}}
        events = self._start("tool_use", block)
        if call.function.arguments:
            partial: Json = {"type": "input_json_delta", "partial_json": call.function.arguments}
            events.append(self._grow(partial))
        return events


def _is_text_alone(delta: Delta) -> bool:
    return bool(delta.text) and not (
        delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.finish_reason
        or delta.annotations
    )
