"""What a policy does about findings, through the pipeline: what the model gets, what the user reads."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import PolicyBlocked
from headrace.models.backend import Call
from headrace.pipeline.steps.screen.confirm import LIFETIME_S, Confirmations, digest_of
from headrace.pipeline.steps.screen.errors import ConfirmationRequired
from headrace.types import Message
from tests.pipeline.steps.screening import Service, policy_of

ASKING = "both: {term.codename: ask}\nterms: {codename: [Bluebird, 蓝鸟]}"


async def test_what_was_found_is_asked_about_and_sent_once_confirmed(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, ASKING))
    asked = await service.refused("Is Bluebird late?")
    assert isinstance(asked, ConfirmationRequired)
    assert "term.codename" in asked.message
    assert asked.confirmation in asked.hint
    assert service.trace.error == "confirmation_required"
    assert await service.say("Is Bluebird late?", confirm=asked.confirmation) == "Fine."
    assert service.backend.asked[-1][-1].text() == "Is Bluebird late?"
    assert service.noted == [("term.codename", "flag", "confirmed")]


async def test_a_confirmation_is_for_one_text_and_one_key(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, ASKING))
    asked = await service.refused("Is Bluebird late?")
    assert isinstance(asked, ConfirmationRequired)
    token = asked.confirmation
    assert await service.refused("Is Bluebird early?", confirm=token)
    assert await service.refused("Is Bluebird late?", confirm=token, key="bob")
    assert await service.refused("Is Bluebird late?", confirm=token[:-1] + "0")
    assert await service.refused("Is Bluebird late?", confirm="é.é")
    assert service.backend.asked == []


async def test_what_a_mask_hides_stays_hidden_after_a_confirmation(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, ASKING.replace("both: {", "both: {email: mask, "))
    service = Service(policy)
    text = "Mail bluebird@example.org about Bluebird"
    asked = await service.refused(text)
    assert isinstance(asked, ConfirmationRequired)
    await service.say(text, confirm=asked.confirmation)
    assert service.backend.asked[-1][-1].text() == "Mail <EMAIL_1> about Bluebird"


def test_a_confirmation_ends_and_is_shared_by_workers(tmp_path: Path) -> None:
    now = 1_000.0
    one, other = (Confirmations(clock=lambda: now) for _ in range(2))
    one.open(tmp_path)
    other.open(tmp_path)
    digest = digest_of(["a"])
    token = one.issue(digest, [("input", "email")])
    assert other.asked(token, digest) == {("input", "email")}
    assert other.asked(token, digest_of(["b"])) == frozenset()
    now += LIFETIME_S + 1
    assert other.asked(token, digest) == frozenset()
    assert (tmp_path / "confirm.key").stat().st_mode & 0o777 == 0o600


@given(parts=st.lists(st.text(max_size=3), max_size=4), others=st.lists(st.text(max_size=3)))
def test_texts_that_differ_have_digests_that_differ(parts: list[str], others: list[str]) -> None:
    assert (digest_of(parts) == digest_of(others)) == (parts == others)


async def test_an_answer_is_kept_back_until_it_is_confirmed(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, ASKING), lambda _: ["It is Blue", "bird", "."])
    asked = await service.refused("What is it?")
    assert isinstance(asked, ConfirmationRequired)
    assert service.trace.output == "[]"
    assert await service.say("What is it?", confirm=asked.confirmation) == "It is Bluebird."


async def test_whoever_confirms_the_prompt_has_not_confirmed_the_answer(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        "input: {term.codename: ask, term.place: ask}\noutput: {term.codename: ask}\n"
        "terms: {codename: [Bluebird], place: [Oslo]}",
    )
    service = Service(policy, lambda _: ["Bluebird is late."])
    text = "Is Bluebird late?"
    of_prompt = await service.refused(text)
    assert isinstance(of_prompt, ConfirmationRequired)
    of_answer = await service.refused(text, confirm=of_prompt.confirmation)
    assert isinstance(of_answer, ConfirmationRequired)
    assert len(service.backend.asked) == 1
    # The second token is for both; none of them is for a kind that was not asked about.
    assert await service.say(text, confirm=of_answer.confirmation) == "Bluebird is late."
    held = await service.refused("What is it?")
    assert isinstance(held, ConfirmationRequired)
    assert "term.place" not in held.message
    assert await service.say("What is it?", confirm=held.confirmation) == "Bluebird is late."


ESCALATING = """
input: {term.bad: escalate, term.odd: {action: escalate, answer: send}}
output: {term.bad: escalate}
terms: {bad: [explode], odd: [weird]}
words: {escalate: {en: A person looks at it., zh: 有人会看。}}
"""


async def test_a_prompt_waits_for_a_person(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, ESCALATING))
    refused = await service.refused("Will it explode?")
    assert (refused.code, refused.message) == ("content_filter", "A person looks at it.")
    (entry,) = service.kept.escalated
    assert (entry.kind, entry.side, entry.withheld) == ("term.bad", "input", True)
    assert entry.text == "user: Will it explode?"
    assert entry.policy.startswith("own@sha256:")
    assert service.backend.asked == []


async def test_a_prompt_goes_on_while_a_person_looks(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, ESCALATING))
    assert await service.say("How weird") == "Fine."
    assert service.noted == [("term.odd", "escalate", "sent")]
    assert [each.withheld for each in service.kept.escalated] == [False]


async def test_an_answer_waits_for_a_person(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, ESCALATING), lambda _: ["It may ex", "plode", " soon."])
    assert await service.say("会怎样？") == "有人会看。"
    assert service.trace.status == "blocked"
    assert service.trace.finish_reason == "content_filter"
    assert [each.text for each in service.kept.escalated] == ["It may explode soon."]


async def test_a_fixed_text_takes_the_place_of_what_is_found(tmp_path: Path) -> None:
    rule = "competitor: {action: rewrite, replacement: another maker}"
    policy = policy_of(tmp_path, f"both: {{{rule}}}\ncompetitors: [Acme Corp]")
    service = Service(policy, lambda _: ["Try ACME", " Cor", "p!"])
    assert await service.say("Is Acme Corp good?") == "Try another maker!"
    assert service.backend.asked[-1][-1].text() == "Is another maker good?"


REWRITING = """
both:
  term.rude: {action: rewrite, instruction: Say it politely.}
