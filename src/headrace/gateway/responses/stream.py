"""A response as server-sent events, numbered in their order.

Thoughts end when something else begins. A message and its calls stay open side by side until the
answer ends, as filters may hold back the end of each until then.
"""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from headrace.errors import HeadraceError
from headrace.gateway.annotation import responses_annotation
from headrace.gateway.responses.render import (
    Json,
    ResponseRenderer,
    Status,
    call_item,
    item_id,
    logprobs_of,
    message_item,
    reasoning_item,
    reasoning_part,
    refusal_part,
    status_of,
    text_part,
)
from headrace.types import Delta, FinishReason, ToolCallDelta

__all__ = ["ResponseStream"]

_encode = msgspec.json.Encoder().encode
_FAMILY = {
    "output_text": "response.output_text",
    "refusal": "response.refusal",
    "reasoning_text": "response.reasoning_text",
}
_WHOLE = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
"""The field of a `done` event that holds the whole text."""


@dataclass(slots=True)
class _Part:
    """One text of an item."""

    kind: Literal["output_text", "refusal", "reasoning_text"]
    place: Json
    """`item_id`, `output_index` and `content_index`, as every event of the part says."""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    head: bytes = b""
    """The beginning of every `delta` event without log probabilities, up to its number."""

    def __post_init__(self) -> None:
        kind = f"{_FAMILY[self.kind]}.delta"
        fields: Json = {"logprobs": []} if self.kind == "output_text" else {}
        data = _encode({"type": kind, **self.place, **fields})
        self.head = b'event: %b\ndata: %b,"sequence_number":' % (kind.encode(), data[:-1])

    def json(self) -> Json:
        text = "".join(self.pieces)
        if self.kind == "output_text":
            return text_part(text, self.logprobs, self.annotations)
        return refusal_part(text) if self.kind == "refusal" else reasoning_part(text)


@dataclass(slots=True)
class _Item:
    """One item of the output."""

    kind: Literal["rs", "msg", "fc"]
    id: str
    index: int
    parts: dict[str, _Part] = field(default_factory=dict)
    """Of thoughts and messages, by kind."""
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    status: Status = "in_progress"
    """`in_progress` until its `done` event."""

    def json(self, status: Status) -> Json:
        """The item as it stands, or would stand with that status."""
        if self.kind == "fc":
            return call_item(self.id, self.call_id, self.name, "".join(self.arguments), status)
        parts = [part.json() for part in self.parts.values()]
        if self.kind == "msg":
            return message_item(self.id, parts, status)
        texts = ["".join(part.pieces) for part in self.parts.values()]
        return reasoning_item(self.id, texts, status)


