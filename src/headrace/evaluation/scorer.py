"""What a scorer is: it turns an answer into a number, higher is better.

Built-in ones live in scorers/. One of your own is a function in a package of yours, named in the
entry point group `headrace.scorers`: it takes the settings written in the suite and gives a
function `(case, answer) -> float`, which may also be `async`.
"""

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias

import msgspec

from headrace.errors import did_you_mean
from headrace.evaluation.ask import Answer, Answerer, Ask
from headrace.evaluation.suite import Case
from headrace.types import Embedder

__all__ = [
    "Function",
    "Maker",
    "NotKept",
    "Score",
    "Scored",
    "Scorer",
    "Settings",
    "Tools",
    "only",
    "plain",
    "target_of",
    "threaded",
]

Settings: TypeAlias = Mapping[str, object]
Function: TypeAlias = Callable[[Case, str], "float | Awaitable[float]"]
"""A scorer as a user writes it: the case and the answer's text."""


class NotKept(Exception):
    """Something has to be asked of a model, and none is at hand yet. Never reaches a user."""


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer on its way to a score."""

    case: Case
    answer: Answer
    repeat: int = 0


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer's result."""

    value: float
    note: str = ""
    """What led to it, for people: a judge's votes, the kinds that were found."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """One scorer of a suite, ready."""

    score: Callable[[Scored], Awaitable[Score]]
    check: Callable[[Case], None] = lambda case: None
    """Raises ValueError for a case that it can never score, before anything is asked."""
    asks: bool = False
    """Whether it asks a model: its scores are kept as answers are."""
    compares: Callable[[Scored], str] = lambda scored: ""
    """What else than case and answer decides the score: the baseline's answer."""
    digest: str = ""
    """Of its settings; `make_scorers` sets it."""

    def key(self, scored: Scored) -> str:
        """Under which a score is kept, beside the release."""
        seen = (self.digest, scored.case, scored.answer.text, scored.answer.sources)
        data = msgspec.json.encode((*seen, self.compares(scored)), order="sorted")
        return hashlib.sha256(data).hexdigest()


async def _nobody(ask: Ask) -> NoReturn:
    raise NotKept


async def _no_embedder() -> NoReturn:
    raise NotKept


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What scorers may use, made by whoever runs the suite."""

    root: Path = Path()
    """The service's folder."""
    environ: Mapping[str, str] = field(default_factory=dict)
    ask: Answerer = _nobody
    """Asks a model of the service as it is, past its pipeline."""
    embedder: Callable[[], Awaitable[Embedder]] = _no_embedder
    baseline: Mapping[tuple[str, int], str] | None = None
    """The baseline's answers by case and repeat."""


Maker: TypeAlias = Callable[[Settings, Tools], Scorer]
"""Raises ValueError with a sentence when the settings are wrong."""


def plain(function: Callable[[Case, str], float]) -> Scorer:
    """A scorer that only looks at the text. What it raises as ValueError depends on the case alone."""

    async def score(scored: Scored) -> Score:
        return Score(value=function(scored.case, scored.answer.text))

    return Scorer(score, check=lambda case: _tried(function, case))


def threaded(function: Function) -> Scorer:
    """A user's own function; off the event loop, for nobody knows how long it takes."""

    async def score(scored: Scored) -> Score:
        if inspect.iscoroutinefunction(function):
            return Score(value=await function(scored.case, scored.answer.text))
        value = await asyncio.to_thread(function, scored.case, scored.answer.text)
        return Score(value=await value if inspect.isawaitable(value) else value)

    return Scorer(score)


def target_of(case: Case) -> str:
    """
    Raises:
        ValueError: the case has none.
    """
    if case.target is None:
        raise ValueError("the case has no `target`")
    return str(case.target)


def only(settings: Settings, *known: str) -> None:
    """
    Raises:
        ValueError: there is another setting than these.
    """
    for name in settings:
        if name not in known:
            raise ValueError(f"unknown setting {name!r}; {did_you_mean(name, known, kind='ones')}")


def _tried(function: Callable[[Case, str], float], case: Case) -> None:
    function(case, "0")
