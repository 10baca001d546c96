"""What we ask of `/responses`: messages, tools and the answer's form, in its words.

Source: OpenAI API reference, `responses`.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headrace.errors import InvalidRequest
from headrace.models.backend import Call
from headrace.models.dialect.carried import fitting_id
from headrace.models.dialect.field import (
    effort_of,
    refuse_completion,
    refuse_unsaid,
    refused,
)
from headrace.models.errors import NotOffered
from headrace.models.openai.quirk import Quirks
from headrace.types import Message, Params, Part

__all__ = ["response_body"]

MAX_CALL_ID_CHARS = 64

_encode = msgspec.json.Encoder().encode

_UNSAID = ("n", "stop", "presence_penalty", "frequency_penalty", "logit_bias")
"""What chat completions have and responses have not; a seed is best effort and left out."""
_CHAT_ALONE = frozenset(
    {"reasoning_effort", "verbosity", "stream_options", "prediction", "function_call", "functions"}
)


def response_body(call: Call, model: str, quirks: Quirks, provider: str) -> bytes:
    """Body of `POST /responses`.

    Raises:
        InvalidRequest: the protocol has no words for what is asked; names the field.
    """
    if call.completion:
        raise refuse_completion(f"{provider}'s responses protocol")
    params = call.params
    refuse_unsaid(params, _UNSAID, f"{provider}'s responses protocol")
    for name in ("audio", "function_call", "functions"):
        if params.extra.get(name) is not None:
            raise refused(name, f"{provider}'s responses protocol")
    fields: dict[str, object] = {"store": False, **_passed_on(params.extra)}
    for name in ("temperature", "top_p", "parallel_tool_calls"):
        value = getattr(params, name)
        if value is not None:
            fields[name] = value
    if params.max_tokens is not None:
        fields["max_output_tokens"] = params.max_tokens
    if params.logprobs:
        fields["top_logprobs"] = params.top_logprobs or 0
        fields["include"] = [*_include(params.extra), "message.output_text.logprobs"]
    if params.tools is not None:
        fields["tools"] = [_tool(each, i) for i, each in enumerate(params.tools)]
        if params.tool_choice is not None:
            fields["tool_choice"] = _tool_choice(params.tool_choice)
    text = _text(params)
    if text:
        fields["text"] = text
    fields["model"] = model
    fields["stream"] = call.stream
    fields["input"] = list(_items(call.messages))
    return _encode({name: value for name, value in fields.items() if name not in quirks.left_out})


def _passed_on(extra: Mapping[str, object]) -> dict[str, object]:
    """Fields that go as they came, and reasoning's effort under its name here."""
    fields = {name: value for name, value in extra.items() if name not in _CHAT_ALONE}
    effort = effort_of(extra)
    if effort is not None:
        reasoning = fields.get("reasoning")
        fields["reasoning"] = {
            **(reasoning if isinstance(reasoning, dict) else {}),
            "effort": effort,
        }
    return fields


def _include(extra: Mapping[str, object]) -> Sequence[object]:
    include = extra.get("include")
    return include if isinstance(include, list) else ()


def _text(params: Params) -> dict[str, object]:
    """The answer's form and length (`text`)."""
    said = params.extra.get("text")
    text: dict[str, object] = dict(said) if isinstance(said, dict) else {}
    if (verbosity := params.extra.get("verbosity")) is not None:
        text["verbosity"] = verbosity
    form = params.response_format
    if form is None:
        return text
    schema = form.get("json_schema")
    if form.get("type") != "json_schema":
        text["format"] = form
    elif isinstance(schema, dict):
        text["format"] = {"type": "json_schema", "name": "answer", **schema}
    else:
        raise InvalidRequest(
            "'response_format' of type 'json_schema' has no 'json_schema'", param="response_format"
        )
    return text


def _tool(tool: Mapping[str, object], i: int) -> object:
    """A function without its wrapping; tools that run at the provider as they are."""
    if tool.get("type", "function") not in ("function", "custom"):
        return tool
    kind = str(tool.get("type", "function"))
    wrapped = tool.get(kind)
    if not isinstance(wrapped, dict):
        # Already in the words of this protocol.
        if isinstance(tool.get("name"), str):
            return tool
        raise InvalidRequest(f"'tools[{i}].{kind}' is missing", param=f"tools[{i}]")
    if kind == "custom":
        return {"type": kind, **wrapped}
    # Here a function is strict unless it says it is not; in chats it is the other way round.
    return {"type": "function", "parameters": None, "strict": False, **wrapped}


def _tool_choice(choice: str | dict[str, object]) -> object:
    if isinstance(choice, str):
        return choice
    kind = choice.get("type")
    wrapped = choice.get(str(kind))
    if not isinstance(wrapped, dict):
        return choice
    if kind != "allowed_tools":
        return {"type": kind, **wrapped}
    tools = wrapped.get("tools")
    return {
        "type": "allowed_tools",
        "mode": wrapped.get("mode", "auto"),
        "tools": [
            {"type": "function", **each["function"]}
            if isinstance(each, dict) and isinstance(each.get("function"), dict)
            else each
            for each in (tools if isinstance(tools, list) else ())
        ],
    }


def _items(messages: Sequence[Message]) -> Iterator[dict[str, object]]:
    """The conversation as input items."""
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if message.role in ("tool", "function"):
            yield {
                "type": "function_call_output",
                "call_id": _call_id(message.tool_call_id or message.name or ""),
                "output": _content(message, where) if _has_parts(message) else message.text(),
            }
            continue
        if message.role != "assistant":
            yield {"role": message.role, "content": _content(message, where)}
            continue
        text = message.text() or message.refusal or ""
        if text:
            yield {"role": "assistant", "content": text}
        for call in message.tool_calls or ():
            yield {
                "type": "function_call",
                "call_id": _call_id(call.id),
                "name": call.function.name,
                "arguments": call.function.arguments,
            }


def _call_id(call_id: str) -> str:
    if len(call_id) <= MAX_CALL_ID_CHARS and "__hr" not in call_id:
        return call_id
    return fitting_id(call_id, max_chars=MAX_CALL_ID_CHARS)


def _has_parts(message: Message) -> bool:
    return isinstance(message.content, list) and any("text" not in part for part in message.content)


def _content(message: Message, where: str) -> str | list[object]:
    if not isinstance(message.content, list):
        return message.content or ""
    return [_part(part, f"{where}.content[{i}]") for i, part in enumerate(message.content)]


class _Image(msgspec.Struct):
    url: str
    detail: str = "auto"


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Media(msgspec.Struct):
    image_url: _Image | None = None
    file: _File | None = None


def _part(part: Part, where: str) -> object:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text", "")}
    if kind == "input_audio":
        raise NotOffered(
            "the responses protocol takes no audio", hint="use `api: chat`", param=where
        )
    if kind not in ("image_url", "file"):
        return part
    try:
        media = msgspec.convert(part, _Media)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"'{where}': {error}", param=where) from error
    if media.image_url is not None:
        image = media.image_url
        return {"type": "input_image", "image_url": image.url, "detail": image.detail}
    if media.file is not None:
        said = msgspec.structs.asdict(media.file)
        return {"type": "input_file", **{name: value for name, value in said.items() if value}}
    raise InvalidRequest(f"'{where}' is of type {kind!r} but holds none", param=where)
