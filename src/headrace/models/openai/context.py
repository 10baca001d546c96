"""A prompt that does not fit, told in the words of the servers that say how long it is."""

import re

from headrace.errors import ContextTooLong, InvalidRequest

__all__ = ["context_error"]

_CODES = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",  # llama.cpp
        "string_above_max_length_context",
        "1261",  # Zhipu
    }
)

_LIMIT = r"(?P<limit>\d[\d,]*)"
_TOKENS = r"(?P<tokens>\d[\d,]*)"

_SAID = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # OpenAI, Azure, vLLM, OpenRouter
        rf"maximum context length is {_LIMIT} tokens.{{0,40}}?(?:requested|resulted in)(?: about)? {_TOKENS} tokens",
        rf"configured limit of {_LIMIT} tokens.{{0,40}}?resulted in {_TOKENS} tokens",
        # vLLM
        rf"prompt \(length {_TOKENS}\) is longer than the maximum model length of {_LIMIT}",
        rf"maximum context length is {_LIMIT} tokens and your request has {_TOKENS} input tokens",
        rf"prompt contains(?: at least)? {_TOKENS}(?: input)? tokens.{{0,80}}?maximum (?:context|model) length (?:is|of) {_LIMIT}",
        # SGLang
        rf"input \({_TOKENS} tokens\) is longer than the model's context length \({_LIMIT} tokens\)",
        rf"maximum context length of {_LIMIT} tokens.{{0,40}}?total of {_TOKENS} tokens",
        # llama.cpp
        rf"request \({_TOKENS} tokens\) exceeds the available context size \({_LIMIT} tokens\)",
        # Mistral
        rf"prompt contains {_TOKENS} tokens.{{0,60}}?too large for model with {_LIMIT} maximum context length",
        # xAI
        rf"maximum prompt length is {_LIMIT} but the request contains {_TOKENS} tokens",
        # Fireworks
        rf"prompt is too long: {_TOKENS}, model maximum context length: {_LIMIT}",
        # Cerebras
        rf"current length is {_TOKENS} while limit is {_LIMIT}",
        # Moonshot
        rf"exceeded model token limit: {_LIMIT} \(requested: {_TOKENS}\)",
    )
)
_SPLIT = re.compile(
    r"\(?(\d[\d,]*) (?:tokens )?(?:in|from|of)(?: the| your)? (?:input messages|messages|prompt|input|text input)"
    r"\D{1,8}(\d[\d,]*) (?:tokens )?(?:in|for) the (?:completion|output)",
    re.IGNORECASE,
)
_UNCOUNTED = re.compile(
    r"context (?:length|window|size)|maximum prompt length|exceeded model token limit|"
    r"range of input length|prompt exceeds max length|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)


def context_error(
    code: str, message: str, model: str, *, counted: tuple[int, int] | None = None
) -> InvalidRequest | None:
    """The error, where the failure is that the prompt (or what was asked for) does not fit.

    Args:
        code: the failure's code or type.
        counted: the prompt's tokens and the limit, where they come as figures of their own.
    """
    tokens, limit = counted or _figures(message)
    if tokens is None or limit is None:
        if code not in _CODES and not _UNCOUNTED.search(message):
            return None
        return ContextTooLong(
            f"the messages are longer than this model's context ({model}): {message}",
            hint="shorten the messages, start a new conversation, or use a model with a longer context",
            param="messages",
        )
    split = _SPLIT.search(message)
    prompt = _int(split[1]) if split else tokens
    if prompt > limit:
        return ContextTooLong.counted(prompt, limit, model)
    # The prompt would fit, were it not for the length of the answer that was asked for.
    return ContextTooLong(
        f"this model's maximum context length is {limit} tokens; the messages come to {prompt} "
        f"tokens and leave no room for the answer that was asked for ({model})",
        hint="lower `max_tokens`, shorten the messages, or use a model with a longer context",
        param="max_tokens",
    )


def _figures(message: str) -> tuple[int | None, int | None]:
    for pattern in _SAID:
        if found := pattern.search(message):
            return _int(found["tokens"]), _int(found["limit"])
    return None, None


def _int(figure: str) -> int:
    return int(figure.replace(",", ""))
