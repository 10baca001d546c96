"""Writing answers in OpenAI's shapes: whole bodies and server-sent chunks.

A chunk is written once per token, so what does not change in a stream is encoded once.
"""

import msgspec

from headrace.gateway.annotation import chat_annotation
from headrace.pipeline.turn import Turn
from headrace.types import Choice, Delta, TokenLogprob, Usage

__all__ = ["DONE", "ChatRenderer", "CompletionRenderer", "completion_body"]

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder().encode


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


class ChatRenderer:
    """`chat.completion` and its chunks, for one turn."""

    def __init__(self, turn: Turn, *, include_usage: bool) -> None:
        self._turn = turn
        self._include_usage = include_usage
        self._begun: set[int] = set()
        self.created = int(turn.trace.started_at)
        self.id = f"chatcmpl-{turn.id}"
        self._head = b""

    def _identity(self, kind: str) -> dict[str, object]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self._turn.model,
            "system_fingerprint": self._turn.trace.release[:19],
        }

    def whole(self) -> bytes:
        """The finished answer."""
        turn = self._turn
        return _encode(
            {
                **self._identity("chat.completion"),
                "choices": [self._choice(choice) for choice in turn.choices],
                "usage": _usage(turn.usage),
            }
        )

    @staticmethod
    def _choice(choice: Choice) -> dict[str, object]:
        message: dict[str, object] = {
            "role": "assistant",
            "content": choice.text
            if choice.text or not (choice.tool_calls or choice.refusal)
            else None,
            "refusal": choice.refusal or None,
        }
        if choice.reasoning:
            message["reasoning_content"] = choice.reasoning
        if choice.tool_calls:
            message["tool_calls"] = choice.tool_calls
        if choice.annotations:
            message["annotations"] = list(map(chat_annotation, choice.annotations))
        return {
            "index": choice.index,
            "message": message,
            "logprobs": _chat_logprobs(choice.logprobs),
            "finish_reason": choice.finish_reason or "stop",
        }

    def chunk(self, delta: Delta) -> bytes:
        """One server-sent event; the first of each choice is preceded by its role chunk."""
        if not self._head:
            usage = b',"usage":null' if self._include_usage else b""
            identity = _encode(self._identity("chat.completion.chunk"))
            self._head = b"data: " + identity[:-1] + usage + b',"choices":['
        if delta.usage is not None:
            if not self._include_usage:
                return b""
            body = {
                **self._identity("chat.completion.chunk"),
                "choices": [],
                "usage": _usage(delta.usage),
            }
            return b"data: " + _encode(body) + b"\n\n"
        role = b""
        if delta.index not in self._begun:
            self._begun.add(delta.index)
            role = self._event(delta.index, {"role": "assistant", "content": ""})
        content: dict[str, object] = {}
        if delta.text:
            content["content"] = delta.text
        if delta.reasoning:
            content["reasoning_content"] = delta.reasoning
        if delta.refusal:
            content["refusal"] = delta.refusal
        if delta.tool_calls:
            content["tool_calls"] = delta.tool_calls
        if delta.annotations:
            content["annotations"] = list(map(chat_annotation, delta.annotations))
        if delta.finish_reason is None:
            return role + self._event(delta.index, content, delta.logprobs)
        # The finish reason comes in a chunk of its own, as OpenAI sends it.
        said = self._event(delta.index, content, delta.logprobs) if content else b""
        return role + said + self._event(delta.index, {}, None, delta.finish_reason)

    def _event(
        self,
        index: int,
        content: dict[str, object],
        logprobs: list[TokenLogprob] | None = None,
        finish_reason: str | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "delta": content,
            "logprobs": _chat_logprobs(logprobs),
            "finish_reason": finish_reason,
        }
        return self._head + _encode(choice) + b"]}\n\n"


def _chat_logprobs(tokens: list[TokenLogprob] | None) -> dict[str, object] | None:
    return {"content": tokens, "refusal": None} if tokens else None


class CompletionRenderer:
    """`text_completion` and its chunks, for one turn of a request that may hold several."""

    def __init__(self, turn: Turn, *, include_usage: bool, offset: int = 0, echo: str = "") -> None:
        self._turn = turn
        self._include_usage = include_usage
        self._offset = offset
        self._echo = echo
        self._begun: set[int] = set()
        self.id = f"cmpl-{turn.id}"
        self.created = int(turn.trace.started_at)

    def identity(self) -> dict[str, object]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self._turn.model,
            "system_fingerprint": self._turn.trace.release[:19],
        }

    def choices(self) -> list[dict[str, object]]:
        """The finished choices, numbered within the whole request."""
        return [
            self._choice(c.index, self._echo + c.text, c.finish_reason or "stop", c.logprobs)
            for c in self._turn.choices
        ]

    def chunk(self, delta: Delta) -> bytes:
        """One server-sent event; empty for what this wire does not carry."""
        if delta.usage is not None:
            return b""
        text = delta.text
        if delta.index not in self._begun:
            self._begun.add(delta.index)
            text = self._echo + text
        choice = self._choice(delta.index, text, delta.finish_reason, delta.logprobs)
        usage = {"usage": None} if self._include_usage else {}
        return b"data: " + _encode({**self.identity(), "choices": [choice], **usage}) + b"\n\n"

    def usage_chunk(self, usage: Usage) -> bytes:
        body = {**self.identity(), "choices": [], "usage": _usage(usage)}
        return b"data: " + _encode(body) + b"\n\n"

    def _choice(
        self,
        index: int,
        text: str,
        finish_reason: str | None,
        logprobs: list[TokenLogprob] | None,
    ) -> dict[str, object]:
        return {
            "index": self._offset + index,
            "text": text,
            "logprobs": _legacy_logprobs(logprobs) if logprobs else None,
            "finish_reason": finish_reason,
        }


def _legacy_logprobs(tokens: list[TokenLogprob]) -> dict[str, object]:
    """The older shape that `/v1/completions` uses: parallel lists."""
    offsets: list[int] = []
    at = 0
    for token in tokens:
        offsets.append(at)
        at += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{t.token: t.logprob for t in token.top_logprobs} for token in tokens],
        "text_offset": offsets,
    }


def completion_body(renderers: list[CompletionRenderer], usage: Usage) -> bytes:
    """The finished answer to a request with one or more prompts."""
    choices = [choice for each in renderers for choice in each.choices()]
    return _encode({**renderers[0].identity(), "choices": choices, "usage": _usage(usage)})
