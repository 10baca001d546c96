"""Input items of a Responses request, as messages of a chat.

What a model said in one go comes as several items (reasoning, message, calls); they become one
assistant message again.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.convert import converted
from headrace.types import FunctionCall, Message, Part, ToolCall

__all__ = ["messages_of"]

Item: TypeAlias = dict[str, object]
_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


class _Said(msgspec.Struct):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Part]


class _Call(msgspec.Struct):
    call_id: str
    name: str
    arguments: str


class _Output(msgspec.Struct):
    call_id: str
    output: str | list[Part]


class _Text(msgspec.Struct):
    text: str


class _Refusal(msgspec.Struct):
    refusal: str


class _Thought(msgspec.Struct):
    summary: list[_Text] = []
    content: list[_Text] | None = None


class _Image(msgspec.Struct):
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class _File(msgspec.Struct, omit_defaults=True):
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Audio(msgspec.Struct):
    input_audio: dict[str, object]


def messages_of(given: str | Sequence[Item]) -> list[Message]:
    """The messages that `input` comes to.

    Raises:
        InvalidRequest: an item or part that is malformed, or that only OpenAI's own tools make.
    """
    if isinstance(given, str):
        return [Message(role="user", content=given)]
    messages: list[Message] = []
    for i, item in enumerate(given):
        _add(messages, item, f"input[{i}]")
    return [each for each in messages if not _is_thought_alone(each)]


def _add(messages: list[Message], item: Item, where: str) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        _add_said(messages, converted(item, _Said, where), where)
    elif kind == "function_call":
        call = converted(item, _Call, where)
        last = _answer(messages)
        made = ToolCall(id=call.call_id, function=FunctionCall(call.name, call.arguments))
        last.tool_calls = [*(last.tool_calls or ()), made]
    elif kind == "function_call_output":
        output = converted(item, _Output, where)
        content = _content(output.output, f"{where}.output")
        messages.append(Message(role="tool", tool_call_id=output.call_id, content=content))
    elif kind == "reasoning":
        _add_thought(messages, converted(item, _Thought, where))
    elif kind == "item_reference":
        raise InvalidRequest(
            f"'{where}' refers to an item by its id, and single items are not kept here",
            hint="send the item itself, or continue with 'previous_response_id'",
            param=f"{where}.type",
        )
    else:
        raise InvalidRequest(
            f"'{where}.type' is {kind!r}: this service runs no built-in tools and has no such items",
            hint="send messages, function calls, their outputs and reasoning",
            param=f"{where}.type",
        )


def _add_said(messages: list[Message], said: _Said, where: str) -> None:
    if said.role != "assistant":
        content = _content(said.content, f"{where}.content")
        messages.append(Message(role=said.role, content=content))
        return
    refusal: str | None = None
    parts = said.content
    if not isinstance(parts, str):
        refusals = [
            converted(part, _Refusal, f"{where}.content[{i}]").refusal
            for i, part in enumerate(parts)
            if part.get("type") == "refusal"
        ]
        refusal = "\n".join(refusals) or None
        parts = [part for part in parts if part.get("type") != "refusal"]
    message = _answer(messages, fresh=True)
    message.content = _content(parts, f"{where}.content") or None
    message.refusal = refusal


def _add_thought(messages: list[Message], thought: _Thought) -> None:
    text = "\n\n".join(each.text for each in thought.content or thought.summary)
    if not text:
        # Encrypted for OpenAI alone.
        return
    message = _answer(messages, fresh=True)
    before = message.reasoning_content
    message.reasoning_content = f"{before}\n\n{text}" if before else text


def _answer(messages: list[Message], *, fresh: bool = False) -> Message:
    """The assistant message in the making; a new one where there is none.

    Args:
        fresh: whether it must hold nothing but thoughts yet.
    """
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or (fresh and not _is_thought_alone(last)):
        messages.append(last := Message(role="assistant"))
    return last


def _is_thought_alone(message: Message) -> bool:
    return message.role == "assistant" and not (
        message.content or message.tool_calls or message.refusal
    )


def _content(content: str | list[Part], where: str) -> str | list[Part]:
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{where}[{i}]") for i, part in enumerate(content)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: Part, where: str) -> Part:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": converted(part, _Text, where).text}
    if kind == "input_image":
        return _image(converted(part, _Image, where), where)
    if kind == "input_file":
        return _file(converted(part, _File, where), where)
    if kind == "input_audio":
        audio = converted(part, _Audio, where)
        return {"type": "input_audio", "input_audio": audio.input_audio}
    raise InvalidRequest(
        f"'{where}.type' is {kind!r}; known: input_text, input_image, input_file, output_text",
        param=f"{where}.type",
    )


def _image(image: _Image, where: str) -> Part:
    if image.image_url is None:
        raise InvalidRequest(
            f"'{where}' has no 'image_url', and no files are kept here",
            hint="send the picture as a data: URL, or its address",
            param=f"{where}.image_url",
        )
    # Left out where it says nothing: not every model has such a choice.
    detail = {} if image.detail in (None, "auto") else {"detail": image.detail}
    return {"type": "image_url", "image_url": {"url": image.image_url, **detail}}


def _file(file: _File, where: str) -> Part:
    data = file.file_data or file.file_url
    if data is None and file.file_id is None:
        raise InvalidRequest(
            f"'{where}' has neither 'file_data' nor 'file_url'", param=f"{where}.file_data"
        )
    said: Part = {"file_data": data, "file_id": file.file_id, "filename": file.filename}
    return {"type": "file", "file": {name: value for name, value in said.items() if value}}
