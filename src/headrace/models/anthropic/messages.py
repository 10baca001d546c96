"""A conversation as the Messages API takes it: system blocks apart, user and assistant in turn."""

import base64
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

__all__ = ["Block", "Conversation", "conversation_of"]

Block: TypeAlias = dict[str, object]
_PROVIDER = "Anthropic"
_MAX_ID_CHARS = 256


@dataclass(slots=True)
class Conversation:
    """What goes to `system` and to `messages`."""

    system: list[Block] = field(default_factory=list)
    turns: list[dict[str, object]] = field(default_factory=list)
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
    """The messages in Anthropic's blocks. System and developer messages move to the front, as
    Anthropic's own OpenAI-compatible endpoint has it.

    Raises:
        InvalidRequest: a role or part that the protocol has no words for, or nothing to answer.
    """
    conversation = Conversation()
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        pieces = pieces_of(message, where)
        if message.role in ("system", "developer"):
            conversation.system += [_block(piece, where) for piece in pieces]
        elif message.role == "user":
            conversation.user_speaks()
            conversation.add("user", [_block(piece, where) for piece in pieces])
        elif message.role == "tool":
            conversation.add("user", [_result(message, pieces, where)])
        elif message.role == "assistant":
            blocks = list(_answer(message, pieces, where))
            calls = any(block.get("type") == "tool_use" for block in blocks)
            conversation.lacks_thoughts = calls and not str(blocks[0].get("type")).endswith(
                "thinking"
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


def _answer(message: Message, pieces: Iterator[Piece], where: str) -> Iterator[Block]:
    calls = message.tool_calls or []
    # Thoughts come before what they led to, the first ones before the answer's text.
    if calls:
        yield from _thoughts(calls[0].id)
    for piece in pieces:
        yield _block(piece, where)
    for i, call in enumerate(calls):
        if i:
            yield from _thoughts(call.id)
        yield {
            "type": "tool_use",
            "id": fitting_id(call.id, max_chars=_MAX_ID_CHARS),
            "name": call.function.name,
            "input": arguments_of(call, f"{where}.tool_calls[{i}]"),
        }


def _thoughts(call_id: str) -> list[Block]:
    """The thinking blocks that the call's id carries, as they came."""
    payload = payload_of(call_id, "a")
    if payload is None:
        return []
    try:
        return msgspec.json.decode(payload, type=list[Block])
    except UNREADABLE:
        # Not as we made it: the client has changed the id.
        return []


def _result(message: Message, pieces: Iterator[Piece], where: str) -> Block:
    if message.tool_call_id is None:
        field = f"{where}.tool_call_id"
        raise InvalidRequest(f"missing required parameter: '{field}'", param=field)
    result: Block = {
        "type": "tool_result",
        "tool_use_id": fitting_id(message.tool_call_id, max_chars=_MAX_ID_CHARS),
    }
    content = [_block(piece, where) for piece in pieces]
    if content:
        result["content"] = content
    return result


def _block(piece: Piece, where: str) -> Block:
    if isinstance(piece, Native):
        return piece.part
    if isinstance(piece, Text):
        block: Block = {"type": "text", "text": piece.text}
    elif piece.kind == "audio":
        raise refuse_piece("sound", _PROVIDER, where)
    elif piece.kind == "image":
        block = {"type": "image", "source": _source(piece)}
    else:
        block = {"type": "document", "source": _document(piece, where)}
        if piece.filename is not None:
            block["title"] = piece.filename
    if piece.cache_control is not None:
        block["cache_control"] = piece.cache_control
    return block


def _document(media: Media, where: str) -> Block:
    if media.data is None or media.mime == "application/pdf":
        return _source(media)
    if media.mime != "text/plain":
        raise refuse_piece(
            f"files of type {media.mime or '(none)'}",
            _PROVIDER,
            where,
            hint="send PDF or plain text",
        )
    try:
        text = base64.b64decode(media.data, validate=True).decode()
    except ValueError as error:
        raise InvalidRequest(f"'{where}' holds no UTF-8 text in base64", param=where) from error
    return {"type": "text", "media_type": "text/plain", "data": text}


def _source(media: Media) -> Block:
    if media.file_id is not None:
        return {"type": "file", "file_id": media.file_id}
    if media.url is not None:
        return {"type": "url", "url": media.url}
    return {"type": "base64", "media_type": media.mime, "data": media.data}
