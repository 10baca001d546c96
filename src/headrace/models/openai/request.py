"""What we ask of an OpenAI-compatible server: our parameters in its words.

Fields that Headrace does not know go through as they came. What the server's quirks say it has not
is refused by name, unless it asks for what happens anyway.
"""

import hashlib
import re
from collections.abc import Sequence

import msgspec

from headrace.models.backend import Call
from headrace.models.dialect.carried import fitting_id
from headrace.models.dialect.field import refuse_completion, refuse_unsaid, refused
from headrace.models.openai.quirk import Quirks
from headrace.types import Message, Params, ToolCall

__all__ = ["chat_body", "completion_body", "embeddings_body"]

_encode = msgspec.json.Encoder().encode

_PLAIN = (
    "temperature",
    "top_p",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
)
_PARAMS = frozenset(Params.__struct_fields__) - {"extra"}
_NINE = re.compile(r"[A-Za-z0-9]{9}")


def chat_body(call: Call, model: str, quirks: Quirks, provider: str) -> bytes:
    """Body of `POST /chat/completions`.

    Raises:
        InvalidRequest: the server does not have what is asked for; names the field.
    """
    params = call.params
    fields = _fields(call, model, quirks, provider)
    if params.max_tokens is not None:
        fields[quirks.max_tokens] = params.max_tokens
    if params.logprobs and "logprobs" not in quirks.unsupported:
        fields["logprobs"] = True
        if params.top_logprobs is not None:
            fields["top_logprobs"] = params.top_logprobs
    if params.response_format is not None:
        if params.response_format.get("type") == "json_schema" and not quirks.json_schema:
            raise refused(
                "response_format",
                provider,
                hint="it takes `json_object`, without a schema; describe the schema in the prompt",
            )
        fields["response_format"] = params.response_format
    if params.tools is not None:
        fields["tools"] = (
            params.tools if quirks.cache_marks else [_unmarked(each) for each in params.tools]
        )
        if params.tool_choice is not None:
            fields["tool_choice"] = _tool_choice(params.tool_choice, quirks, provider)
        if params.parallel_tool_calls is not None and (
            "parallel_tool_calls" not in quirks.unsupported
        ):
            fields["parallel_tool_calls"] = params.parallel_tool_calls
    fields["messages"] = _messages(call.messages, quirks)
    return _encode(fields)


def completion_body(call: Call, model: str, quirks: Quirks, provider: str) -> bytes:
    """Body of `POST /completions`: the prompt as it is, without the chat template.

    Raises:
        InvalidRequest: the server does not have what is asked for; names the field.
    """
    if not quirks.completions:
        raise refuse_completion(provider)
    params = call.params
    fields = _fields(call, model, quirks, provider)
    if params.max_tokens is not None:
        fields["max_tokens"] = params.max_tokens
    if params.logprobs:
        fields["logprobs"] = params.top_logprobs or 0
    fields["prompt"] = call.messages[0].text()
    return _encode(fields)


def embeddings_body(inputs: Sequence[str], model: str) -> bytes:
    """Body of `POST /embeddings`."""
    return _encode({"model": model, "input": inputs, "encoding_format": "float"})


def _fields(call: Call, model: str, quirks: Quirks, provider: str) -> dict[str, object]:
    """What chats and bare completions share."""
    params = call.params
    fields = {name: value for name, value in params.extra.items() if name not in quirks.left_out}
    _refuse_audio(fields, provider)
    if quirks.unsupported:
        refuse_unsaid(params, [name for name in quirks.unsupported if name in _PARAMS], provider)
        for name in quirks.unsupported:
            if fields.pop(name, None) is not None:
                raise refused(name, provider, hint="leave it out, or choose another model")
    for name in _PLAIN:
        value = getattr(params, name)
        if value is not None and name not in quirks.unsupported:
            fields[name] = value
    if params.seed is not None and quirks.seed:
        fields[quirks.seed] = params.seed
    fields["model"] = model
    fields["stream"] = call.stream
    if call.stream and quirks.stream_usage:
        fields["stream_options"] = {"include_usage": True}
    return fields


