"""An upstream that speaks Anthropic's Messages API as its documentation describes it.

What it answers is set by the test as content blocks; it sends them whole or streams them, cut into
small pieces as the real one does. Anthropic's own SDK reads it in test_anthropic.py.
Source: https://platform.claude.com/docs/en/api/messages, …/build-with-claude/streaming, …/api/errors
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from tests.upstreams.server import Answer, Asked, Server, json_answer

__all__ = ["AnthropicUpstream", "event", "failure", "streamed"]

KEY = "sk-ant-api03-test"
SAMPLING_REMOVED_IN = "2026-10-21"
Block = dict[str, object]


def event(kind: str, **fields: object) -> bytes:
    """One server-sent event, spelled as Anthropic spells it."""
    data = msgspec.json.encode({"type": kind, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def failure(status: int, kind: str, message: str, *headers: tuple[str, str]) -> Answer:
    """An error response."""
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }
    return json_answer(body, status, headers)


def _pieces(text: str) -> list[str]:
    return [text[i : i + 5] for i in range(0, len(text), 5)] or [""]


def _block_events(index: int, block: Block) -> Iterator[bytes]:
    kind = block["type"]
    start: Block = dict(block)
    deltas: list[Block] = []
    if kind == "text":
        start = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(str(block["text"]))]
    elif kind == "tool_use":
        start["input"] = {}
        if block["input"]:
            text = msgspec.json.encode(block["input"]).decode()
            deltas = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ["", *_pieces(text)]
            ]
    elif kind == "thinking":
        start = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": piece}
            for piece in _pieces(str(block["thinking"]))
            if piece
        ]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    yield event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


@dataclass
class AnthropicUpstream:
    """What the next answers hold, whole or streamed."""

    server: Server
    content: list[Block] = field(default_factory=lambda: [{"type": "text", "text": "Hello!"}])
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Block | None = None
    usage: Block = field(
        default_factory=lambda: {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 6,
        }
    )
    headers: tuple[tuple[str, str], ...] = ()
    models: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.on("POST", "/v1/messages", self._create)
        self.server.on("POST", "/v1/messages/count_tokens", self._count)
        self.server.on("GET", "/v1/models", self._list)

    def message(self, model: str) -> Block:
        """The answer as one message."""
        return {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": self.content,
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
            "usage": self.usage,
        }

    def events(self, model: str = "claude-sonnet-5") -> list[bytes]:
        """The answer as a stream."""
        usage = {**self.usage, "output_tokens": 1}
        started = {
            **self.message(model),
            "content": [],
            "stop_reason": None,
            "stop_details": None,
            "usage": usage,
        }
        events = [event("message_start", message=started)]
        for index, block in enumerate(self.content):
            events += _block_events(index, block)
            if index == 0:
                events.insert(2, event("ping"))
        delta = {
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
        }
        events.append(event("message_delta", delta=delta, usage=self.usage))
        return [*events, event("message_stop")]

    def _refusal(self, asked: Asked) -> Answer | None:
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if asked.headers.get("x-api-key", bearer) != KEY:
            return failure(401, "authentication_error", "invalid x-api-key")
        if "anthropic-version" not in asked.headers:
            message = "anthropic-version: header is required"
            return failure(400, "invalid_request_error", message)
        return None

    def _create(self, asked: Asked) -> Answer:
        if (refusal := self._refusal(asked)) is not None:
            return refusal
        body = asked.json()
        for name in ("model", "messages", "max_tokens"):
            if name not in body:
                return failure(400, "invalid_request_error", f"{name}: Field required")
        if asked.headers["anthropic-version"] >= SAMPLING_REMOVED_IN:
            for name in ("temperature", "top_p", "top_k"):
                if name in body:
                    message = f"{name}: Extra inputs are not permitted"
                    return failure(400, "invalid_request_error", message)
        if (wrong := _wrong(body)) is not None:
            return failure(400, "invalid_request_error", wrong)
        if body.get("stream"):
            return streamed(*self.events(str(body["model"])), headers=self.headers)
        return json_answer(self.message(str(body["model"])), headers=self.headers)

    def _count(self, asked: Asked) -> Answer:
        if (refusal := self._refusal(asked)) is not None:
            return refusal
        if "max_tokens" in asked.json():
            message = "max_tokens: Extra inputs are not permitted"
            return failure(400, "invalid_request_error", message)
        return json_answer({"input_tokens": 2095})

    def _list(self, asked: Asked) -> Answer:
        if (refusal := self._refusal(asked)) is not None:
            return refusal
        body = {"data": self.models, "has_more": False, "first_id": None, "last_id": None}
        return json_answer(body)


def _wrong(body: Block) -> str | None:
    """What the API says of the conversation, if it is wrong."""
    messages = body["messages"]
    assert isinstance(messages, list)
    if not messages:
        return "messages: at least one message is required"
    asked: set[object] = set()
    for i, message in enumerate(messages):
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results - asked:
            return f"messages.{i}.content.0: unexpected `tool_use_id` found in `tool_result` blocks"
        if asked - results:
            return f"messages.{i}: `tool_use` ids were found without `tool_result` blocks"
        if any(block["type"] == "text" and not block["text"] for block in blocks):
            return f"messages.{i}: text content blocks must be non-empty"
        asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
    return None


def streamed(
    *pieces: bytes, headers: tuple[tuple[str, str], ...] = (), status: int = 200
) -> Answer:
    """A response of server-sent events, each in a packet of its own."""
    kind = ("content-type", "text/event-stream; charset=utf-8")
    return Answer(status, [kind, *headers], list(pieces))