class ResponseStream:
    """Turns the deltas of one answer into events."""

    def __init__(self, renderer: ResponseRenderer) -> None:
        self._renderer = renderer
        self._number = 0
        self._items: list[_Item] = []
        self._thought: _Item | None = None
        self._message: _Item | None = None
        self._calls: dict[int, _Item] = {}
        self._growing: _Part | None = None
        """The message's text, while no thought is open: most deltas go straight there."""
        self._finish_reason: FinishReason | None = None

    def chunk(self, delta: Delta) -> bytes:
        """The events of one delta; before the first ones, those that open the response."""
        if delta.usage is not None or delta.index:
            return b""
        if self._growing is not None and _is_text_alone(delta):
            return self._delta(self._growing, delta.text, [])
        events = self._opened()
        if delta.reasoning:
            events += self._add_thought(delta.reasoning)
        if delta.text or delta.logprobs:
            events += self._add_text("output_text", delta.text, logprobs_of(delta.logprobs))
        for annotation in delta.annotations or ():
            events += self._annotated(responses_annotation(annotation))
        if delta.refusal:
            events += self._add_text("refusal", delta.refusal, [])
        for piece in delta.tool_calls or ():
            events += self._add_call(piece)
        if delta.finish_reason is not None:
            self._finish_reason = delta.finish_reason
        return b"".join(events)

    def end(self) -> bytes:
        """The events that close an answer that is whole, or was cut where a limit said so."""
        events = self._opened()
        if not (self._message or self._calls):
            events += self._add_text("output_text", "", [])
        status = status_of(self._finish_reason)
        for item in self._items:
            if item.status == "in_progress":
                events += self._done(item, status)
        response = self._renderer.response(status, self._output(status), self._finish_reason)
        events.append(self._event(f"response.{status}", response=response))
        return b"".join(events)

    def failed(self, error: HeadraceError) -> bytes:
        """The events that end an answer that broke off."""
        hint = f" ({error.hint})" if error.hint else ""
        said = self._event(
            "error", code=error.code, message=error.message + hint, param=error.param
        )
        output = self._output("incomplete")
        response = self._renderer.response("failed", output, error=error)
        return said + self._event("response.failed", response=response)

    def _opened(self) -> list[bytes]:
        if self._number:
            return []
        response = self._renderer.response("in_progress", [])
        kinds = ("response.created", "response.in_progress")
        return [self._event(kind, response=response) for kind in kinds]

    def _output(self, status: Status) -> list[Json]:
        """All items; those that are not done get this status."""
        return [
            item.json(status if item.status == "in_progress" else item.status)
            for item in self._items
        ]

    def _event(self, kind: str, **fields: object) -> bytes:
        data = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def _new(self, kind: Literal["rs", "msg", "fc"]) -> _Item:
        index = len(self._items)
        item = _Item(kind, item_id(kind, self._renderer.turn_id, index), index)
        self._items.append(item)
        return item

    def _added(self, item: _Item) -> bytes:
        return self._event(
            "response.output_item.added", output_index=item.index, item=item.json("in_progress")
        )

    def _add_thought(self, text: str) -> list[bytes]:
        events: list[bytes] = []
        self._growing = None
        if self._thought is None:
            self._thought = self._new("rs")
            events.append(self._added(self._thought))
        return events + self._grown(self._thought, "reasoning_text", text, [])

    def _end_thought(self) -> list[bytes]:
        thought, self._thought = self._thought, None
        return [] if thought is None else self._done(thought, "completed")

    def _add_text(
        self, kind: Literal["output_text", "refusal"], text: str, logprobs: list[Json]
    ) -> list[bytes]:
        events = self._end_thought()
        if self._message is None:
            self._message = self._new("msg")
            events.append(self._added(self._message))
        events += self._grown(self._message, kind, text, logprobs)
        self._growing = self._message.parts.get("output_text")
        return events

    def _grown(
        self,
        item: _Item,
        kind: Literal["output_text", "refusal", "reasoning_text"],
        text: str,
        logprobs: list[Json],
    ) -> list[bytes]:
        events: list[bytes] = []
        part = item.parts.get(kind)
        if part is None:
            place: Json = {
                "item_id": item.id,
                "output_index": item.index,
                "content_index": len(item.parts),
            }
            part = item.parts[kind] = _Part(kind, place)
            events.append(self._event("response.content_part.added", **place, part=part.json()))
        if text or logprobs:
            events.append(self._delta(part, text, logprobs))
        return events

    def _delta(self, part: _Part, text: str, logprobs: list[Json]) -> bytes:
        part.pieces.append(text)
        if logprobs:
            part.logprobs += logprobs
            kind = f"{_FAMILY[part.kind]}.delta"
            return self._event(kind, **part.place, delta=text, logprobs=logprobs)
        # Once a token, so what does not change was encoded once.
        number, self._number = self._number, self._number + 1
        return b'%b%d,"delta":%b}\n\n' % (part.head, number, _encode(text))

    def _annotated(self, annotation: Json) -> list[bytes]:
        part = self._message.parts.get("output_text") if self._message is not None else None
        if part is None:
            return []
        part.annotations.append(annotation)
        return [
            self._event(
                "response.output_text.annotation.added",
                **part.place,
                annotation_index=len(part.annotations) - 1,
                annotation=annotation,
            )
        ]

    def _add_call(self, piece: ToolCallDelta) -> list[bytes]:
        events = self._end_thought()
        call = self._calls.get(piece.index)
        function = piece.function
        if call is None:
            call = self._calls[piece.index] = self._new("fc")
            call.call_id = piece.id or f"call_{call.id}"
            call.name = (function.name if function is not None else None) or ""
            events.append(self._added(call))
        elif function is not None and function.name:
            call.name += function.name
        if function is not None and function.arguments:
            call.arguments.append(function.arguments)
            events.append(
                self._event(
                    "response.function_call_arguments.delta",
                    item_id=call.id,
                    output_index=call.index,
                    delta=function.arguments,
                )
            )
        return events

    def _done(self, item: _Item, status: Status) -> list[bytes]:
        events: list[bytes] = []
        if item.kind == "fc":
            events.append(
                self._event(
                    "response.function_call_arguments.done",
                    item_id=item.id,
                    output_index=item.index,
                    arguments="".join(item.arguments),
                )
            )
        for part in item.parts.values():
            fields: Json = {_WHOLE[part.kind]: "".join(part.pieces)}
            if part.kind == "output_text":
                fields["logprobs"] = part.logprobs
            events += [
                self._event(f"{_FAMILY[part.kind]}.done", **part.place, **fields),
                self._event("response.content_part.done", **part.place, part=part.json()),
            ]
        events.append(
            self._event(
                "response.output_item.done", output_index=item.index, item=item.json(status)
            )
        )
        item.status = status
        return events


def _is_text_alone(delta: Delta) -> bool:
    return bool(delta.text) and not (
        delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.logprobs
        or delta.finish_reason
        or delta.annotations
    )
