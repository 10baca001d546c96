"""Fields of a request that a provider's protocol has no words for: refused, or left out.

Left out is only what promises nothing about the answer (a seed that OpenAI calls best effort, a
hint about caching). Everything else is refused by name unless it asks for what happens anyway.
"""

from collections.abc import Collection, Mapping

from headrace.errors import InvalidRequest
from headrace.models.errors import NotOffered
from headrace.types import Params

__all__ = ["effort_of", "further", "refuse_completion", "refuse_unsaid", "refused"]

_NEUTRAL: dict[str, object] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "parallel_tool_calls": True,
}
"""Values that ask for what happens anyway."""

_LEFT_OUT = frozenset(
    {
        "metadata",  # for the provider's own dashboard
        "prediction",  # speed alone
        "prompt_cache_key",  # which machine's cache; caching itself is not promised
        "prompt_cache_retention",
        "store",  # for the provider's own dashboard
        "stream_options",  # our own answer's, not the provider's
        "user",  # whom the provider may hold responsible
    }
)
_REFUSED_UNLESS: dict[str, object] = {
    "audio": None,
    "function_call": None,
    "functions": None,
    "modalities": ["text"],
    "verbosity": "medium",
    "web_search_options": None,
}
"""Fields of OpenAI's that change the answer, and the value that does not."""


def refused(field: str, provider: str, *, hint: str = "") -> InvalidRequest:
    """The error for a field that the protocol has no words for."""
    return NotOffered(f"{provider} has no {field!r}", hint=hint, param=field)


def refuse_unsaid(params: Params, fields: Collection[str], provider: str) -> None:
    """Refuse those of `fields` that ask for something.

    Raises:
        InvalidRequest: naming the field.
    """
    for field in fields:
        value = getattr(params, field)
        if value is not None and value != _NEUTRAL.get(field):
            raise refused(field, provider, hint="leave it out, or choose another model")


def refuse_completion(provider: str) -> InvalidRequest:
    """The error for a bare prompt, which a provider of chats alone cannot continue."""
    return NotOffered(
        f"{provider} answers chats only, it does not continue a bare prompt",
        hint="send the prompt to /v1/chat/completions",
        param="prompt",
    )


def further(
    extra: Mapping[str, object], provider: str, *, known: Collection[str] = ()
) -> dict[str, object]:
    """Fields that go to the provider as they are: what neither OpenAI nor the wire knows.

    Args:
        known: fields that the wire itself reads from `extra`.

    Raises:
        InvalidRequest: a field of OpenAI's that would change the answer.
    """
    rest: dict[str, object] = {}
    for field, value in extra.items():
        if field in known or value is None or field in _LEFT_OUT:
            continue
        if field in _REFUSED_UNLESS:
            if value != _REFUSED_UNLESS[field]:
                raise refused(field, provider)
            continue
        rest[field] = value
    return rest


def effort_of(extra: Mapping[str, object]) -> str | None:
    """`reasoning_effort`, where it is said.

    Raises:
        InvalidRequest: it is no text.
    """
    effort = extra.get("reasoning_effort")
    if effort is None or isinstance(effort, str):
        return effort
    raise InvalidRequest("'reasoning_effort' must be a text", param="reasoning_effort")
