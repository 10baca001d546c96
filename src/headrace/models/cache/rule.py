"""Which calls are answered from the cache, and which answers are kept.

What is kept would be given again word for word, so a call must ask for the same each time: no
tools, which act or look at the world; no sampling that is meant to vary; nothing that measures the
model. An answer that was cut by `max_tokens` is kept, because the same limit (part of the key)
cuts it in the same place; one that a filter of the provider cut is not.
"""

from collections.abc import Sequence

from headrace.models.cache.question import Question
from headrace.types import Delta, FinishReason

__all__ = ["is_keepable", "why_not"]

_KEPT_REASONS: frozenset[FinishReason] = frozenset({"stop", "length"})
LIVE_FIELDS = frozenset(
    {
        "audio", "background", "enable_search", "function_call", "functions", "modalities",
        "plugins", "previous_response_id", "search_parameters", "web_search", "web_search_options",
    }
)  # fmt: skip
"""Fields of providers by which an answer depends on more than the prompt, or is more than text."""
_PROVIDER_TEMPERATURE = 1.0
"""What OpenAI's and most other APIs take when nothing is said."""


def why_not(question: Question, max_temperature: float) -> str | None:
    """Why the call goes past the cache, in a word; None: it may be answered from it."""
    call, params = question.call, question.call.params
    if params.tools or any(
        each.tool_calls or each.role in ("tool", "function") for each in call.messages
    ):
        return "tools"
    if (params.n or 1) > 1:
        return "n"
    if params.logprobs:
        return "logprobs"
    if params.extra and not LIVE_FIELDS.isdisjoint(params.extra):
        return "live"
    if params.seed is None:
        temperature = params.temperature
        if (_PROVIDER_TEMPERATURE if temperature is None else temperature) > max_temperature:
            return "temperature"
    return None


def is_keepable(deltas: Sequence[Delta]) -> bool:
    """Whether a whole answer may be given again: it ended by itself or at its limit, in text."""
    reasons: dict[int, FinishReason | None] = {}
    says_something = False
    for delta in deltas:
        if delta.tool_calls or delta.logprobs:
            return False
        if delta.usage is not None:
            continue
        says_something = says_something or bool(delta.text or delta.refusal)
        reasons[delta.index] = delta.finish_reason or reasons.get(delta.index)
    return says_something and all(reason in _KEPT_REASONS for reason in reasons.values())
