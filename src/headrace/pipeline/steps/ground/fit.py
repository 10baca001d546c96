"""Fitting a conversation into a budget of tokens: oldest turns out first, none cut in two."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.types import Message

__all__ = ["Counter", "Fit", "fit"]

ROOM = 0.25
"""Share of the budget left free once turns must go. Without it every further turn would push out
one more, and each time the model would have to read the whole prompt anew: what it keeps in its
cache is a prefix, and the prefix would be another one."""


@dataclass(frozen=True, slots=True)
class Counter:
    """How prompts are counted."""

    exact: Callable[[Sequence[Message]], Awaitable[int]]
    """Tokens as the model will see them; asks the model's own tokenizer."""
    at_most: Callable[[Sequence[Message]], int | None]
    """An upper bound that costs nothing, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What fits."""

    first: int
    """Index of the oldest turn that stays; as many as there are turns means none does."""
    tokens: int | None
    """Tokens of the whole prompt; None when it surely fits and so was never counted."""


Turns: TypeAlias = Sequence[Sequence[Message]]


async def fit(
    ahead: Sequence[Message],
    turns: Turns,
    behind: Sequence[Message],
    budget: int,
    counter: Counter,
) -> Fit:
    """The longest run of newest turns that fits between `ahead` and `behind`.

    Asks the tokenizer once when all fits, else about log2(turns) times more. When turns must go, so
    many go that a quarter of the budget is free again; the newest one stays if it fits at all.

    Returns:
        `tokens` may exceed the budget only when no turn stays: then `ahead` and `behind` alone do.
    """

    def prompt(first: int) -> list[Message]:
        kept = [message for turn in turns[first:] for message in turn]
        return [*ahead, *kept, *behind]

    bound = counter.at_most(prompt(0))
    if bound is not None and bound <= budget:
        return Fit(0, None)
    tokens = await counter.exact(prompt(0))
    if tokens <= budget or not turns:
        return Fit(0, tokens)
    target = int(budget * (1 - ROOM))
    best = Fit(len(turns), await counter.exact(prompt(len(turns))))
    low, high = 1, len(turns) - 1
    while low <= high:
        middle = (low + high) // 2
        tokens = await counter.exact(prompt(middle))
        if tokens <= target:
            best = Fit(middle, tokens)
            high = middle - 1
        else:
            low = middle + 1
    if best.first < len(turns):
        return best
    newest = len(turns) - 1
    tokens = await counter.exact(prompt(newest))
    return Fit(newest, tokens) if tokens <= budget else best
