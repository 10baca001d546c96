"""OpenAI's wire format: what requests may hold and how answers are written.

Requests are decoded once into structs; fields that Headrace does not know are kept as they came
and passed to the backend. Answers are encoded straight from deltas.
Source: OpenAI API reference, `chat/completions` and `completions`.
"""

from typing import Literal, TypeVar

import msgspec

from headrace.errors import InvalidRequest
from headrace.types import Message, Params, TextKind

MAX_STOP_SEQUENCES = 16

__all__ = ["ChatRequest", "CompletionRequest", "EmbeddingsRequest", "decode", "params_of"]


class StreamOptions(msgspec.Struct):
    """`stream_options` of a request."""

    include_usage: bool = False


class _Generation(msgspec.Struct, kw_only=True):
    """Fields that chat and bare completions share."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None


class ChatRequest(_Generation, kw_only=True):
    """Body of `POST /v1/chat/completions`."""

    messages: list[Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, object] | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None
    parallel_tool_calls: bool | None = None
    conversation: str | None = None
    """Ours: the conversation this turn belongs to (or the header `x-headrace-conversation`)."""
    template: str | None = None
    """Ours: the prompt template (or the header `x-headrace-template`)."""
    variables: dict[str, object] | None = None
    """Ours: values of the prompt template's variables."""


class CompletionRequest(_Generation, kw_only=True):
    """Body of `POST /v1/completions`."""

    prompt: str | list[str]
    logprobs: int | None = None
    echo: bool | None = None


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/embeddings`."""

    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None
    input_type: TextKind | None = None
    """Not OpenAI's: what the inputs are, for models that embed questions in another way."""


R = TypeVar("R", bound=msgspec.Struct)

_decoders: dict[type, msgspec.json.Decoder[object]] = {}
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode(body: bytes, kind: type[R]) -> tuple[R, dict[str, object]]:
    """The request and the fields that it has beyond those of `kind`.

    Raises:
        InvalidRequest: not JSON, not UTF-8, a wrong type or a missing field; `param` says which.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        request = decoder.decode(body)
        fields = _raw_fields.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the body is not valid UTF-8 (byte {error.start})", hint="send JSON encoded as UTF-8"
        ) from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"the body is not valid JSON: {error}",
            hint="send one JSON object with content-type application/json",
        ) from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply") from error
    extra = {name: msgspec.json.decode(fields[name]) for name in fields.keys() - _known(kind)}
    assert isinstance(request, kind)
    return request, extra


def _known(kind: type[msgspec.Struct]) -> frozenset[str]:
    known = _known_fields.get(kind)
    if known is None:
        known = _known_fields[kind] = frozenset(each.name for each in msgspec.structs.fields(kind))
    return known


_known_fields: dict[type[msgspec.Struct], frozenset[str]] = {}


def _invalid(message: str) -> InvalidRequest:
    """msgspec's `Expected … - at `$.path`` in OpenAI's form."""
    what, separator, where = message.partition(" - at `$")
    param = where.rstrip("`").lstrip(".") if separator else None
    what = what.replace("`", "'")
    if "missing required field" in what:
        field = what.rsplit("'", 2)[1]
        param = f"{param}.{field}" if param else field
        return InvalidRequest(f"missing required parameter: '{param}'", param=param)
    return InvalidRequest(f"invalid value for '{param or 'body'}': {what}", param=param)


def params_of(request: ChatRequest | CompletionRequest, extra: dict[str, object]) -> Params:
    """The request's inference parameters, checked against OpenAI's ranges.

    Raises:
        InvalidRequest: a value out of range.
    """
    _check_ranges(request)
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    if stop is not None and len(stop) > MAX_STOP_SEQUENCES:
        raise InvalidRequest(
            f"'stop' has {len(stop)} sequences; at most {MAX_STOP_SEQUENCES}", param="stop"
        )
    if isinstance(request, CompletionRequest):
        return Params(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            stop=stop,
            seed=request.seed,
            n=request.n,
            logprobs=True if request.logprobs is not None else None,
            top_logprobs=request.logprobs or None,
            presence_penalty=request.presence_penalty,
            frequency_penalty=request.frequency_penalty,
            logit_bias=request.logit_bias,
            extra=extra,
        )
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs': true", param="top_logprobs")
    return Params(
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=stop,
        seed=request.seed,
        n=request.n,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logit_bias=request.logit_bias,
        response_format=request.response_format,
        tools=request.tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        extra=extra,
    )


_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 16),
    "max_tokens": (1, 1 << 24),
    "max_completion_tokens": (1, 1 << 24),
    "top_logprobs": (0, 20),
    "logprobs": (0, 5),
}


def _check_ranges(request: ChatRequest | CompletionRequest) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(request, name, None)
        if value is None or isinstance(value, bool):
            continue
        if not low <= value <= high:
            raise InvalidRequest(f"'{name}' is {value:g}; allowed: {low:g} to {high:g}", param=name)
