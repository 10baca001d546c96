"""Running a suite: every case asked as often as it says, some at a time, each answer scored.

An answer that was kept under the same release, case, seed and repeat is not asked for again, so a
run that was killed or failed goes on where it was. What the model could not answer is an error,
never a wrong answer; what a judge could not decide is unscored, never a bad score.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.evaluation.ask import Answer, Answerer, Ask
from headrace.evaluation.errors import ScorerFailed
from headrace.evaluation.scorer import NotKept, Score, Scored, Scorer
from headrace.evaluation.suite import Case, Suite
from headrace.storage.errors import StateUnusable
from headrace.types import Message, Params

__all__ = ["Cache", "Result", "Run", "run_suite"]

ATTEMPTS = 3
WAIT_S = 0.5
"""Before the second attempt; doubled after each."""


class Cache(Protocol):
    """Where answers and scores are kept between runs, as JSON."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, data: bytes) -> None: ...


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One case asked once."""

    case: str
    repeat: int
    answer: Answer | None
    scores: dict[str, float]
    error: str = ""
    """Why there is no answer."""
    tags: list[str] = msgspec.field(default_factory=list)
    notes: dict[str, str] = msgspec.field(default_factory=dict)
    """What led to a score, by scorer."""
    unscored: dict[str, str] = msgspec.field(default_factory=dict)
    """Why there is no score, by scorer."""
    labels: dict[str, float] = msgspec.field(default_factory=dict)
    """What a person scored it with, by scorer."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A suite's results, in the order of its cases and repeats."""

    suite: str
    release: str
    results: list[Result]

    def by_case(self, scorer: str, tag: str | None = None) -> dict[str, float]:
        """The mean score of each case that was scored at least once; of those with a tag."""
        found: dict[str, list[float]] = {}
        for each in self.results:
            if scorer in each.scores and (tag is None or tag in each.tags):
                found.setdefault(each.case, []).append(each.scores[scorer])
        return {case: sum(scores) / len(scores) for case, scores in found.items()}

    @property
    def scorers(self) -> list[str]:
        return list(
            dict.fromkeys(n for each in self.results for n in (*each.scores, *each.unscored))
        )

    @property
    def tags(self) -> list[str]:
        return sorted({tag for each in self.results for tag in each.tags})

    def answers(self) -> dict[tuple[str, int], str]:
        """Texts by case and repeat."""
        return {(e.case, e.repeat): e.answer.text for e in self.results if e.answer is not None}


