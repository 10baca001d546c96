"""One small real question to a deployment, and how it was answered."""

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final

import msgspec

from headrace.errors import HeadraceError
from headrace.models.backend import Backend, Call, ListedModel, RateLimits
from headrace.types import Message, Params, Usage

__all__ = ["QUESTION", "Probed", "probe", "probe_embedding", "with_last_day"]

QUESTION: Final = "Answer with one short sentence: what are you?"
MOST_TOKENS: Final = 32
"""Enough to time tokens by, and the least that every provider takes."""


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment answered. Seconds from the call on."""

    provider: str
    """`gen_ai.provider.name`."""
    context_tokens: int
    text: str = ""
    """What it said; reasoning where it said nothing else."""
    finish_reason: str | None = None
    ttft_s: float | None = None
    total_s: float
    tokens_per_s: float | None = None
    """After the first one; None with fewer than two."""
    usage: Usage
    dimensions: int | None = None
    """Of an embedding."""
    rate_limits: RateLimits | None = None
    shutdown_date: str | None = None
    """Where the provider's list of models names one."""


async def probe(
    backend: Backend,
    question: str = QUESTION,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Probed:
    """Ask one question, streamed, once: nothing is retried, so that what is wrong shows.

    Raises:
        HeadraceError: as the backend says.
    """
    call = Call([Message(role="user", content=question)], Params(max_tokens=MOST_TOKENS))
    text = reasoning = ""
    finish_reason: str | None = None
    usage = Usage()
    first_s: float | None = None
    last_s = 0.0
    pieces = 0
    start_s = clock()
    async with aclosing(backend.generate(call)) as deltas:
        async for delta in deltas:
            if delta.text or delta.reasoning or delta.refusal:
                last_s = clock() - start_s
                first_s = last_s if first_s is None else first_s
                pieces += 1
            text += delta.text or delta.refusal
            reasoning += delta.reasoning
            finish_reason = delta.finish_reason or finish_reason
            usage = delta.usage or usage
    tokens = usage.completion_tokens or pieces
    rate = None
    if first_s is not None and tokens > 1 and last_s > first_s:
        rate = (tokens - 1) / (last_s - first_s)
    return Probed(
        provider=backend.provider,
        context_tokens=backend.context_tokens,
        text=text or reasoning,
        finish_reason=finish_reason,
        ttft_s=first_s,
        total_s=clock() - start_s,
        tokens_per_s=rate,
        usage=usage,
        rate_limits=backend.rate_limits,
    )


async def with_last_day(found: Probed, backend: Backend) -> Probed:
    """The same with the day on which the provider will shut the model down, if it names one."""
    name = getattr(getattr(backend, "settings", None), "model", None)
    listed: Sequence[ListedModel] = ()
    # It has answered, so a list that cannot be had is no fault worth telling.
    with suppress(HeadraceError):
        listed = await backend.listed()
    day = next((each.shutdown_date for each in listed if each.id == name), None)
    return found if day is None else msgspec.structs.replace(found, shutdown_date=day)


async def probe_embedding(
    backend: Backend, text: str = QUESTION, *, clock: Callable[[], float] = time.perf_counter
) -> Probed:
    """The same for a model that only makes vectors."""
    start_s = clock()
    found = await backend.embed([text])
    return Probed(
        provider=backend.provider,
        context_tokens=backend.context_tokens,
        total_s=clock() - start_s,
        usage=found.usage,
        dimensions=len(found.vectors[0]) if found.vectors else 0,
        rate_limits=backend.rate_limits,
    )
