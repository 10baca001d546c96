"""Tokens and rate limits as Anthropic reports them, in our buckets."""

from collections.abc import Mapping

import msgspec

from headrace.models.backend import RateLimits
from headrace.models.dialect.reset import count_of, seconds_until
from headrace.types import Usage

__all__ = ["Tokens", "rate_limits_of", "usage_of"]


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class Tokens(msgspec.Struct):
    """`usage` of a message; in a stream each report replaces what it names of the one before."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None

    def over(self, before: "Tokens") -> "Tokens":
        """This report, with `before` wherever it says nothing."""
        return Tokens(
            *(
                value if (value := getattr(self, name)) is not None else getattr(before, name)
                for name in self.__struct_fields__
            )
        )


def usage_of(tokens: Tokens) -> Usage:
    """Anthropic counts cached tokens beside `input_tokens`; ours are part of the prompt's."""
    read = tokens.cache_read_input_tokens or 0
    written = tokens.cache_creation_input_tokens or 0
    details = tokens.output_tokens_details
    return Usage(
        prompt_tokens=(tokens.input_tokens or 0) + read + written,
        completion_tokens=tokens.output_tokens or 0,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=(details.thinking_tokens or 0) if details is not None else 0,
    )


def rate_limits_of(headers: Mapping[str, str], now: float) -> RateLimits | None:
    """What the `anthropic-ratelimit-*` headers say; resets are RFC 3339 times.

    `tokens-*` stands for whichever limit is nearest; where it is missing, input tokens do.
    """
    prefix = "anthropic-ratelimit-"
    tokens = "tokens" if f"{prefix}tokens-remaining" in headers else "input-tokens"

    def count(name: str) -> int | None:
        return count_of(headers.get(prefix + name))

    limits = RateLimits(
        requests_limit=count("requests-limit"),
        requests_remaining=count("requests-remaining"),
        requests_reset_s=seconds_until(headers.get(f"{prefix}requests-reset"), now),
        tokens_limit=count(f"{tokens}-limit"),
        tokens_remaining=count(f"{tokens}-remaining"),
        tokens_reset_s=seconds_until(headers.get(f"{prefix}{tokens}-reset"), now),
    )
    return None if limits == RateLimits() else limits
