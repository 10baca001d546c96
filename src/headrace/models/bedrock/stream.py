"""What Converse answers, streamed or whole, as deltas.

Citations, pictures and results of the provider's own tools are not shown: OpenAI's answers have no
place for them.
"""

import base64
from collections.abc import Iterable, Iterator

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.bedrock.errors import failure_of
from headrace.models.bedrock.eventstream import Event, EventStreamReader
from headrace.models.bedrock.request import JSON_TOOL
from headrace.models.bedrock.usage import Tokens, usage_of
from headrace.models.dialect.carried import carry
from headrace.models.dialect.reading import UNREADABLE, read_json, unreadable
from headrace.models.dialect.whole import merged
from headrace.types import Delta, FinishReason, FunctionDelta, ToolCallDelta

__all__ = ["ConverseReader", "deltas_of_converse"]

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class _ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    """A whole block has `reasoningText`; a piece of one has its fields."""

    reasoning_text: _ReasoningText | None = None
    text: str = ""
    signature: str = ""
    redacted_content: str = ""


class _Block(msgspec.Struct, rename="camel"):
    text: str = ""
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Input(msgspec.Struct):
    input: str = ""


class _Piece(msgspec.Struct, rename="camel"):
    text: str = ""
    tool_use: _Input | None = None
    reasoning_content: _Reasoning | None = None


class _Start(msgspec.Struct, rename="camel"):
    tool_use: _ToolUse | None = None


class _Payload(msgspec.Struct, rename="camel"):
    """Any event's payload; `:event-type` says which."""

    content_block_index: int = 0
    start: _Start | None = None
    delta: _Piece | None = None
    stop_reason: str = ""
    usage: Tokens | None = None
    message: str = ""
    original_message: str = ""


class _Message(msgspec.Struct):
    content: list[_Block] = []


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str
    usage: Tokens


_decode = msgspec.json.Decoder(_Payload).decode


class _Open:
    """A content block that has begun."""

    __slots__ = ("call", "has_input", "is_tool", "redacted", "signature", "thinking")

    def __init__(self) -> None:
        self.is_tool = False
        self.call = -1
        """Index of the tool call; -1 for none."""
        self.has_input = False
        self.thinking = ""
        self.signature = ""
        self.redacted = b""

    def add(self, reasoning: _Reasoning) -> None:
        self.thinking += reasoning.text
        self.signature += reasoning.signature
        # Each piece is base64 of its own.
        self.redacted += base64.b64decode(reasoning.redacted_content)

    def thought(self) -> dict[str, object] | None:
        """The block as it must come back, if it holds thoughts that are signed or sealed."""
        if self.redacted:
            sealed = base64.b64encode(self.redacted).decode()
            return {"reasoningContent": {"redactedContent": sealed}}
        if not self.signature:
            return None
        text = {"text": self.thinking, "signature": self.signature}
        return {"reasoningContent": {"reasoningText": text}}


