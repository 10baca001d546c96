"""What we ask of llama.cpp's server: our parameters in its words."""

import msgspec

from headrace.models.backend import Call
from headrace.types import Params

__all__ = ["chat_body", "completion_body"]

_encode = msgspec.json.Encoder().encode


def chat_body(call: Call, adapter: int | None = None) -> bytes:
    """Body of `POST /v1/chat/completions`, always streamed with usage.

    Args:
        adapter: its place among those of the process; None: the process has none.
    """
    fields = _fields(call.params, adapter)
    params = call.params
    if params.tools is not None:
        fields["tools"] = params.tools
        if params.tool_choice is not None:
            fields["tool_choice"] = params.tool_choice
        if params.parallel_tool_calls is not None:
            fields["parallel_tool_calls"] = params.parallel_tool_calls
    if params.response_format is not None:
        fields["response_format"] = params.response_format
    if params.logprobs:
        fields["logprobs"] = True
        fields["top_logprobs"] = params.top_logprobs or 0
    return _encode({**fields, "messages": call.messages})


def completion_body(call: Call, adapter: int | None = None) -> bytes:
    """Body of `POST /v1/completions`: the prompt as it is, without the chat template."""
    fields = _fields(call.params, adapter)
    if call.params.logprobs:
        fields["logprobs"] = max(1, call.params.top_logprobs or 0)
    return _encode({**fields, "prompt": call.messages[0].text()})


def _fields(params: Params, adapter: int | None) -> dict[str, object]:
    fields: dict[str, object] = {
        **params.extra,
        "stream": True,
        "stream_options": {"include_usage": True},
        # The prefix of a conversation stays in the slot's memory between its turns.
        "cache_prompt": True,
    }
    if adapter is not None:
        # Over what the client sent: the adapters beside may be somebody else's.
        fields["lora"] = [{"id": adapter, "scale": 1.0}]
    for name in ("temperature", "top_p", "max_tokens", "stop", "seed", "n", "presence_penalty"):
        value = getattr(params, name)
        if value is not None:
            fields[name] = value
    if params.frequency_penalty is not None:
        fields["frequency_penalty"] = params.frequency_penalty
    if params.logit_bias is not None:
        fields["logit_bias"] = params.logit_bias
    return fields
