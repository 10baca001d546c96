"""A conversation as Gemini takes it: a system instruction, and contents of user and model."""

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from headrace.errors import InvalidRequest
from headrace.models.dialect.carried import fitting_id, payload_of
from headrace.models.dialect.piece import Media, Native, Piece, Text, pieces_of
from headrace.models.dialect.tool import arguments_of
from headrace.models.errors import NotOffered
from headrace.types import Message

__all__ = ["OWN_ID", "Conversation", "GeminiPart", "conversation_of"]

GeminiPart: TypeAlias = dict[str, object]
OWN_ID = "hrcall-"
"""How ids begin that we made up for calls which came without one."""

_PROVIDER = "Gemini"
_MAX_ID_CHARS = 256
_SKIP = "skip_thought_signature_validator"
"""For calls without a signature (another model made them): the value that Google's page on thought
signatures gives, https://ai.google.dev/gemini-api/docs/thought-signatures"""


@dataclass(slots=True)
class Conversation:
    """What goes to `systemInstruction` and to `contents`."""

    system: list[GeminiPart] = field(default_factory=list)
    contents: list[dict[str, object]] = field(default_factory=list)

    def add(self, role: str, parts: list[GeminiPart]) -> None:
        """One more message; one of the same role as the last joins it."""
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            before = self.contents[-1]["parts"]
            assert isinstance(before, list)
            before += parts
        else:
            self.contents.append({"role": role, "parts": parts})


def conversation_of(messages: Sequence[Message], *, needs_signatures: bool) -> Conversation:
    """The messages in Gemini's parts. System and developer messages become the one instruction.

    Args:
        needs_signatures: the model refuses calls without one (Gemini 3 and later).

    Raises:
        InvalidRequest: a role or part that the protocol has no words for, or nothing to answer.
    """
    conversation = Conversation()
    name_by_id: dict[str, str] = {}
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        pieces = pieces_of(message, where)
        if message.role in ("system", "developer"):
            conversation.system += [_part(piece, where) for piece in pieces]
        elif message.role == "user":
            conversation.add("user", [_part(piece, where) for piece in pieces])
        elif message.role == "assistant":
            parts = [_part(piece, where) for piece in pieces]
            for call in message.tool_calls or ():
                name_by_id[call.id] = call.function.name
            parts += _calls(message, where, needs_signatures=needs_signatures)
            conversation.add("model", parts)
        elif message.role == "tool":
            conversation.add("user", [_result(message, pieces, where, name_by_id)])
        else:
            raise NotOffered(
                f"{_PROVIDER} has no role {message.role!r}",
                hint="use the role 'tool' with a 'tool_call_id'",
                param=f"{where}.role",
            )
    if not conversation.contents:
        raise InvalidRequest(
            f"{_PROVIDER} needs a message of the user's that is not empty", param="messages"
        )
    return conversation


def _calls(message: Message, where: str, *, needs_signatures: bool) -> Iterator[GeminiPart]:
    for i, call in enumerate(message.tool_calls or ()):
        function: GeminiPart = {
            "name": call.function.name,
            "args": arguments_of(call, f"{where}.tool_calls[{i}]"),
        }
        part: GeminiPart = {"functionCall": {**_id(call.id), **function}}
        signature = payload_of(call.id, "g")
        if signature is not None:
            part["thoughtSignature"] = signature.decode("latin-1")
        elif needs_signatures and i == 0:
            # Of parallel calls only the first one is signed.
            part["thoughtSignature"] = _SKIP
        yield part


def _id(call_id: str) -> GeminiPart:
    if call_id.startswith(OWN_ID):
        return {}
    return {"id": fitting_id(call_id, max_chars=_MAX_ID_CHARS)}


def _result(
    message: Message, pieces: Iterator[Piece], where: str, name_by_id: Mapping[str, str]
) -> GeminiPart:
    field_name = f"{where}.tool_call_id"
    if message.tool_call_id is None:
        raise InvalidRequest(f"missing required parameter: '{field_name}'", param=field_name)
    name = name_by_id.get(message.tool_call_id) or message.name
    if name is None:
        raise InvalidRequest(
            f"'{field_name}' names no tool call of an earlier message", param=field_name
        )
    texts: list[str] = []
    media: list[GeminiPart] = []
    for piece in pieces:
        if isinstance(piece, Text):
            texts.append(piece.text)
        else:
            media.append(_part(piece, where))
    response: GeminiPart = {"name": name, "response": {"output": "\n".join(texts)}}
    if media:
        response["parts"] = media
    return {"functionResponse": {**_id(message.tool_call_id), **response}}


def _part(piece: Piece, where: str) -> GeminiPart:
    if isinstance(piece, Native):
        return piece.part
    if isinstance(piece, Text):
        return {"text": piece.text}
    if piece.data is not None:
        if not piece.mime:
            raise InvalidRequest(f"'{where}' holds a file without a media type", param=where)
        return {"inlineData": {"mimeType": piece.mime, "data": piece.data}}
    return {"fileData": _located(piece)}


def _located(media: Media) -> GeminiPart:
    uri = media.file_id or media.url or ""
    mime = media.mime or mimetypes.guess_type(uri.partition("?")[0])[0]
    return {"fileUri": uri, "mimeType": mime} if mime else {"fileUri": uri}
