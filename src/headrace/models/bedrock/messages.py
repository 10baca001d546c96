"""A conversation as Converse takes it: system blocks apart, user and assistant in turn."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.models.dialect.carried import fitting_id, payload_of
from headrace.models.dialect.piece import Media, Native, Piece, Text, pieces_of, refuse_piece
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.dialect.tool import arguments_of
from headrace.models.errors import NotOffered
from headrace.types import Message

__all__ = ["Block", "Conversation", "cache_point", "conversation_of"]

Block: TypeAlias = dict[str, object]
_PROVIDER = "Bedrock"
_MAX_ID_CHARS = 64
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")


@dataclass(slots=True)
class Conversation:
    """What goes to `system` and to `messages`."""

    system: list[Block] = field(default_factory=list)
    turns: list[dict[str, object]] = field(default_factory=list)
    has_tools: bool = False
    """Whether tools have been called already."""
    lacks_thoughts: bool = False
    """Whether the newest turn calls tools without the thoughts that led there."""

    def user_speaks(self) -> None:
        """A new question after an answer: thoughts of before are no longer needed."""
        if self.turns and self.turns[-1]["role"] == "assistant":
            self.lacks_thoughts = False

    def add(self, role: str, blocks: list[Block]) -> None:
        """One more message; one of the same role as the last joins it."""
        if not blocks:
            return
        if self.turns and self.turns[-1]["role"] == role:
            content = self.turns[-1]["content"]
            assert isinstance(content, list)
            content += blocks
        else:
            self.turns.append({"role": role, "content": blocks})


def conversation_of(messages: Sequence[Message]) -> Conversation:
    """The messages in Converse's blocks. System and developer messages move to the front.

    Raises:
        InvalidRequest: a role or part that the protocol has no words for, or nothing to answer.
    """
    conversation = Conversation()
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        pieces = pieces_of(message, where)
        if message.role in ("system", "developer"):
            conversation.system += _blocks(pieces, where)
        elif message.role == "user":
            conversation.user_speaks()
            conversation.add("user", _blocks(pieces, where))
        elif message.role == "tool":
            conversation.add("user", _result(message, pieces, where))
        elif message.role == "assistant":
            blocks = list(_answer(message, pieces, where))
            if message.tool_calls:
                conversation.has_tools = True
            conversation.lacks_thoughts = bool(
                message.tool_calls and "reasoningContent" not in blocks[0]
            )
            conversation.add("assistant", blocks)
        else:
            raise NotOffered(
                f"{_PROVIDER} has no role {message.role!r}",
                hint="use the role 'tool' with a 'tool_call_id'",
                param=f"{where}.role",
            )
    if not conversation.turns:
        raise InvalidRequest(
            f"{_PROVIDER} needs a message of the user's that is not empty", param="messages"
        )
    return conversation


def cache_point(mark: dict[str, object]) -> Block:
    """A mark that the prompt is cached up to here, from `cache_control`."""
    point: Block = {"type": "default"}
    if (ttl := mark.get("ttl")) is not None:
        point["ttl"] = ttl
    return {"cachePoint": point}


def _answer(message: Message, pieces: Iterator[Piece], where: str) -> Iterator[Block]:
    calls = message.tool_calls or []
    # Thoughts come before what they led to, the first ones before the answer's text.
    if calls:
        yield from _thoughts(calls[0].id)
    yield from _blocks(pieces, where)
    for i, call in enumerate(calls):
        if i:
            yield from _thoughts(call.id)
        yield {
            "toolUse": {
                "toolUseId": fitting_id(call.id, max_chars=_MAX_ID_CHARS),
                "name": call.function.name,
                "input": arguments_of(call, f"{where}.tool_calls[{i}]"),
            }
        }


def _thoughts(call_id: str) -> list[Block]:
    """The reasoning blocks that the call's id carries, as they came."""
    payload = payload_of(call_id, "b")
    if payload is None:
        return []
    try:
        return msgspec.json.decode(payload, type=list[Block])
    except UNREADABLE:
        # Not as we made it: the client has changed the id.
        return []


def _result(message: Message, pieces: Iterator[Piece], where: str) -> list[Block]:
    if message.tool_call_id is None:
        name = f"{where}.tool_call_id"
        raise InvalidRequest(f"missing required parameter: '{name}'", param=name)
    blocks = _blocks(pieces, where)
    content = [block for block in blocks if "cachePoint" not in block]
    result: Block = {
        "toolUseId": fitting_id(message.tool_call_id, max_chars=_MAX_ID_CHARS),
        # Required, and no text may be empty.
        "content": content or [{"json": {}}],
    }
    return [{"toolResult": result}, *(block for block in blocks if "cachePoint" in block)]


def _blocks(pieces: Iterator[Piece], where: str) -> list[Block]:
    blocks: list[Block] = []
    for piece in pieces:
        if isinstance(piece, Native):
            blocks.append(piece.part)
            continue
        if isinstance(piece, Text):
            blocks.append({"text": piece.text})
        else:
            blocks.append(_media(piece, where, number=len(blocks) + 1))
        if piece.cache_control is not None:
            blocks.append(cache_point(piece.cache_control))
    return blocks


def _media(media: Media, where: str, *, number: int) -> Block:
    kind, _, subtype = media.mime.partition("/")
    source = _source(media, where)
    if media.kind == "audio":
        return {"audio": {"format": subtype, "source": source}}
    if media.kind == "image":
        block: Block = {"source": source}
        extension = (media.url or "").rpartition(".")[2].lower()
        block["format"] = subtype if kind == "image" else extension.replace("jpg", "jpeg")
        return {"image": block}
    name = _NOT_IN_NAMES.sub(" ", (media.filename or "").partition(".")[0])
    document: Block = {
        "name": " ".join(name.split())[:200] or f"document {number}",
        "source": source,
    }
    if media.data is not None:
        if media.mime not in _DOCUMENT_FORMATS:
            raise refuse_piece(f"files of type {media.mime or '(none)'}", _PROVIDER, where)
        document["format"] = _DOCUMENT_FORMATS[media.mime]
    else:
        document["format"] = (media.file_id or "").rpartition(".")[2].lower()
    return {"document": document}


def _source(media: Media, where: str) -> Block:
    if media.data is not None:
        return {"bytes": media.data}
    location = media.file_id or media.url or ""
    if location.startswith("s3://"):
        return {"s3Location": {"uri": location}}
    raise refuse_piece(
        "files by address", _PROVIDER, where, hint="send a data: URL, or s3://BUCKET/KEY"
    )
