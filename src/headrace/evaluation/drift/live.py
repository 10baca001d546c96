"""A sample of real traffic, scored: the answers as they were given, and nothing asked again.

What is kept of it are scores by trace, never a text: texts stay with their traces, under their
people's keys.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from headrace.evaluation.ask import Answer, Answerer, Ask
from headrace.evaluation.run import Run
from headrace.evaluation.suite import Case, Suite
from headrace.telemetry.trace import Trace
from headrace.types import Choice, Message

__all__ = ["LIVE", "LiveTurn", "live_turn", "sample", "stored_answers", "suite_of", "without_texts"]

LIVE = "live"
"""What stands for a release in a run over real traffic, which may be of several."""

_messages = msgspec.json.Decoder(list[Message]).decode
_choices = msgspec.json.Decoder(list[Choice]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTurn:
    """One turn, its question and its answer readable."""

    id: str
    question: str
    answer: Answer
    language: str


def sample(ids: Sequence[str], count: int, *, seed: int) -> list[str]:
    """So many of them by chance, in their order; the same for the same seed."""
    if len(ids) <= count:
        return list(ids)
    chosen = sorted(random.Random(seed).sample(range(len(ids)), count))  # noqa: S311  no secret
    return [ids[at] for at in chosen]


def live_turn(trace: Trace) -> LiveTurn | None:
    """The turn of a trace; None when its texts are not kept, or it had no answer."""
    if not trace.input or not trace.output:
        return None
    question = next((m.text() for m in reversed(_messages(trace.input)) if m.role == "user"), "")
    answer = next((each.text for each in _choices(trace.output)), "")
    if not question.strip() or not answer.strip():
        return None
    return LiveTurn(
        id=trace.id,
        question=question,
        answer=Answer(
            text=answer,
            ttft_s=trace.ttft_s,
            total_s=trace.duration_s,
            cost_usd=trace.cost_usd,
            prompt_tokens=trace.prompt_tokens,
            completion_tokens=trace.completion_tokens,
        ),
        language=trace.language,
    )


def suite_of(suite: Suite, turns: Sequence[LiveTurn]) -> Suite:
    """The suite with a case for each turn."""
    cases = [
        Case(
            id=each.id,
            input=each.question,
            variables={"trace": each.id},
            tags=[each.language] if each.language else [],
        )
        for each in turns
    ]
    file = msgspec.structs.replace(suite.file, repeats=1)
    return msgspec.structs.replace(suite, cases=cases, file=file)


def stored_answers(turns: Sequence[LiveTurn]) -> Answerer:
    """Gives each turn the answer that it had."""
    known: Mapping[object, Answer] = {each.id: each.answer for each in turns}

    async def answer(ask: Ask) -> Answer:
        return known[ask.variables["trace"]]

    return answer


def without_texts(run: Run) -> Run:
    """The run as it may be kept."""
    results = [
        msgspec.structs.replace(
            each,
            answer=None
            if each.answer is None
            else msgspec.structs.replace(each.answer, text="", said=[]),
        )
        for each in run.results
    ]
    return msgspec.structs.replace(run, results=results)
