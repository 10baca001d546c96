from pathlib import Path

import msgspec
import pytest

from headrace.access.principal import Principal
from headrace.pipeline.steps.normalize import NormalizeSettings, NormalizeStep
from headrace.pipeline.turn import Turn, TurnKind
from headrace.types import Message

DOCS = Path(__file__).parents[3] / "docs" / "steps" / "normalize.md"


def turn_of(*messages: Message, kind: TurnKind = "chat") -> Turn:
    return Turn(
        principal=Principal(key_id="k1", name="test", role="user"),
        messages=list(messages),
        kind=kind,
    )


def user(text: str) -> Message:
    return Message(role="user", content=text)


async def prepared(turn: Turn, **settings: object) -> Turn:
    chosen = msgspec.convert(settings, NormalizeSettings)
    # `build` reads nothing from its context: a service's other parts need not exist here.
    step = NormalizeStep.build(chosen, context=None)  # type: ignore[arg-type]
    await step.prepare(turn)
    return turn


async def test_every_user_message_is_repaired_and_the_changes_are_recorded() -> None:
    turn = await prepared(turn_of(user("caf\u00c3\u00a9\u200b"), user("pаypal &amp; Co. is down")))
    assert [message.content for message in turn.messages] == ["café", "paypal & Co. is down"]
    assert turn.state["normalize"] == {
        "encoding": 1,
        "invisible": 1,
        "lookalike": 1,
        "entity": 1,
    }


async def test_other_roles_stay_as_they_are() -> None:
    others = [
        Message(role="system", content="ｓｙｓ\u200b"),
        Message(role="assistant", content="а &amp; b\u200b"),
        Message(role="tool", content="\u202e{}", tool_call_id="1"),
    ]
    turn = await prepared(turn_of(*others, user("hi")))
    assert turn.messages[:3] == others


async def test_text_parts_are_repaired_and_other_parts_pass() -> None:
    image: dict[str, object] = {"type": "image_url", "image_url": {"url": "data:ｘ"}}
    parts: list[dict[str, object]] = [{"type": "text", "text": "ｈｉ  "}, image]
    turn = await prepared(turn_of(Message(role="user", content=parts)))
    assert turn.messages[0].content == [{"type": "text", "text": "hi"}, image]


async def test_a_clean_message_changes_nothing() -> None:
    turn = await prepared(turn_of(user("How do I cook rice?")))
    assert turn.messages[0].content == "How do I cook rice?"
    assert turn.state["normalize"] == {}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I cook rice?", "en"),
        ("怎么煮米饭？", "zh"),
        ("Wie koche ich Reis?\n```python\nfor this in that:\n    print(the)\n```", "de"),
        ("42", None),
    ],
)
async def test_the_language_of_the_last_user_message_is_told(
    text: str, language: str | None
) -> None:
    turn = await prepared(turn_of(user("Bonjour tout le monde"), user(text)))
    assert turn.language == language


async def test_language_identification_can_be_turned_off() -> None:
    turn = await prepared(turn_of(user("How do I cook rice?")), language=False)
    assert turn.language is None


async def test_a_completion_prompt_keeps_the_space_it_ends_with() -> None:
    turn = await prepared(turn_of(user("Once upon a "), kind="completion"))
    assert turn.messages[0].content == "Once upon a "


async def test_spelling_is_left_alone_unless_asked_for() -> None:
    turn = await prepared(turn_of(user("I recieve teh mesage from my freind")))
    assert turn.messages[0].content == "I recieve teh mesage from my freind"


async def test_spelling_is_corrected_in_english_prose_only() -> None:
    english = "I recieve teh mesage `recieve` in the enviroment, see https://x.io/recieve"
    turn = await prepared(
        turn_of(user(english), user("Ich habe teh Nachricht recieve nicht bekommen")),
        spelling="en",
    )
    assert [message.content for message in turn.messages] == [
        "I receive the message `recieve` in the environment, see https://x.io/recieve",
        "Ich habe teh Nachricht recieve nicht bekommen",
    ]
    assert turn.state["normalize"] == {"spelling": 4}


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="spelling"):
        msgspec.convert({"spelling": "fr"}, NormalizeSettings)


@pytest.mark.parametrize(
    "field", [field.name for field in msgspec.structs.fields(NormalizeSettings)]
)
def test_every_setting_is_in_the_docs(field: str) -> None:
    assert f"`{field}`" in DOCS.read_text("utf-8")
