"""Messages of Anthropic's API, as messages of a chat.

A user message with tool results comes apart: each result is a message of the role `tool`, and what
else it says follows. Marks for the provider's cache (`cache_control`) stay on what they stand on.
Left out: `is_error` of a tool's result (its text says so), citations, and thoughts that only
Anthropic can read.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.convert import converted
from headrace.types import FunctionCall, Message, Part, ToolCall

__all__ = ["Content", "Said", "messages_of", "system_of"]

Content: TypeAlias = str | list[Part]
_encode = msgspec.json.Encoder().encode


class Said(msgspec.Struct):
    """One message of the request."""

    role: Literal["user", "assistant", "system"]
    content: Content


class _Text(msgspec.Struct):
    text: str


class _Thinking(msgspec.Struct):
    thinking: str


class _Use(msgspec.Struct):
    id: str
    name: str
    input: dict[str, object]


class _Result(msgspec.Struct):
    tool_use_id: str
    content: Content = ""


class _Source(msgspec.Struct):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: Content = ""


class _Media(msgspec.Struct):
    source: _Source
    title: str | None = None
    context: str | None = None


class _Found(msgspec.Struct):
    source: str
    title: str
    content: list[_Text]


def system_of(system: Content | None) -> list[Message]:
    """`system` as a message; none where it is empty."""
    if not system:
        return []
    return [Message(role="system", content=_content(system, "system"))]


def messages_of(given: Sequence[Said]) -> list[Message]:
    """The messages in chat words.

    Raises:
        InvalidRequest: a block that is malformed, or that only Anthropic's own tools make.
    """
    messages: list[Message] = []
    for i, said in enumerate(given):
        where = f"messages[{i}].content"
        if said.role == "assistant":
            messages.append(_answer(said.content, where))
        elif said.role == "system" or isinstance(said.content, str):
            messages.append(Message(role=said.role, content=_content(said.content, where)))
        else:
            messages += _question(said.content, where)
    return messages


def _question(blocks: Sequence[Part], where: str) -> list[Message]:
    results: list[Message] = []
    rest: list[Part] = []
    for i, block in enumerate(blocks):
        if block.get("type") == "tool_result":
            result = converted(block, _Result, f"{where}[{i}]")
            content = _content(result.content, f"{where}[{i}].content")
            results.append(Message(role="tool", tool_call_id=result.tool_use_id, content=content))
        else:
            rest += _parts(block, f"{where}[{i}]")
    if rest or not results:
        results.append(Message(role="user", content=_simple(rest)))
    return results


def _answer(content: Content, where: str) -> Message:
    if isinstance(content, str):
        return Message(role="assistant", content=content)
    parts: list[Part] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for i, block in enumerate(content):
        kind, at = block.get("type"), f"{where}[{i}]"
        if kind == "thinking":
            thoughts.append(converted(block, _Thinking, at).thinking)
        elif kind == "tool_use":
            use = converted(block, _Use, at)
            function = FunctionCall(use.name, _encode(use.input).decode())
            calls.append(ToolCall(id=use.id, function=function))
        elif kind != "redacted_thinking":
            parts += _parts(block, at)
    return Message(
        role="assistant",
        content=_simple(parts) if parts or not calls else None,
        tool_calls=calls or None,
        reasoning_content="\n\n".join(filter(None, thoughts)) or None,
    )


def _content(content: Content, where: str) -> Content:
    if isinstance(content, str):
        return content
    return _simple(
        [part for i, block in enumerate(content) for part in _parts(block, f"{where}[{i}]")]
    )


def _simple(parts: list[Part]) -> Content:
    """One text without any mark as a text, as every model takes it."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _parts(block: Part, where: str) -> list[Part]:
    """A block in chat words. A mark for the cache goes to the last part."""
    kind = block.get("type")
    if kind == "text":
        parts: list[Part] = [{"type": "text", "text": converted(block, _Text, where).text}]
    elif kind == "image":
        parts = [_image(converted(block, _Media, where).source, where)]
    elif kind == "document":
        parts = _document(converted(block, _Media, where), where)
    elif kind == "search_result":
        found = converted(block, _Found, where)
        text = "\n".join([found.title, found.source, *(each.text for each in found.content)])
        parts = [{"type": "text", "text": text}]
    else:
        raise InvalidRequest(
            f"'{where}.type' is {kind!r}, which is not taken here",
            hint="known: text, image, document, search_result, thinking, tool_use, tool_result",
            param=f"{where}.type",
        )
    if parts and (mark := block.get("cache_control")) is not None:
        parts[-1]["cache_control"] = mark
    return parts


def _image(source: _Source, where: str) -> Part:
    if source.type == "base64":
        url = f"data:{source.media_type};base64,{source.data}"
    elif source.type == "url":
        url = source.url
    else:
        raise _unknown_source(source, where)
    return {"type": "image_url", "image_url": {"url": url}}


def _document(document: _Media, where: str) -> list[Part]:
    source = document.source
    about = [each for each in (document.title, document.context) if each]
    if source.type in ("text", "content"):
        # Title and context are words about the text; the text itself follows as it is.
        texts: Content = source.data if source.type == "text" else source.content
        before: list[Part] = [{"type": "text", "text": each} for each in about]
        if isinstance(texts, str):
            return [*before, {"type": "text", "text": texts}]
        inner = f"{where}.source.content"
        return before + [p for i, b in enumerate(texts) for p in _parts(b, f"{inner}[{i}]")]
    if source.type == "base64":
        file: Part = {"file_data": f"data:{source.media_type};base64,{source.data}"}
    elif source.type == "url":
        file = {"file_data": source.url}
    elif source.type == "file":
        file = {"file_id": source.file_id}
    else:
        raise _unknown_source(source, where)
    if document.title:
        file["filename"] = document.title
    words: list[Part] = [{"type": "text", "text": document.context}] if document.context else []
    return [*words, {"type": "file", "file": file}]


def _unknown_source(source: _Source, where: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{where}.source.type' is {source.type!r}, which is not taken here",
        hint="send the data in base64, or its address",
        param=f"{where}.source.type",
    )
