"""Usage and rate limits, in every spelling that OpenAI-compatible servers have for them.

Sources: OpenAI's rate limit guide; Groq, Cerebras, Mistral and Together on theirs; Azure OpenAI
answers with whole seconds, and with -1 where it does not count.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from headrace.models.backend import RateLimits
from headrace.models.dialect.reset import count_of, retry_after_s
from headrace.types import Usage

__all__ = ["WireUsage", "rate_limits_of", "retry_after_of", "seconds_of", "usage_of"]


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    """Qwen's word for tokens written."""


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """`usage` of a response."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's word for cached tokens."""
    cached_tokens: int | None = None
    """Moonshot's and Together's."""
    reasoning_tokens: int | None = None


_NO_DETAILS = _PromptDetails()


def usage_of(wire: WireUsage) -> Usage:
    """Tokens in OpenAI's buckets.

    xAI reports reasoning beside the completion instead of inside it: where the total shows that,
    both are added up, as they are billed.
    """
    prompt = wire.prompt_tokens or 0
    completion = wire.completion_tokens or 0
    details = wire.prompt_tokens_details or _NO_DETAILS
    thought = wire.completion_tokens_details
    reasoning = (thought.reasoning_tokens if thought is not None else None) or wire.reasoning_tokens
    if reasoning and wire.total_tokens == prompt + completion + reasoning:
        completion += reasoning
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=(
            details.cached_tokens or wire.prompt_cache_hit_tokens or wire.cached_tokens or 0
        ),
        cache_write_tokens=(details.cache_write_tokens or details.cache_creation_input_tokens or 0),
        reasoning_tokens=reasoning or 0,
    )


_REQUESTS = (
    "x-ratelimit-{}-requests",
    "x-ratelimit-{}-requests-minute",
    "x-ratelimit-{}-req-minute",
    "x-ratelimit-{}",
    "x-ratelimit-{}-requests-day",
)
_TOKENS = (
    "x-ratelimit-{}-tokens",
    "x-ratelimit-{}-tokens-minute",
    "x-ratelimitbysize-{}-minute",
    "x-tokenlimit-{}",
    "x-ratelimit-{}-tokens-per-minute",
)


def _spelled(templates: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (each.format("limit"), each.format("remaining"), each.format("reset")) for each in templates
    )


_SPELLINGS = (_spelled(_REQUESTS), _spelled(_TOKENS))
_MAY_LIMIT = ("x-ratelimit", "x-tokenlimit")

_Limit = tuple[int | None, int | None, float | None]


def rate_limits_of(headers: Mapping[str, str], now: float) -> RateLimits | None:
    """What the headers say of our limits; None where they say nothing.

    Args:
        headers: by lower-case name.
        now: Unix time, for resets that are a point in time.
    """
    if not any(name.startswith(_MAY_LIMIT) for name in headers):
        return None
    requests, tokens = (_limit(headers, spellings, now) for spellings in _SPELLINGS)
    if requests[:2] == (None, None) and tokens[:2] == (None, None):
        return None
    return RateLimits(
        requests_limit=requests[0],
        requests_remaining=requests[1],
        requests_reset_s=requests[2],
        tokens_limit=tokens[0],
        tokens_remaining=tokens[1],
        tokens_reset_s=tokens[2],
    )


def _limit(
    headers: Mapping[str, str], spellings: Sequence[tuple[str, str, str]], now: float
) -> _Limit:
    for limit, remaining, reset in spellings:
        most, left = _count(headers.get(limit)), _count(headers.get(remaining))
        if most is not None or left is not None:
            return most, left, seconds_of(headers.get(reset), now)
    return None, None, None


def _count(value: str | None) -> int | None:
    """A whole number, `60000` or `60000.0`; None for Azure's -1 and for what is none."""
    if value is None:
        return None
    whole, _, zeros = value.strip().partition(".")
    return count_of(whole) if not zeros.strip("0") else None


_UNIT_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_EPOCH_S = 1_000_000_000
_EPOCH_MS = _EPOCH_S * 1_000


def seconds_of(value: str | None, now: float) -> float | None:
    """A time to wait, in seconds: `6m0s`, `20ms`, `12`, a Unix time (in s or ms) or a date.

    Args:
        value: as the header has it; None where it is absent.
        now: Unix time.
    """
    text = (value or "").strip().lower()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if not 0 <= number < math.inf:
            return None  # NaN, too: it is not at least 0
        if number >= _EPOCH_MS:
            return max(0.0, number / 1_000 - now)
        return max(0.0, number - now) if number >= _EPOCH_S else number
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        wait_s = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
        return wait_s if wait_s < math.inf else None
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now)


_TRY_AGAIN = re.compile(
    r"(?:try again|retry)\D{0,12}?(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?|m|minutes?)\b",
    re.IGNORECASE,
)


def retry_after_of(headers: Mapping[str, str], message: str, now: float) -> float | None:
    """When to come back, in seconds: from `Retry-After`, else the message, else what is used up."""
    milliseconds = _count(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1_000
    said = retry_after_s(headers, now)
    if said is not None:
        return said
    if found := _TRY_AGAIN.search(message):
        unit = found[2].lower()
        unit = (
            "ms" if unit.startswith("mi") and "ll" in unit else unit[:1] if unit != "ms" else unit
        )
        return float(found[1]) * _UNIT_S[unit]
    limits = rate_limits_of(headers, now)
    if limits is None:
        return None
    used_up = [
        reset
        for left, reset in (
            (limits.requests_remaining, limits.requests_reset_s),
            (limits.tokens_remaining, limits.tokens_reset_s),
        )
        if left == 0 and reset is not None
    ]
    return max(used_up, default=None)