terms: {rude: [stupid]}
"""


def politely(call: Call) -> list[str]:
    """A model that rewrites when it is told to, and else answers with its last message."""
    if "Say it politely." in call.messages[0].text():
        return [call.messages[-1].text().replace("stupid", "unwise")]
    return ["You said: ", call.messages[-1].text()]


async def test_a_model_writes_the_prompt_and_the_answer_anew(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, REWRITING), politely)
    assert await service.say("A stupid plan") == "You said: A unwise plan"
    service = Service(policy_of(tmp_path, REWRITING.replace("both", "output")), politely)
    assert await service.say("A stupid plan") == "You said: A unwise plan"
    assert service.noted == [("term.rude", "rewrite")]


@pytest.mark.parametrize("side", ["input", "output"])
async def test_what_a_model_leaves_in_is_stopped(tmp_path: Path, side: str) -> None:
    policy = policy_of(tmp_path, REWRITING.replace("both", side))
    service = Service(policy, lambda _: ["Still stupid"])
    try:
        said = await service.say("A stupid plan")
    except PolicyBlocked as refused:
        said = refused.message
    assert said == "This request was stopped by a content policy."
    assert ("term.rude", "block", "after rewriting") in service.noted


DISCLAIMING = """
both: {topic.medicine: disclaimer}
topics: {medicine: {terms: [dosage, 剂量]}}
disclaimers: {topic.medicine: {en: Ask a doctor., zh: 请咨询医生。}}
"""


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        ("What dosage?", "Two.", "Two.\n\nAsk a doctor."),
        ("How many?", "The dosage is two.", "The dosage is two.\n\nAsk a doctor."),
        ("What dosage?", "The dosage is two.", "The dosage is two.\n\nAsk a doctor."),
        ("剂量是多少？", "两片。", "两片。\n\n请咨询医生。"),
        ("What dosage?", "Two. Ask a doctor.", "Two. Ask a doctor."),
        ("How many?", "Two.", "Two."),
    ],
)
async def test_a_disclaimer_stands_behind_the_answer_once(
    tmp_path: Path, asked: str, answer: str, said: str
) -> None:
    service = Service(policy_of(tmp_path, DISCLAIMING), lambda _: list(answer))
    assert await service.say(asked) == said


async def test_words_are_by_kind_and_language(tmp_path: Path) -> None:
    text = """
    input: {term.harm: block, term.other: block}
    terms: {harm: [hurt myself, 伤害自己], other: [forbidden]}
    messages: {en: No.}
    words: {term.harm: {en: 'Please talk to someone: 988.', zh: 请拨打心理援助热线。}}
    """
    service = Service(policy_of(tmp_path, text))
    assert (await service.refused("I want to hurt myself")).message.startswith("Please talk")
    assert (await service.refused("我想伤害自己")).message == "请拨打心理援助热线。"
    assert (await service.refused("Something forbidden")).message == "No."


CONDITIONAL = """
input:
  email:
    - {action: allow, when: {roles: [admin]}}
    - {action: block, when: {messages: [tool]}}
    - {action: flag, when: {languages: [zh]}}
    - mask: {}
