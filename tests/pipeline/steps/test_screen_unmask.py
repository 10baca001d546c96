"""Masked values come back to whom they belong, and to nobody else, whatever the model writes."""

import asyncio
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.models.backend import Call
from headrace.types import Message
from tests.pipeline.steps.screening import Service, policy_of

POLICY = "input: {email: mask, phone: mask}"
NAMES = ["ann", "bob", "eve", "kim", "lee"]
WRITTEN = [
    "<EMAIL_{n}>", "<email_{n}>", "[EMAIL_{n}]", "<EMAIL {n}>", "&lt;EMAIL_{n}&gt;", "＜EMAIL_{n}＞", "<EMAIL_{n}",
    "EMAIL_{n}", "<PHONE_{n}>", "<EMAIL_{n}{n}>", "<E-MAIL_{n}>", "<USER_EMAIL_{n}>", "<EMAIL_{n}>@example.org",
    " and ", "\n", "x",
]  # fmt: skip
ANSWERS = st.lists(st.tuples(st.sampled_from(WRITTEN), st.integers(0, 9)), max_size=8).map(
    lambda parts: "".join(form.format(n=n) for form, n in parts)
)
PEOPLE = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)


def address(name: str, whose: str) -> str:
    return f"{name}.{whose}@example.org"


def asked(names: list[str], whose: str) -> str:
    return "Write to " + ", ".join(address(each, whose) for each in names)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(policy_of(tmp_path_factory.mktemp("unmask"), POLICY))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(mine=PEOPLE, theirs=PEOPLE, answer=ANSWERS)
async def test_no_value_reaches_another_subject_even_at_the_same_time(
    service: Service, mine: list[str], theirs: list[str], answer: str
) -> None:
    service.backend.say(lambda _: list(answer))
    to_me, to_them = await asyncio.gather(
        service.say(asked(mine, "mine"), key="alice"),
        service.say(asked(theirs, "theirs"), key="bob"),
    )
    assert "theirs@" not in to_me
    assert "mine@" not in to_them
    assert to_me == _restored(answer, mine)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(mine=PEOPLE, answer=ANSWERS)
async def test_what_the_model_makes_up_stays_as_it_wrote_it(
    service: Service, mine: list[str], answer: str
) -> None:
    service.backend.say(lambda _: list(answer))
    said = await service.say(asked(mine, "mine"))
    assert said == _restored(answer, mine)


def _restored(answer: str, mine: list[str]) -> str:
    """The answer with this turn's own placeholders filled in, and nothing else."""
    shape = r"(?:<|&lt;|＜)EMAIL[_ ]?(\d+)(?:>|&gt;|＞|(?![A-Za-z0-9_]))|\[EMAIL_(\d+)\]"

    def value(match: re.Match[str]) -> str:
        number = int(match[1] or match[2])
        return address(mine[number - 1], "mine") if 1 <= number <= len(mine) else match[0]

    return re.sub(shape, value, answer, flags=re.IGNORECASE)


async def test_a_later_turn_of_the_conversation_has_its_own_masks(service: Service) -> None:
    service.backend.say(lambda _: ["I wrote to <EMAIL_1>."])
    assert "ann.mine@" in await service.say(asked(["ann"], "mine"))
    # The client sends the whole conversation again; the numbers are those of this turn.
    again = [
        Message(role="user", content="Mine is lee.other@example.org"),
        Message(role="assistant", content="Thanks."),
        Message(role="user", content="And <EMAIL_1>?"),
    ]
    assert await service.say(again) == "I wrote to <EMAIL_1>."
    assert await service.say("Nothing here") == "I wrote to <EMAIL_1>."


async def test_a_model_that_repeats_the_prompt_gives_the_values_back(service: Service) -> None:
    def echo(call: Call) -> list[str]:
        return list(call.messages[-1].text())

    service.backend.say(echo)
    text = asked(["ann", "bob"], "mine") + " or +44 20 7946 0958"
    assert await service.say(text) == text
