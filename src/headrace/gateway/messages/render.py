"""The message object and its content blocks, as Anthropic's API has them."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from headrace.gateway.annotation import message_citations
from headrace.pipeline.turn import Turn
from headrace.types import Choice, FinishReason, ToolCall, Usage

__all__ = [
    "Json",
    "message_id",
    "message_of",
    "stop_of",
    "text_block",
    "thinking_block",
    "tool_use_block",
    "usage_of",
    "whole",
]

Json: TypeAlias = dict[str, object]

_encode = msgspec.json.Encoder().encode
_STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def whole(turn: Turn) -> bytes:
    """The finished message."""
    choice = next(iter(turn.choices), None) or Choice()
    content: list[Json] = []
    if choice.reasoning:
        content.append(thinking_block(choice.reasoning))
    if text := choice.text + choice.refusal:
        content.append(text_block(text, message_citations(choice.annotations, turn.passages)))
    content += [tool_use_block(call, i, turn) for i, call in enumerate(choice.tool_calls)]
    refused = bool(choice.refusal)
    stop = stop_of(turn, choice.finish_reason or "stop", refused=refused)
    return _encode({**message_of(turn, content), **stop, "usage": usage_of(turn.usage)})


def message_id(turn: Turn) -> str:
    return f"msg_{turn.id.replace('-', '')}"


def message_of(turn: Turn, content: Sequence[Json]) -> Json:
    """What a message says before it is known how it ends."""
    return {
        "id": message_id(turn),
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage_of(Usage()),
    }


def stop_of(turn: Turn, reason: FinishReason, *, refused: bool) -> Json:
    """Why the answer ended. Which stop sequence it was is not known here: then it is `end_turn`.

    Args:
        refused: whether the model's own words were a refusal.
    """
    is_refusal = refused or reason == "content_filter"
    details: Json | None = None
    if is_refusal:
        details = {"type": "refusal", "category": None, "explanation": turn.blocked}
    return {
        "stop_reason": "refusal" if is_refusal else _STOP_REASONS[reason],
        "stop_sequence": None,
        "stop_details": details,
    }


def usage_of(usage: Usage) -> Json:
    """Anthropic counts cached tokens beside the others; ours are part of them."""
    apart = usage.cached_tokens + usage.cache_write_tokens
    said: Json = {
        "input_tokens": max(0, usage.prompt_tokens - apart),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return said


def text_block(text: str, citations: Sequence[Json] = ()) -> Json:
    return {"type": "text", "text": text, "citations": citations or None}


def thinking_block(thinking: str) -> Json:
    """Without a signature: what a provider wants back of its thoughts rides on the calls' ids."""
    return {"type": "thinking", "thinking": thinking, "signature": ""}


def tool_use_block(call: ToolCall, index: int, turn: Turn) -> Json:
    return {
        "type": "tool_use",
        "id": call.id or f"toolu_{turn.id.replace('-', '')}{index:02x}",
        "name": call.function.name,
        "input": _input(call.function.arguments),
    }


def _input(arguments: str) -> Json:
    """The arguments as an object; empty where a limit cut them off."""
    try:
        return msgspec.json.decode(arguments, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError):
        return {}
