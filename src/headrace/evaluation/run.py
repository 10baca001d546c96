"""Running a suite: every case asked as often as it says, some at a time, each answer scored.

An answer that was kept under the same release, case, seed and repeat is not asked for again, so a
run that was killed goes on where it was. What the model could not answer is an error, never a
wrong answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.evaluation.scorer import Scorer
from headrace.evaluation.suite import Case, Suite
from headrace.types import Message, Params

__all__ = ["Answer", "Answerer", "Ask", "Cache", "Result", "Run", "run_suite"]

ATTEMPTS = 3
WAIT_S = 0.5
"""Before the second attempt; doubled after each."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the model."""

    messages: list[Message]
    params: Params
    template: str | None = None
    model: str | None = None
    variables: dict[str, object] = msgspec.field(default_factory=dict)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call; of several turns the last text, the sums of what they took."""

    text: str
    ttft_s: float | None = None
    """Of the last turn."""
    total_s: float = 0.0
    cost_usd: float = 0.0
    completion_tokens: int = 0


Answerer: TypeAlias = Callable[[Ask], Awaitable[Answer]]


class Cache(Protocol):
    """Where answers are kept between runs."""

    def get(self, key: str) -> Answer | None: ...

    def put(self, key: str, answer: Answer) -> None: ...


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One case asked once."""

    case: str
    repeat: int
    answer: Answer | None
    scores: dict[str, float]
    error: str = ""
    """Why there is no answer."""
    tags: list[str] = msgspec.field(default_factory=list)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A suite's results, in the order of its cases and repeats."""

    suite: str
    release: str
    results: list[Result]

    def by_case(self, scorer: str) -> dict[str, float]:
        """The mean score of each case that was answered at least once."""
        found: dict[str, list[float]] = {}
        for each in self.results:
            if scorer in each.scores:
                found.setdefault(each.case, []).append(each.scores[scorer])
        return {case: sum(scores) / len(scores) for case, scores in found.items()}

    @property
    def scorers(self) -> list[str]:
        return list(dict.fromkeys(name for each in self.results for name in each.scores))


async def run_suite(
    suite: Suite,
    scorers: Mapping[str, Scorer],
    answerer: Answerer,
    cache: Cache,
    *,
    release: str,
    parallel: int = 8,
    saw: Callable[[int, int], None] = lambda done, total: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Run:
    """Ask and score everything.

    Args:
        release: digest of what answers; part of the key an answer is kept under.
        parallel: how many calls are under way at once.
        saw: told after each answer: how many, of how many.
    """
    wanted = [(case, at) for case in suite.cases for at in range(suite.file.repeats)]
    results: list[Result | None] = [None] * len(wanted)
    todo = iter(enumerate(wanted))
    done = 0

    async def work() -> None:
        nonlocal done
        for index, (case, repeat) in todo:
            results[index] = await _result(
                suite, case, repeat, scorers, answerer, cache, release, sleep
            )
            done += 1
            saw(done, len(wanted))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(parallel, len(wanted))):
            group.create_task(work())
    return Run(suite=suite.name, release=release, results=[each for each in results if each])


async def _result(
    suite: Suite,
    case: Case,
    repeat: int,
    scorers: Mapping[str, Scorer],
    answerer: Answerer,
    cache: Cache,
    release: str,
    sleep: Callable[[float], Awaitable[None]],
) -> Result:
    seed = suite.file.seed + repeat
    key = f"{release}:{suite.digest(case)}:{seed}:{repeat}"
    answer = await asyncio.to_thread(cache.get, key)
    if answer is None:
        try:
            answer = await _answered(suite, case, seed, answerer, sleep)
        except HeadraceError as error:
            return Result(
                case=case.id,
                repeat=repeat,
                answer=None,
                scores={},
                error=error.message,
                tags=case.tags,
            )
        await asyncio.to_thread(cache.put, key, answer)
    scores = {name: scorer(case, answer.text) for name, scorer in scorers.items()}
    return Result(case=case.id, repeat=repeat, answer=answer, scores=scores, tags=case.tags)


async def _answered(
    suite: Suite,
    case: Case,
    seed: int,
    answerer: Answerer,
    sleep: Callable[[float], Awaitable[None]],
) -> Answer:
    messages: list[Message] = []
    params = Params(seed=seed).over(suite.params)
    said: list[Answer] = []
    for text in case.turns:
        messages.append(Message(role="user", content=text))
        ask = Ask(
            messages=list(messages),
            params=params,
            template=suite.file.template,
            model=suite.file.model,
            variables=case.variables,
        )
        said.append(await _patiently(ask, answerer, sleep))
        messages.append(Message(role="assistant", content=said[-1].text))
    return Answer(
        text=said[-1].text,
        ttft_s=said[-1].ttft_s,
        total_s=sum(each.total_s for each in said),
        cost_usd=sum(each.cost_usd for each in said),
        completion_tokens=sum(each.completion_tokens for each in said),
    )


async def _patiently(
    ask: Ask, answerer: Answerer, sleep: Callable[[float], Awaitable[None]]
) -> Answer:
    for attempt in range(ATTEMPTS - 1):
        try:
            return await answerer(ask)
        except ModelUnavailable:
            await sleep(WAIT_S * 2**attempt)
    return await answerer(ask)