class ConverseReader:
    """Reads one streamed answer.

    Args:
        forced_json: the answer is the input of `JSON_TOOL`, so it is given as text.
    """

    def __init__(self, *, model: str, forced_json: bool = False) -> None:
        self._events = EventStreamReader()
        self._model = model
        self._forced_json = forced_json
        self._blocks: dict[int, _Open] = {}
        self._thoughts: list[dict[str, object]] = []
        """Reasoning blocks since the last tool call, as they came."""
        self._calls = 0
        self._finished = False
        self._tokens: Tokens | None = None

    def feed(self, packet: bytes) -> Iterator[Delta]:
        """The deltas that this packet completes.

        Raises:
            ModelUnavailable: Bedrock reports a failure, or what came is not its protocol.
        """
        try:
            for event in self._events.feed(packet):
                yield from self._read(event)
        except UNREADABLE as error:
            raise unreadable("Bedrock", error) from error

    def end(self) -> Iterable[Delta]:
        """The usage, which is the last thing to come.

        Raises:
            ModelUnavailable: the stream ended before the answer did.
        """
        if not self._finished or self._tokens is None or not self._events.is_between:
            raise ModelUnavailable("Bedrock ended its answer too early")
        return (Delta(usage=usage_of(self._tokens)),)

    def _read(self, event: Event) -> Iterator[Delta]:
        if event.text(":message-type") != "event":
            raise self._failure(event)
        kind = event.text(":event-type")
        payload = _decode(event.payload or b"{}")
        index = payload.content_block_index
        if kind == "contentBlockDelta" and payload.delta is not None:
            yield from self._delta(index, payload.delta)
        elif kind == "contentBlockStart" and payload.start is not None:
            if payload.start.tool_use is not None:
                yield from self._call(index, payload.start.tool_use)
        elif kind == "contentBlockStop":
            yield from self._stop(index)
        elif kind == "messageStop":
            yield self._finish(payload.stop_reason)
        elif kind == "metadata":
            self._tokens = payload.usage

    def _failure(self, event: Event) -> ModelUnavailable:
        """What an exception in the stream stands for; it can no more be the client's fault."""
        kind = event.text(":exception-type") or event.text(":error-code") or "unknown"
        message = event.text(":error-message")
        if not message:
            payload = _decode(event.payload or b"{}")
            message = payload.message or payload.original_message
        error = failure_of(kind, message or kind, model=self._model)
        if isinstance(error, ModelUnavailable):
            return error
        return ModelUnavailable(f"Bedrock broke off: {message or kind}")

    def _open(self, index: int) -> _Open:
        """Blocks of text and of thoughts begin with their first piece."""
        return self._blocks.setdefault(index, _Open())

    def _call(self, index: int, tool: _ToolUse) -> Iterator[Delta]:
        opened = self._open(index)
        opened.is_tool = tool.type is None
        if not opened.is_tool or (self._forced_json and tool.name == JSON_TOOL):
            return
        opened.call = self._calls
        self._calls += 1
        call_id = tool.tool_use_id
        if self._thoughts:
            call_id = carry(call_id, "b", msgspec.json.encode(self._thoughts))
            self._thoughts = []
        function = FunctionDelta(name=tool.name, arguments="")
        yield Delta(
            tool_calls=[ToolCallDelta(opened.call, id=call_id, type="function", function=function)]
        )

    def _delta(self, index: int, delta: _Piece) -> Iterator[Delta]:
        opened = self._open(index)
        if delta.text:
            yield Delta(text=delta.text)
        if delta.tool_use is not None and delta.tool_use.input:
            yield from self._input(opened, delta.tool_use.input)
        if delta.reasoning_content is not None:
            opened.add(delta.reasoning_content)
            if delta.reasoning_content.text:
                yield Delta(reasoning=delta.reasoning_content.text)

    def _input(self, opened: _Open, text: str) -> Iterator[Delta]:
        if not opened.is_tool:
            return
        opened.has_input = True
        if opened.call < 0:
            yield Delta(text=text)
        else:
            function = FunctionDelta(arguments=text)
            yield Delta(tool_calls=[ToolCallDelta(opened.call, function=function)])

    def _stop(self, index: int) -> Iterator[Delta]:
        opened = self._blocks.pop(index, None)
        if opened is None:
            return
        if opened.is_tool and not opened.has_input:
            yield from self._input(opened, "{}")
        thought = opened.thought()
        if thought is not None:
            self._thoughts.append(thought)

    def _finish(self, reason: str) -> Delta:
        finish = _FINISH.get(reason)
        if finish is None:
            # `malformed_tool_use` and its like: the model went wrong.
            raise ModelUnavailable(f"Bedrock broke off: {reason or 'no reason given'}")
        self._finished = True
        if finish == "tool_calls" and not self._calls:
            finish = "stop"
        return Delta(finish_reason=finish)

    def whole(self, answer: _Answer) -> Iterator[Delta]:
        """The deltas of an answer that came in one piece."""
        for index, block in enumerate(answer.output.message.content):
            if block.tool_use is not None:
                yield from self._call(index, block.tool_use)
                yield from self._input(self._open(index), bytes(block.tool_use.input).decode())
            reasoning = block.reasoning_content
            if reasoning is not None and reasoning.reasoning_text is not None:
                said = reasoning.reasoning_text
                reasoning = _Reasoning(text=said.text, signature=said.signature or "")
            yield from self._delta(index, _Piece(text=block.text, reasoning_content=reasoning))
            yield from self._stop(index)
        yield self._finish(answer.stop_reason)
        yield Delta(usage=usage_of(answer.usage))


def deltas_of_converse(body: bytes, *, model: str, forced_json: bool) -> list[Delta]:
    """The deltas of an answer that came in one piece.

    Raises:
        ModelUnavailable: it is no answer of this protocol.
    """
    answer = read_json(body, _Answer, "Bedrock")
    return merged(ConverseReader(model=model, forced_json=forced_json).whole(answer))
