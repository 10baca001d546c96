"""Answers held against their passages: what is said of them, and what becomes of them."""

import asyncio
from contextlib import aclosing
from types import SimpleNamespace

import pytest

from headrace.errors import ConfigError
from headrace.pipeline.steps.check import CheckSettings, CheckStep
from headrace.pipeline.steps.check.grounded import GroundedSettings, OnUnsupported
from headrace.pipeline.turn import Turn
from headrace.types import Citation, Delta, Deltas, Support
from tests.pipeline.steps.grounding import Books, Model, Rig, asked, heard, passage

LEAVE = passage("leave", "Full-time employees receive 25 days of paid leave per calendar year.")
ZH = passage("zh", "全职员工每年享有15天带薪年假。")
QUESTION = "How many days of leave do employees receive?"
TRUE = "Employees receive 25 days of paid leave [1]."
FALSE = "Employees receive 40 days of paid leave [1]."


class Stuck(Model):
    """Says something, and then nothing more."""

    async def _say(self, text: str) -> Deltas:
        yield Delta(text="Employees receive")
        await asyncio.Event().wait()


def rig_of(on: OnUnsupported, *answers: str, **more: object) -> Rig:
    settings = GroundedSettings(on_unsupported=on, **more)  # type: ignore[arg-type]
    return Rig.of(Books([LEAVE, ZH]), Model(*answers), grounded=settings)


def said(turn: Turn) -> object:
    found = turn.state["check"]
    assert isinstance(found, dict)
    return found["grounded"]


async def test_each_claim_is_annotated_with_its_support() -> None:
    rig = rig_of("annotate", f"{TRUE} {FALSE} Do you need more?")
    turn = asked(QUESTION)
    await heard(rig, turn)
    (choice,) = turn.choices
    supports = [each for each in choice.annotations if isinstance(each, Support)]
    assert [each.supported for each in supports] == [True, False]
    assert choice.text[supports[0].start : supports[0].end] == TRUE
    assert choice.text[supports[1].start : supports[1].end] == FALSE
    assert supports[0].passage == "leave"
    assert len([each for each in choice.annotations if isinstance(each, Citation)]) == 2
    assert said(turn) == "1 of 2 claims are not supported"
    (finding,) = turn.findings
    assert (finding.kind, finding.side, finding.action) == ("ungrounded", "output", "flag")
    assert rig.traces[0].findings[0]["kind"] == "ungrounded"


async def test_a_supported_answer_passes_as_it_is() -> None:
    for on in ("annotate", "warn", "ask_again", "refuse"):
        turn = asked(QUESTION)
        await heard(rig_of(on, TRUE), turn)
        assert turn.choices[0].text == TRUE
        assert said(turn) == "ok"
        assert turn.findings == []


async def test_a_warning_comes_in_the_language_of_the_user() -> None:
    turn = asked(QUESTION)
    await heard(rig_of("warn", FALSE), turn)
    assert turn.choices[0].text == (
        f"{FALSE}\n\n> Note: parts of this answer are not supported by the sources."
    )
    turn = asked("年假有几天？", language="zh")
    await heard(rig_of("warn", "全职员工每年享有30天带薪年假。"), turn)
    assert "资料中找不到依据" in turn.choices[0].text


async def test_a_refusal_lets_nothing_of_the_answer_out() -> None:
    turn = asked(QUESTION)
    deltas = await heard(rig_of("refuse", FALSE), turn)
    assert "".join(delta.text for delta in deltas) == "This is not in the sources."
    assert turn.choices[0].finish_reason == "stop"
    assert [each.action for each in turn.findings] == ["block"]
    turn = asked(QUESTION)
    await heard(rig_of("refuse", FALSE, messages={"en": "No idea."}), turn)
    assert turn.choices[0].text == "No idea."
    turn = asked("年假有几天？", language="zh")
    await heard(rig_of("refuse", "全职员工每年享有30天带薪年假。"), turn)
    assert turn.choices[0].text == "资料中没有相关内容。"


async def test_what_was_looked_up_in_vain_supports_nothing() -> None:
    rig = Rig.of(Books([]), Model(TRUE), grounded=GroundedSettings(on_unsupported="refuse"))
    turn = asked(QUESTION)
    await heard(rig, turn)
    assert turn.choices[0].text == "This is not in the sources."


async def test_the_model_is_asked_again_with_the_claims_named() -> None:
    rig = rig_of("ask_again", FALSE, TRUE)
    turn = asked(QUESTION)
    deltas = await heard(rig, turn)
    assert "".join(delta.text for delta in deltas) == TRUE
    first, second = rig.model.prompts
    assert list(second[: len(first)]) == list(first)
    assert second[-2].text() == FALSE
    assert "- Employees receive 40 days of paid leave." in second[-1].text()
    # Both answers are on the bill, and what was wrong with the first is on record.
    assert (turn.usage.prompt_tokens, turn.usage.completion_tokens) == (20, 10)
    assert rig.traces[0].completion_tokens == 10
    assert [delta.usage.prompt_tokens for delta in deltas if delta.usage] == [20]
    assert [each.kind for each in turn.findings] == ["ungrounded"]
    assert said(turn) == "ok"


@pytest.mark.parametrize(
    ("then", "shown"),
    [
        ("warn", f"{FALSE}\n\n> Note: parts of this answer are not supported by the sources."),
        ("refuse", "This is not in the sources."),
        ("annotate", FALSE),
    ],
)
async def test_it_is_not_asked_for_ever(then: str, shown: str) -> None:
    rig = rig_of("ask_again", FALSE, max_again=2, then=then)
    turn = asked(QUESTION)
    await heard(rig, turn)
    assert len(rig.model.prompts) == 3
    assert len(rig.model.prompts[-1]) == len(rig.model.prompts[0]) + 2
    assert turn.choices[0].text == shown


async def test_a_client_that_leaves_while_the_answer_is_held_ends_it() -> None:
    rig = Rig.of(Books([LEAVE]), Stuck(""), grounded=GroundedSettings(on_unsupported="refuse"))
    turn = asked(QUESTION)

    async def listen() -> None:
        async with aclosing(rig.pipeline.answer(turn)) as deltas:
            async for _ in deltas:
                raise AssertionError("nothing may leave before all is judged")

    task = asyncio.create_task(listen())
    while not rig.model.prompts:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.traces[0].status == "cancelled"


async def test_answers_to_turns_without_a_look_up_are_not_checked() -> None:
    rig = rig_of("refuse", "Hello to you!")
    turn = asked("Thanks!")
    await heard(rig, turn)
    assert turn.choices[0].text == "Hello to you!"
    assert said(turn) == "not checked: nothing was looked up"


async def test_saying_that_the_passages_do_not_say_it_claims_nothing() -> None:
    turn = asked(QUESTION)
    await heard(rig_of("refuse", "The passages do not mention it."), turn)
    assert turn.choices[0].text == "The passages do not mention it."


def test_it_must_be_the_last_step() -> None:
    # `build` reads nothing else from its context.
    context = SimpleNamespace(before_generate=False, later=("refine",), embedder=None)
    with pytest.raises(ConfigError, match="`refine` stands behind it"):
        CheckStep.build(CheckSettings(grounded=GroundedSettings()), context)  # type: ignore[arg-type]