"""


async def test_rules_depend_on_who_asks_and_how(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, CONDITIONAL.replace("mask: {}", "action: mask"))
    service = Service(policy)
    for how, got in (
        ({"role": "admin"}, "kim@example.org"),
        ({}, "<EMAIL_1>"),
        ({"language": "zh"}, "kim@example.org"),
    ):
        await service.say("kim@example.org", **how)  # type: ignore[arg-type]  # as `say` takes them
        assert service.backend.asked[-1][-1].text() == got
    tool = Message(role="tool", content="kim@example.org", tool_call_id="1")
    assert await service.refused([Message(role="user", content="Hi"), tool])


async def test_a_policy_that_observes_does_nothing(tmp_path: Path) -> None:
    rules = "{email: mask, card: block, term.x: ask, term.y: escalate}"
    text = f"mode: observe\nboth: {rules}\nterms: {{x: [secretive], y: [weird]}}"
    service = Service(policy_of(tmp_path, text), lambda _: ["4111 1111 1111", " 1111 is weird"])
    said = "kim@example.org is secretive"
    assert await service.say(said) == "4111 1111 1111 1111 is weird"
    assert service.backend.asked[-1][-1].text() == said
    assert service.kept.escalated == []
    assert sorted(service.noted) == [
        ("card", "flag", "would block"),
        ("email", "flag", "would mask"),
        ("term.x", "flag", "would ask"),
        ("term.y", "flag", "would escalate"),
    ]


EVERYTHING = """
output:
  term.held: {action: escalate, answer: send}
  term.soft: {action: rewrite, replacement: dust}
  term.med: disclaimer
  term.stop: block
  term.ask: ask
  email: mask
terms: {held: [weird thing], soft: [mud, mudslide], med: [dose], stop: [bang bang], ask: [bluebird]}
disclaimers: {term.med: {en: Ask a doctor.}}
"""
PARTS = [
    "weird thing", "weird", "mud", "slide", "mudslide", "dose", "bang", " bang", "bang bang", "bluebird",
    "blue", "bird", "kim@example.org", "kim@", "example.org", " ", " ", ". ", "a", "Ask a doctor.", "\n",
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    text=st.lists(st.sampled_from(PARTS), max_size=8).map("".join),
    places=st.lists(st.integers(0, 200), max_size=6),
)
async def test_every_action_comes_to_the_same_however_the_answer_is_cut(
    everything: Service, text: str, places: list[int]
) -> None:
    edges = [0, *sorted(each % (len(text) + 1) for each in places), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    came: list[tuple[object, ...]] = []
    for cut in ([text], pieces, list(text)):
        everything.backend.say(lambda _, cut=cut: cut)  # type: ignore[misc]
        try:
            said = await everything.say("Hi")
        except ConfirmationRequired as asked:
            said = asked.message
        came.append((said, everything.noted, len(everything.kept.escalated)))
        everything.kept.escalated.clear()
    assert came[0] == came[1] == came[2]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(policy_of(tmp_path_factory.mktemp("all"), EVERYTHING))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit", ["mud", "mud ", "dose ", "bang ", "blue ", "kim@", "Ask a doctor", "<EMAIL_1"]
)
async def test_a_hostile_answer_takes_linear_time(everything: Service, unit: str) -> None:
    text = unit * (20_000 // len(unit))
    pieces = [text[at : at + 16] for at in range(0, len(text), 16)]
    everything.backend.say(lambda _: pieces)
    await everything.say("kim@example.org, hi")
