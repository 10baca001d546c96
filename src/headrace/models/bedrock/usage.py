"""Tokens as Converse reports them, in our buckets. It says nothing of rate limits in headers."""

import msgspec

from headrace.types import Usage

__all__ = ["Tokens", "usage_of"]


class Tokens(msgspec.Struct, rename="camel"):
    """`usage` of an answer."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0


def usage_of(tokens: Tokens) -> Usage:
    """Converse counts cached tokens beside the input; ours are part of the prompt's.

    Source: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html. Thoughts are
    part of the output, and not counted apart.
    """
    cached = tokens.cache_read_input_tokens + tokens.cache_write_input_tokens
    return Usage(
        prompt_tokens=tokens.input_tokens + cached,
        completion_tokens=tokens.output_tokens,
        cached_tokens=tokens.cache_read_input_tokens,
        cache_write_tokens=tokens.cache_write_input_tokens,
    )