@dataclass(slots=True)
class _Work:
    """One run under way."""

    suite: Suite
    scorers: Mapping[str, Scorer]
    answerer: Answerer
    cache: Cache
    release: str
    sleep: Callable[[float], Awaitable[None]]
    asking: asyncio.Semaphore
    failures: list[Exception] = field(default_factory=list)


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

    After a failure nothing new is asked; what is on its way is still kept.

    Args:
        release: digest of what answers; part of the key an answer is kept under.
        parallel: how many calls are under way at once.
        saw: told after each answer: how many, of how many.

    Raises:
        ScorerFailed: a scorer raised, or gave no number.
        StateUnusable: an answer could not be read or kept.
        NotKept: no model is at hand, and something has to be asked.
    """
    work = _Work(suite, scorers, answerer, cache, release, sleep, asyncio.Semaphore(parallel))
    wanted = [(case, at) for case in suite.cases for at in range(suite.file.repeats)]
    results: list[Result | None] = [None] * len(wanted)
    todo = iter(enumerate(wanted))
    done = 0

    async def worker() -> None:
        nonlocal done
        for index, (case, repeat) in todo:
            if work.failures:
                return
            try:
                results[index] = await _result(work, case, repeat)
            except SQLAlchemyError as error:
                failed = StateUnusable(
                    f"case {case.id!r}: the database failed: {type(error).__name__}",
                    hint="what was answered is kept; run again when `headrace doctor` is content",
                )
                failed.__cause__ = error
                work.failures.append(failed)
            except (HeadraceError, NotKept) as error:
                work.failures.append(error)
            else:
                done += 1
                saw(done, len(wanted))

    async with asyncio.TaskGroup() as group:
        # While one answer is kept and scored another is asked, so that the model never waits; but
        # scorers that ask a model count as calls.
        workers = parallel if any(each.asks for each in scorers.values()) else 2 * parallel
        for _ in range(min(workers, len(wanted))):
            group.create_task(worker())
    if work.failures:
        raise work.failures[0]
    return Run(suite=suite.name, release=release, results=[each for each in results if each])


async def _result(work: _Work, case: Case, repeat: int) -> Result:
    seed = work.suite.file.seed + repeat
    key = f"{work.release}:{work.suite.digest(case)}:{seed}:{repeat}"
    kept = await asyncio.to_thread(work.cache.get, key)
    if kept is not None:
        answer = msgspec.json.decode(kept, type=Answer)
    else:
        try:
            answer = await _answered(work, case, seed)
        except HeadraceError as error:
            return Result(
                case=case.id, repeat=repeat, answer=None, scores={}, error=error.message,
                tags=case.tags, labels=case.labels,
            )  # fmt: skip
        await asyncio.to_thread(work.cache.put, key, msgspec.json.encode(answer))
    scored = Scored(case, answer, repeat)
    scores: dict[str, float] = {}
    notes: dict[str, str] = {}
    unscored: dict[str, str] = {}
    for name, scorer in work.scorers.items():
        try:
            score = await _scored(work, name, scorer, scored)
        except ScorerFailed:
            raise
        except HeadraceError as error:
            unscored[name] = error.message
            continue
        scores[name] = score.value
        if score.note:
            notes[name] = score.note
    return Result(
        case=case.id, repeat=repeat, answer=answer, scores=scores, tags=case.tags,
        notes=notes, unscored=unscored, labels=case.labels,
    )  # fmt: skip


async def _scored(work: _Work, name: str, scorer: Scorer, scored: Scored) -> Score:
    key = f"score:{work.release}:{scorer.key(scored)}" if scorer.asks else ""
    kept = await asyncio.to_thread(work.cache.get, key) if key else None
    if kept is not None:
        return msgspec.json.decode(kept, type=Score)
    where = f"the scorer {name!r} failed on case {scored.case.id!r}"
    try:
        score = await scorer.score(scored)
    except (HeadraceError, NotKept):
        raise
    except Exception as error:
        hint = "answers are kept; mend the scorer and run again"
        raise ScorerFailed(f"{where}: {type(error).__name__}: {error}", hint=hint) from error
    if not isinstance(score.value, int | float) or not math.isfinite(score.value):
        raise ScorerFailed(f"{where}: {score.value!r} is no score", hint="a score is a number")
    score = msgspec.structs.replace(score, value=float(score.value))
    if key:
        await asyncio.to_thread(work.cache.put, key, msgspec.json.encode(score))
    return score


async def _answered(work: _Work, case: Case, seed: int) -> Answer:
    file = work.suite.file
    messages: list[Message] = []
    params = Params(seed=seed).over(work.suite.params)
    said: list[Answer] = []
    for text in case.turns:
        messages.append(Message(role="user", content=text))
        ask = Ask(
            messages=list(messages),
            params=params,
            template=file.template,
            model=file.model,
            variables=case.variables,
        )
        said.append(await _patiently(ask, work))
        messages.append(Message(role="assistant", content=said[-1].text))
    return Answer(
        text=said[-1].text,
        ttft_s=said[-1].ttft_s,
        total_s=sum(each.total_s for each in said),
        cost_usd=sum(each.cost_usd for each in said),
        prompt_tokens=sum(each.prompt_tokens for each in said),
        completion_tokens=sum(each.completion_tokens for each in said),
        said=[each.text for each in said[:-1]],
        sources=said[-1].sources,
    )


async def _patiently(ask: Ask, work: _Work) -> Answer:
    for attempt in range(ATTEMPTS):
        try:
            async with work.asking:
                return await work.answerer(ask)
        except ModelUnavailable:
            if attempt == ATTEMPTS - 1:
                raise
        await work.sleep(WAIT_S * 2**attempt)
    raise AssertionError("the last attempt answers or raises")
