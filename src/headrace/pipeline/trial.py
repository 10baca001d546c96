"""Trying a prompt template: one case through the whole pipeline, and what it should have been.

A trial is deterministic as far as the model is (temperature 0, one seed) and neither reads nor
fills the answer cache. Everything else is as for any turn: screened, limited, traced.
"""

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headrace.access.principal import Principal
from headrace.errors import HeadraceError, InvalidRequest
from headrace.pipeline.needs import missed_by
from headrace.pipeline.reduce import LANGUAGE
from headrace.pipeline.service import Service
from headrace.pipeline.steps.normalize.language import identify
from headrace.pipeline.turn import Turn
from headrace.prompts.expect import failures
from headrace.prompts.file import PromptTest
from headrace.prompts.template import PromptTemplate
from headrace.types import Choice, Message, Params

__all__ = ["Outcome", "Trial", "try_case", "turn_for"]

Outcome: TypeAlias = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one case."""

    template: str
    """`NAME@DIGEST`."""
    name: str
    outcome: Outcome
    reasons: Sequence[str] = ()
    """What is not as expected, why it was skipped, or what went wrong."""
    answer: str = ""
    reasoning: str = ""
    model: str = ""
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    trace: str = ""
    facts: dict[str, object] = field(default_factory=dict)
    """What the step `template` said: text chosen, examples, parts."""


async def try_case(
    service: Service,
    principal: Principal,
    template: PromptTemplate,
    test: PromptTest,
    *,
    model: str | None = None,
    whatever_it_requires: bool = False,
) -> Trial:
    """Run one case with one version of a template. A failure is an outcome, not an error.

    Args:
        whatever_it_requires: skip nothing.
    """
    turn = turn_for(principal, template, test, model=model)
    started = time.perf_counter()
    try:
        if not any(step.name == "template" for step in service.pipeline.steps):
            raise InvalidRequest(
                "the pipeline has no step `template`, so that no template is ever used"
            )
        if test.requires is not None and not whatever_it_requires:
            skipped = missed_by(service.models, model, test.requires)
            if skipped:
                return _trial(turn, template, test, "skipped", skipped)
        async with aclosing(service.pipeline.answer(turn)) as deltas:
            async for _ in deltas:
                pass
    except HeadraceError as error:
        took_s = time.perf_counter() - started
        return _trial(turn, template, test, "error", [error.message], took_s)
    text = turn.choices[0].text if turn.choices else ""
    wrong = failures(text, test.expect, language_of=identify)
    took_s = time.perf_counter() - started
    return _trial(turn, template, test, "failed" if wrong else "passed", wrong, took_s)


def _trial(
    turn: Turn,
    template: PromptTemplate,
    test: PromptTest,
    outcome: Outcome,
    reasons: Sequence[str],
    seconds: float = 0.0,
) -> Trial:
    answer = turn.choices[0] if turn.choices else Choice()
    said = turn.state.get("template")
    return Trial(
        template=template.version,
        name=test.name or test.user[:60],
        outcome=outcome,
        reasons=tuple(reasons),
        answer=answer.text,
        reasoning=answer.reasoning,
        model=turn.trace.model,
        seconds=seconds,
        prompt_tokens=turn.usage.prompt_tokens,
        completion_tokens=turn.usage.completion_tokens,
        trace="" if outcome == "skipped" else turn.id,
        facts=dict(said) if isinstance(said, dict) else {},
    )


def turn_for(
    principal: Principal, template: PromptTemplate, test: PromptTest, *, model: str | None = None
) -> Turn:
    """The turn that a case stands for."""
    texts = [*test.history, (test.user + "\n") * (test.repeat - 1) + test.user]
    turn = Turn(
        principal=principal,
        messages=[
            Message(role="assistant" if at % 2 else "user", content=text)
            for at, text in enumerate(texts)
        ],
        params=Params(temperature=0.0, seed=1),
        model=model,
        prompt=template,
        variables=dict(test.variables),
        metadata={"purpose": "prompt test"},
        cache_control="no-store, no-cache",
    )
    if test.language is not None:
        turn.state[LANGUAGE] = test.language
    return turn
