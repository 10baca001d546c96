"""The search for a better version of a template: successive halving, then held-out cases, once.

Cases are split three ways and never change sides: those that may become examples, those that the
search looks at, and those that are asked at the very end, of the template as it was and of the
winner only. (Successive halving: Jamieson and Talwalkar 2016.)
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.prompts.candidate import Candidate
from headrace.prompts.file import PromptTest
from headrace.prompts.labelled import Labelled
from headrace.prompts.template import PromptTemplate

__all__ = ["Asked", "Found", "Round", "Scores", "Split", "optimise", "split"]

FEWEST = 10
"""Cases without which nothing can be told apart from luck."""
_HELD_OUT = 0.4
_POOL = 0.4
"""Of those that are not held out."""
_MOST_POOL = 16
_FIRST = 4
"""Cases of the first round."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one case with one candidate."""

    score: float
    prompt_tokens: int


Ask: TypeAlias = Callable[[PromptTemplate, PromptTest], Awaitable[Asked]]
Scores: TypeAlias = Mapping[str, Asked]
"""By key; see `key_of`."""
Report: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Split:
    """The cases, three ways."""

    pool: Sequence[Labelled]
    """May become examples."""
    search: Sequence[PromptTest]
    held_out: Sequence[PromptTest]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the search."""

    candidates: int
    cases: int
    best: float


@dataclass(frozen=True, slots=True)
class Found:
    """What the search came to. Scores are by held-out case, in one order."""

    winner: Candidate
    """The template as it was, if nothing did better on the cases of the search."""
    rounds: Sequence[Round]
    before: Sequence[float]
    after: Sequence[float]


def split(cases: Sequence[Labelled], *, seed: int) -> Split:
    """The cases in three parts, by lot; doubles of a question stay in one.

    Raises:
        InvalidRequest: there are too few.
    """
    unique = list({" ".join(each.test.user.split()): each for each in cases}.values())
    if len(unique) < FEWEST:
        raise InvalidRequest(
            f"there are {len(unique)} different cases; fewer than {FEWEST} tell nothing",
            hint="add cases: 30 or more are better, as four in ten are held out",
        )
    random.Random(seed).shuffle(unique)  # noqa: S311  # nothing secret
    held = round(len(unique) * _HELD_OUT)
    held_out, working = unique[:held], unique[held:]
    answered = [each for each in working if each.answer]
    pool = answered[: min(_MOST_POOL, round(len(working) * _POOL))]
    inside = set(map(id, pool))
    return Split(
        pool,
        [each.test for each in working if id(each) not in inside],
        [each.test for each in held_out],
    )


async def optimise(
    candidates: Sequence[Candidate],
    parts: Split,
    ask: Ask,
    *,
    release: str,
    scores: MutableMapping[str, Asked],
    report: Report = lambda done, total: None,
    at_once: int = 2,
) -> Found:
    """The best of the candidates, the first of which is the template as it is.

    Args:
        release: what answers: scores of another one do not count.
        scores: what is known already; new ones are put in as they come.
    """
    table = _Table(ask, release, scores, report, at_once)
    table.total = _cost(len(candidates), len(parts.search)) + 2 * len(parts.held_out)
    alive, rounds = list(candidates), []
    base = candidates[0]
    count = min(_FIRST, len(parts.search))
    while True:
        cases = parts.search[:count]
        means = await table.means(alive, cases)
        order = sorted(alive, key=lambda each: _rank(each, means, table, cases))
        rounds.append(Round(len(alive), count, means[order[0].template.digest]))
        alive = order[: -(-len(order) // 2)]
        if len(alive) == 1 and count == len(parts.search):
            break
        count = min(2 * count, len(parts.search))
    winner = alive[0]
    both = await table.means([base, winner], parts.search)
    if both[winner.template.digest] <= both[base.template.digest]:
        winner = base
    await table.means([base, winner], parts.held_out)
    return Found(winner, rounds, table.row(base, parts.held_out), table.row(winner, parts.held_out))


def _rank(
    candidate: Candidate, means: Mapping[str, float], table: "_Table", cases: Sequence[PromptTest]
) -> tuple[float, int]:
    """Best first; of equals, what the model reads fewest tokens for."""
    return -means[candidate.template.digest], table.tokens(candidate, cases)


def _cost(candidates: int, cases: int) -> int:
    """Answers that the search asks for at most, held-out ones aside."""
    alive, count, seen, total = candidates, min(_FIRST, cases), 0, 0
    while True:
        total += alive * (count - seen)
        alive, seen = -(-alive // 2), count
        if alive == 1 and count == cases:
            return total + cases
        count = min(2 * count, cases)


def key_of(release: str, template: PromptTemplate, test: PromptTest) -> str:
    """Names the answer of one version to one case."""
    said = msgspec.json.encode([release, template.digest, test])
    return hashlib.sha256(said).hexdigest()


class _Table:
    """Scores by candidate and case; each is asked for once."""

    def __init__(
        self,
        ask: Ask,
        release: str,
        scores: MutableMapping[str, Asked],
        report: Report,
        at_once: int,
    ) -> None:
        self._ask = ask
        self._release = release
        self._scores = scores
        self._report = report
        self._limit = asyncio.Semaphore(at_once)
        self._done = 0
        self.total = 0

    async def means(
        self, candidates: Sequence[Candidate], cases: Sequence[PromptTest]
    ) -> dict[str, float]:
        """The mean score of each candidate, by its digest."""
        wanted = {
            key_of(self._release, each.template, test): (each.template, test)
            for each in candidates
            for test in cases
        }
        async with asyncio.TaskGroup() as group:
            for key, (template, test) in wanted.items():
                if key not in self._scores:
                    group.create_task(self._one(key, template, test))
        return {
            each.template.digest: sum(self.row(each, cases)) / len(cases) for each in candidates
        }

    def row(self, candidate: Candidate, cases: Sequence[PromptTest]) -> list[float]:
        return [self._of(candidate, test).score for test in cases]

    def tokens(self, candidate: Candidate, cases: Sequence[PromptTest]) -> int:
        return sum(self._of(candidate, test).prompt_tokens for test in cases)

    def _of(self, candidate: Candidate, test: PromptTest) -> Asked:
        return self._scores[key_of(self._release, candidate.template, test)]

    async def _one(self, key: str, template: PromptTemplate, test: PromptTest) -> None:
        async with self._limit:
            self._scores[key] = await self._ask(template, test)
        self._done += 1
        self._report(self._done, max(self.total, self._done))
