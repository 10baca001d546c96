"""What tokens cost: at list prices, and on a machine of one's own."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from headrace.config.model import PriceConfig
from headrace.models.catalogue.entry import Price, Rates, Task
from headrace.types import Usage

__all__ = [
    "MIXES",
    "Mix",
    "OwnCost",
    "blended_usd",
    "cost_usd",
    "declared_price",
    "own_cost",
    "price_config",
    "rates",
]

MILLION: Final = 1_000_000
SECONDS_PER_HOUR: Final = 3600
HOURS_PER_MONTH: Final = 730
"""Of a machine that is never off."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How many prompt tokens there are for so many completion tokens."""

    input: float
    output: float

    def __str__(self) -> str:
        return f"{self.input:g}:{self.output:g}"

    @property
    def input_share(self) -> float:
        return self.input / (self.input + self.output)


MIXES: Final[dict[Task | None, Mix]] = {
    None: Mix(3, 1),
    "chat": Mix(3, 1),
    "summarise": Mix(10, 1),
    "translate": Mix(1, 1),
    "code": Mix(3, 1),
    "extract": Mix(10, 1),
    "embed": Mix(1, 0),
    "vision": Mix(3, 1),
    "tools": Mix(5, 1),
    "reasoning": Mix(1, 3),
}
"""What a task's tokens are like, to compare prices by one figure; assumptions, not measurements."""


def rates(price: Price, on: date, prompt_tokens: int = 0) -> Rates:
    """The rates that hold on a day, for a prompt of that length."""
    if price.later is not None and on >= date.fromisoformat(price.later.since):
        return price.later
    if price.long is not None and prompt_tokens > price.long.above_tokens:
        return price.long
    return Rates(
        input=price.input,
        cached_input=price.cached_input,
        cache_write=price.cache_write,
        output=price.output,
    )


def cost_usd(price: Price, usage: Usage, on: date) -> float:
    """What that many tokens cost at list price."""
    held = rates(price, on, usage.prompt_tokens)
    cached = held.input if held.cached_input is None else held.cached_input
    write = held.input if held.cache_write is None else held.cache_write
    fresh = max(usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens, 0)
    total = (
        fresh * held.input
        + usage.cached_tokens * cached
        + usage.cache_write_tokens * write
        + usage.completion_tokens * held.output
    )
    return total / MILLION


def blended_usd(price: Price, mix: Mix, on: date, prompt_tokens: int = 0) -> float:
    """USD per million tokens of that mix, nothing cached."""
    held = rates(price, on, prompt_tokens)
    return mix.input_share * held.input + (1 - mix.input_share) * held.output


def declared_price(price: PriceConfig) -> Price:
    """The price as `models.NAME.price` says it."""
    return Price(
        input=price.input,
        cached_input=price.cached_input,
        cache_write=price.cache_write,
        output=price.output,
    )


def price_config(price: Price, on: date) -> PriceConfig:
    """The price as `models.NAME.price` has it, for a model that declares none."""
    held = rates(price, on)
    return PriceConfig(
        input=held.input,
        cached_input=held.cached_input,
        cache_write=held.cache_write,
        output=held.output,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCost:
    """What answers cost on a machine that is paid by the hour, used or not."""

    usd_per_million: float
    """Per million tokens, prompt and completion together, at `utilisation`."""
    utilisation: float
    """The share of the time in which it writes at `tokens_per_s`."""
    tokens_per_s: float
    """Completion tokens a second, of all answers together."""
    usd_per_month: float
    break_even_tokens_per_month: float | None = None
    """Tokens above which the machine is cheaper than the service compared with; None where it
    never is, because it cannot write that many."""


def own_cost(
    usd_per_hour: float,
    tokens_per_s: float,
    mix: Mix,
    *,
    utilisation: float = 1.0,
    against_usd: float | None = None,
) -> OwnCost:
    """What a million tokens cost on a machine of one's own.

    Reading prompts is counted as part of the work that `tokens_per_s` was measured at: each
    completion token brings its share of prompt tokens with it.

    Args:
        usd_per_hour: price of the machine.
        tokens_per_s: completion tokens a second that it writes in all.
        mix: prompt to completion tokens; a mix without completion tokens (embeddings) counts
            `tokens_per_s` as prompt tokens.
        utilisation: from 0 to 1.
        against_usd: USD per million tokens of the same mix somewhere else.

    Raises:
        ValueError: nothing is written, or the machine is never used.
    """
    if tokens_per_s <= 0 or not 0 < utilisation <= 1:
        raise ValueError(f"{tokens_per_s} tokens/s at utilisation {utilisation} write nothing")
    all_per_s = tokens_per_s * ((mix.input + mix.output) / mix.output if mix.output else 1.0)
    most_per_month = all_per_s * SECONDS_PER_HOUR * HOURS_PER_MONTH
    usd_per_month = usd_per_hour * HOURS_PER_MONTH
    break_even = None
    if against_usd:
        needed = usd_per_month / against_usd * MILLION
        break_even = needed if needed <= most_per_month else None
    return OwnCost(
        usd_per_million=usd_per_month / (most_per_month * utilisation) * MILLION,
        utilisation=utilisation,
        tokens_per_s=tokens_per_s,
        usd_per_month=usd_per_month,
        break_even_tokens_per_month=break_even,
    )
