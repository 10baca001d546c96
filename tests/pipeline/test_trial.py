"""A template's tests through the real pipeline."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from headrace.access.principal import Principal
from headrace.config.node import parse_yaml
from headrace.pipeline.service import Platform
from headrace.pipeline.trial import try_case, turn_for
from headrace.prompts.file import Expectation, PromptTest, Requirements
from headrace.prompts.library import builtin_templates
from headrace.prompts.reader import read_template
from headrace.prompts.template import PromptTemplate

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

ME = Principal("k-trial", "trial", "admin")
CAPITAL = PromptTest(user="What is the capital of France?", name="capital", language="en")


def template(text: str = "messages: {system: You are a helpful assistant.}") -> PromptTemplate:
    return read_template(parse_yaml(text, "own.yaml", {}, root=Path()), "own", Path())


def expecting(*, contains: list[str]) -> PromptTest:
    expect = Expectation(contains=contains)
    return PromptTest(user=CAPITAL.user, language="en", expect=expect)


async def test_an_answer_as_expected_passes_and_another_fails(platform: Platform) -> None:
    good = await try_case(platform.service, ME, template(), expecting(contains=["Paris"]))
    assert (good.outcome, good.template) == ("passed", template().version)
    assert good.completion_tokens > 0
    bad = await try_case(platform.service, ME, template(), expecting(contains=["Rome"]))
    assert (bad.outcome, bad.reasons) == ("failed", ("does not contain 'Rome'",))
    assert "Paris" in bad.answer


async def test_what_asks_for_more_than_the_model_is_skipped_and_says_why(
    platform: Platform,
) -> None:
    tests = [
        PromptTest(user="x", requires=Requirements(position="light")),
        PromptTest(user="x", requires=Requirements(context_tokens=9_999)),
        PromptTest(user="x", requires=Requirements(tasks=["vision"])),
    ]
    trials = [await try_case(platform.service, ME, template(), each) for each in tests]
    assert {each.outcome for each in trials} == {"skipped"}
    assert all(each.reasons for each in trials)


async def test_a_turn_that_is_refused_is_an_error_with_its_reason(platform: Platform) -> None:
    required = template("variables: {shop: {}}\nmessages: {system: '{{ shop }}'}")
    trial = await try_case(platform.service, ME, required, CAPITAL)
    assert (trial.outcome, trial.reasons) == ("error", ("the variable 'shop' is missing",))


async def test_no_answer_comes_from_a_cache(platform: Platform) -> None:
    turn = turn_for(ME, template(), CAPITAL)
    assert "no-store" in turn.cache_control
    first = await try_case(platform.service, ME, template(), expecting(contains=["Paris"]))
    second = await try_case(platform.service, ME, template(), expecting(contains=["Paris"]))
    await platform.flush()
    traces = [await asyncio.to_thread(platform.traces.get, each.trace) for each in (first, second)]
    assert all(trace.deployment for trace in traces), "the model itself answered both"


SMALL = [
    (name, test)
    for name, each in sorted(builtin_templates().items())
    for test in each.file.tests
    if test.requires is None and test.repeat == 1
]


@pytest.mark.parametrize(("name", "test"), SMALL, ids=lambda each: getattr(each, "name", each))
async def test_what_the_built_in_model_can_do_it_does(
    platform: Platform, name: str, test: PromptTest
) -> None:
    prompt = builtin_templates()[name]
    # What is expected comes early; so small a model may go on until its context is full.
    params = msgspec.structs.replace(
        prompt.params, max_tokens=min(64, prompt.params.max_tokens or 64)
    )
    prompt = replace(prompt, params=params)
    trial = await try_case(platform.service, ME, prompt, test)
    assert trial.outcome == "passed", (trial.reasons, trial.answer)