def _refuse_audio(fields: dict[str, object], provider: str) -> None:
    """An answer that is spoken has no place in our deltas, so it is not asked for."""
    modalities = fields.get("modalities")
    if fields.get("audio") is not None or (isinstance(modalities, list) and "audio" in modalities):
        raise refused("modalities", f"Headrace's way to {provider}", hint="ask for text alone")


def _tool_choice(
    choice: str | dict[str, object], quirks: Quirks, provider: str
) -> str | dict[str, object]:
    if choice == "required":
        if not quirks.required_tool:
            raise refused("tool_choice", provider, hint="it takes `auto` and `none` alone")
        return quirks.required_tool
    if isinstance(choice, dict) and not quirks.named_tool:
        raise refused("tool_choice", provider, hint="it cannot be told which function to call")
    return choice


def _messages(messages: Sequence[Message], quirks: Quirks) -> list[object]:
    fitted = [_message(each, quirks) for each in messages]
    if quirks.system_messages == "one":
        fitted = _with_one_system(fitted)
    if quirks.thoughts_back != "reasoning":
        return list(fitted)
    return [_renamed(each) if each.reasoning_content else each for each in fitted]


def _message(message: Message, quirks: Quirks) -> Message:
    """The message as the server takes it; the same object where nothing must change."""
    changes: dict[str, object] = {}
    if message.role == "developer" and not quirks.developer_role:
        changes["role"] = "system"
    if message.name is not None and not quirks.message_names and message.role != "function":
        changes["name"] = None
    if message.reasoning_content is not None and not quirks.thoughts_back:
        changes["reasoning_content"] = None
    if isinstance(message.content, list) and not quirks.cache_marks:
        changes["content"] = [_unmarked(part) for part in message.content]
    if message.refusal is not None:
        # Few know the field; the words are the same to the model.
        changes["refusal"] = None
        changes["content"] = message.content or message.refusal
    if message.tool_calls:
        fitted = [_fit_id(each.id, quirks) for each in message.tool_calls]
        if any(new != each.id for new, each in zip(fitted, message.tool_calls, strict=True)):
            changes["tool_calls"] = [
                ToolCall(new, each.function)
                for new, each in zip(fitted, message.tool_calls, strict=True)
            ]
    if message.tool_call_id is not None:
        new = _fit_id(message.tool_call_id, quirks)
        if new != message.tool_call_id:
            changes["tool_call_id"] = new
    return msgspec.structs.replace(message, **changes) if changes else message


def _unmarked(part: dict[str, object]) -> dict[str, object]:
    """Without the mark that tells Anthropic how far to cache: no part of the meaning."""
    if "cache_control" not in part:
        return part
    return {name: value for name, value in part.items() if name != "cache_control"}


def _fit_id(call_id: str, quirks: Quirks) -> str:
    """An id that the server takes. Equal ids stay equal, so calls keep their results."""
    if quirks.tool_call_id_chars == 9:
        if _NINE.fullmatch(call_id):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:9]
    if len(call_id) <= quirks.tool_call_id_chars and "__hr" not in call_id:
        return call_id
    return fitting_id(call_id, max_chars=quirks.tool_call_id_chars)


def _with_one_system(messages: list[Message]) -> list[Message]:
    said = [each for each in messages if each.role == "system"]
    if not said or (len(said) == 1 and messages[0] is said[0]):
        return messages
    text = "\n\n".join(filter(None, (each.text() for each in said)))
    return [Message("system", text), *(each for each in messages if each.role != "system")]


def _renamed(message: Message) -> dict[str, object]:
    """The message with its thoughts under the newer name."""
    fields: dict[str, object] = msgspec.to_builtins(message)
    fields["reasoning"] = fields.pop("reasoning_content")
    return fields
