"""Tokens as Gemini reports them, in our buckets. It says nothing of rate limits in headers."""

import msgspec

from headrace.types import Usage

__all__ = ["Tokens", "usage_of"]


class Tokens(msgspec.Struct, rename="camel"):
    """`usageMetadata` of a response; in a stream each report replaces the one before."""

    prompt_token_count: int = 0
    candidates_token_count: int = 0
    cached_content_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0


def usage_of(tokens: Tokens) -> Usage:
    """Gemini counts thoughts beside the candidates, and cached tokens as part of the prompt."""
    return Usage(
        prompt_tokens=tokens.prompt_token_count + tokens.tool_use_prompt_token_count,
        completion_tokens=tokens.candidates_token_count + tokens.thoughts_token_count,
        cached_tokens=tokens.cached_content_token_count,
        reasoning_tokens=tokens.thoughts_token_count,
    )
