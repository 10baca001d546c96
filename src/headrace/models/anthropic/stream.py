"""What the Messages API answers, streamed or whole, as deltas.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
Blocks of the provider's own tools (web search, code execution) are not shown: OpenAI's answers
have no place for them. Neither have they for citations.
"""

from collections.abc import Iterable, Iterator

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.anthropic.errors import Failure, failure_of
from headrace.models.anthropic.request import JSON_TOOL
from headrace.models.anthropic.usage import Tokens, usage_of
from headrace.models.dialect.carried import carry
from headrace.models.dialect.reading import UNREADABLE, read_json, unreadable
from headrace.models.dialect.whole import merged
from headrace.models.sse import EventReader
from headrace.types import Delta, FinishReason, FunctionDelta, ToolCallDelta

__all__ = ["MessageReader", "deltas_of_message"]

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # A long turn of the provider's own tools, interrupted: the answer is not whole.
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, object] | None = None


class _Details(msgspec.Struct):
    explanation: str | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: _Details | None = None


class _Message(msgspec.Struct):
    content: list[_Block] = []
    stop_reason: str | None = None
    stop_details: _Details | None = None
    usage: Tokens = msgspec.field(default_factory=Tokens)


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: Tokens | None = None
    error: Failure | None = None


_decode = msgspec.json.Decoder(_Event).decode


class MessageReader:
    """Reads one streamed answer.

    Args:
        forced_json: the answer is the input of `JSON_TOOL`, so it is given as text.
    """

    def __init__(self, *, model: str, forced_json: bool = False) -> None:
        self._events = EventReader()
        self._model = model
        self._forced_json = forced_json
        self._tokens = Tokens()
        self._blocks: dict[int, _Open] = {}
        self._thoughts: list[dict[str, object]] = []
        """Thinking blocks since the last tool call, as they came."""
        self._calls = 0
        self._finished = False
        self._done = False

    def feed(self, packet: bytes) -> Iterator[Delta]:
        """The deltas that this packet completes.

        Raises:
            ModelUnavailable: Anthropic reports a failure, or what came is not its protocol.
        """
        try:
            for data in self._events.feed(packet):
                yield from self._read(_decode(data))
        except UNREADABLE as error:
            raise unreadable("Anthropic", error) from error

    def end(self) -> Iterable[Delta]:
        """Nothing remains after `message_stop`.

        Raises:
            ModelUnavailable: the stream ended before that.
        """
        if not self._done:
            raise ModelUnavailable("Anthropic ended its answer too early")
        return ()

    def _read(self, event: _Event) -> Iterator[Delta]:
        if event.type == "content_block_delta" and event.delta is not None:
            yield from self._delta(event.index, event.delta)
        elif event.type == "content_block_start" and event.content_block is not None:
            yield from self._start(event.index, event.content_block)
        elif event.type == "content_block_stop":
            yield from self._stop(event.index)
        elif event.type == "message_start" and event.message is not None:
            self._tokens = event.message.usage
        elif event.type == "message_delta":
            if event.usage is not None:
                self._tokens = event.usage.over(self._tokens)
            # There may be several of these; the first reason ends the answer.
            if event.delta is not None and event.delta.stop_reason and not self._finished:
                yield self.finish(event.delta.stop_reason, event.delta.stop_details)
        elif event.type == "message_stop":
            if not self._finished:
                raise ModelUnavailable("Anthropic ended its answer without saying why")
            self._done = True
            yield Delta(usage=usage_of(self._tokens))
        elif event.type == "error" and event.error is not None:
            error = failure_of(event.error, model=self._model)
            if isinstance(error, ModelUnavailable):
                raise error
            raise ModelUnavailable(f"Anthropic broke off: {event.error.message}")

    def _start(self, index: int, block: _Block) -> Iterator[Delta]:
        opened = self._blocks[index] = _Open(block)
        if block.type == "text" and block.text:
            yield Delta(text=block.text)
        elif block.type == "thinking" and block.thinking:
            yield Delta(reasoning=block.thinking)
        elif block.type == "tool_use":
            if self._forced_json and block.name == JSON_TOOL:
                return
            opened.call = self._calls
            self._calls += 1
            yield Delta(tool_calls=[self._call(opened)])

    def _call(self, opened: "_Open") -> ToolCallDelta:
        call_id = opened.block.id
        if self._thoughts:
            call_id = carry(call_id, "a", msgspec.json.encode(self._thoughts))
            self._thoughts = []
        function = FunctionDelta(name=opened.block.name, arguments="")
        return ToolCallDelta(opened.call, id=call_id, type="function", function=function)

    def _delta(self, index: int, delta: _Delta) -> Iterator[Delta]:
        opened = self._blocks.get(index)
        if opened is None:
            raise ModelUnavailable("Anthropic sent a piece of a block that it never began")
        if delta.type == "text_delta":
            if delta.text:
                yield Delta(text=delta.text)
        elif delta.type == "input_json_delta":
            if delta.partial_json:
                yield from self._arguments(opened, delta.partial_json)
        elif delta.type == "thinking_delta":
            opened.thinking.append(delta.thinking)
            if delta.thinking:
                yield Delta(reasoning=delta.thinking)
        elif delta.type == "signature_delta":
            opened.signature.append(delta.signature)

    def _arguments(self, opened: "_Open", text: str) -> Iterator[Delta]:
        if opened.block.type != "tool_use":
            return
        opened.has_arguments = True
        if opened.call < 0:
            yield Delta(text=text)
        else:
            function = FunctionDelta(arguments=text)
            yield Delta(tool_calls=[ToolCallDelta(opened.call, function=function)])

    def _stop(self, index: int) -> Iterator[Delta]:
        opened = self._blocks.pop(index, None)
        if opened is None:
            return
        if opened.block.type == "tool_use" and not opened.has_arguments:
            # A call without arguments streams none; some servers give them all at the start.
            yield from self._arguments(opened, _json(opened.block.input or {}))
        thought = opened.thought()
        if thought is not None:
            self._thoughts.append(thought)

    def finish(self, reason: str, details: _Details | None) -> Delta:
        """The delta that ends the answer.

        Raises:
            ModelUnavailable: a reason that is not known.
        """
        finish = _FINISH.get(reason)
        if finish is None:
            raise ModelUnavailable(f"Anthropic stopped for a reason not known here: {reason}")
        self._finished = True
        if finish == "tool_calls" and not self._calls:
            finish = "stop"
        refusal = (details.explanation or "") if details is not None else ""
        return Delta(refusal=refusal, finish_reason=finish)

    def whole(self, message: _Message) -> Iterator[Delta]:
        """The deltas of a message that came in one piece."""
        for index, block in enumerate(message.content):
            yield from self._start(index, block)
            yield from self._stop(index)
        if message.stop_reason is None:
            raise ModelUnavailable("Anthropic ended its answer without saying why")
        yield self.finish(message.stop_reason, message.stop_details)
        yield Delta(usage=usage_of(message.usage))


class _Open:
    """A content block that has begun."""

    __slots__ = ("block", "call", "has_arguments", "signature", "thinking")

    def __init__(self, block: _Block) -> None:
        self.block = block
        self.call = -1
        """Index of the tool call; -1 for none."""
        self.has_arguments = False
        self.thinking = [block.thinking]
        self.signature = [block.signature]

    def thought(self) -> dict[str, object] | None:
        """The block as it must come back, if it holds thoughts that are signed."""
        if self.block.type == "redacted_thinking":
            return {"type": "redacted_thinking", "data": self.block.data}
        signature = "".join(self.signature)
        if self.block.type != "thinking" or not signature:
            return None
        thinking = "".join(self.thinking)
        return {"type": "thinking", "thinking": thinking, "signature": signature}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def deltas_of_message(body: bytes, *, model: str, forced_json: bool) -> list[Delta]:
    """The deltas of an answer that came in one piece.

    Raises:
        ModelUnavailable: it is no message of this protocol.
    """
    message = read_json(body, _Message, "Anthropic")
    return merged(MessageReader(model=model, forced_json=forced_json).whole(message))
