"""Holding the finished answer against the question."""

from pathlib import Path

import msgspec
import pytest

from headrace.access.principal import Principal
from headrace.pipeline.steps.check import CheckSettings, CheckStep
from headrace.pipeline.turn import Turn
from headrace.types import Choice, FunctionCall, Message, Params, ToolCall

DOCS = Path(__file__).parents[3] / "docs" / "steps" / "check.md"
NAMES = ("empty", "cut", "language", "json", "schema", "arguments", "parrot")


async def checked(
    *choices: Choice,
    question: str = "How does a mill work?",
    language: str | None = None,
    params: Params | None = None,
    **settings: object,
) -> dict[str, str]:
    turn = Turn(
        principal=Principal(key_id="k", name="n", role="user"),
        messages=[Message(role="user", content=question)],
        language=language,
        params=params or Params(),
        choices=list(choices),
    )
    chosen = msgspec.convert(settings, CheckSettings)
    # `build` reads nothing from its context.
    await CheckStep.build(chosen, context=None).complete(turn)  # type: ignore[arg-type]
    said = turn.state["check"]
    assert isinstance(said, dict)
    return said


async def test_every_check_runs_unless_some_are_named() -> None:
    assert tuple(await checked(Choice(text="It turns."))) == NAMES
    assert tuple(await checked(Choice(text="It turns."), checks=["cut"])) == ("cut",)


@pytest.mark.parametrize(
    ("choice", "result"),
    [
        (Choice(text=" \n"), "the answer is empty"),
        (Choice(text="Yes."), "ok"),
        (Choice(refusal="I cannot help with that."), "ok"),
        (Choice(tool_calls=[ToolCall("1", FunctionCall("f", "{}"))]), "ok"),
    ],
)
async def test_an_answer_without_text_or_tool_call_is_empty(choice: Choice, result: str) -> None:
    assert (await checked(choice))["empty"] == result


async def test_an_answer_cut_by_its_length_is_told() -> None:
    assert "max_tokens" in (await checked(Choice(text="It", finish_reason="length")))["cut"]
    assert (await checked(Choice(text="It", finish_reason="stop")))["cut"] == "ok"


ENGLISH = "The water turns the wheel, and the wheel turns the stones that grind the grain."


@pytest.mark.parametrize(
    ("question", "language", "answer", "result"),
    [
        ("How does a mill work?", "en", ENGLISH, "ok"),
        ("水车是怎么工作的？", "zh", ENGLISH, "asked in zh, answered in en"),
        ("水车是怎么工作的？", "zh", "河水推动水轮，水轮再带动磨石研磨谷物。", "ok"),
        ("请把这句话翻译成英文：水车转动。", "zh", ENGLISH, "not checked: the question asks"),
        ("Wie geht das auf Englisch?", "de", ENGLISH, "not checked: the question asks"),
        ("Capital of France?", "en", "Paris.", "not checked: the answer is too short"),
        ("42", None, ENGLISH, "not checked: the question's language is unknown"),
    ],
)
async def test_the_answer_should_be_in_the_questions_language(
    question: str, language: str | None, answer: str, result: str
) -> None:
    said = await checked(Choice(text=answer), question=question, language=language)
    assert said["language"].startswith(result)


SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
}


@pytest.mark.parametrize(
    ("text", "json", "schema"),
    [
        ('{"age": 3}', "ok", "ok"),
        ('{"age": "three"}', "ok", "does not conform to the JSON Schema at properties/age/type"),
        ("{}", "ok", "does not conform to the JSON Schema at required"),
        ('{"age": 3', "not JSON", "not JSON"),
    ],
)
async def test_json_is_held_against_the_schema_that_was_asked_for(
    text: str, json: str, schema: str
) -> None:
    wanted: dict[str, object] = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    said = await checked(Choice(text=text), params=Params(response_format=wanted))
    assert (said["json"], said["schema"]) == (json, schema)


async def test_a_json_object_must_be_an_object() -> None:
    params = Params(response_format={"type": "json_object"})
    assert (await checked(Choice(text="[1]"), params=params))["json"] == "JSON, but not an object"
    assert (await checked(Choice(text="{}"), params=params))["json"] == "ok"


@pytest.mark.parametrize(
    "schema", [{"$ref": "http://127.0.0.1:1/secret.json"}, {"type": 7}, {"pattern": "("}]
)
async def test_a_schema_that_cannot_be_used_is_said_and_nothing_is_fetched(
    schema: dict[str, object],
) -> None:
    wanted: dict[str, object] = {"type": "json_schema", "json_schema": {"schema": schema}}
    said = await checked(Choice(text='"x"'), params=Params(response_format=wanted))
    assert said["schema"].startswith("not checked")


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("set_age", '{"age": 3}', "ok"),
        ("set_age", "{", "not JSON"),
        ("set_age", '{"age": null}', "does not conform to the JSON Schema at properties/age/type"),
        ("drop_tables", "{}", "a tool was called that was not offered"),
    ],
)
async def test_tool_calls_are_held_against_what_was_offered(
    name: str, arguments: str, result: str
) -> None:
    tool: dict[str, object] = {
        "type": "function",
        "function": {"name": "set_age", "parameters": SCHEMA},
    }
    call = ToolCall("1", FunctionCall(name, arguments))
    said = await checked(Choice(tool_calls=[call]), params=Params(tools=[tool]))
    assert said["arguments"] == result


@pytest.mark.parametrize(
    ("question", "answer", "result"),
    [
        ("How does a water mill work?", "How does a water mill work?", "the answer repeats"),
        ("水车是怎么工作的呢", "水车是怎么工作的呢？", "the answer repeats"),
        ("How does a water mill work?", ENGLISH, "ok"),
        ("Which is older, mill or loom?", "The mill is the older one.", "ok"),
        ("Hi", "Hi", "not checked: too few words"),
    ],
)
async def test_an_answer_that_repeats_the_question_is_told(
    question: str, answer: str, result: str
) -> None:
    assert (await checked(Choice(text=answer), question=question))["parrot"].startswith(result)


async def test_the_worst_choice_decides() -> None:
    assert (await checked(Choice(text="Yes."), Choice(text="")))["empty"] == "the answer is empty"


async def test_a_blocked_answer_is_not_judged() -> None:
    turn = Turn(principal=Principal("k", "n", "user"), messages=[], blocked="no")
    await CheckStep(CheckSettings()).complete(turn)
    assert turn.state["check"] == {"skipped": "a policy stopped the answer"}


@pytest.mark.parametrize("name", [*NAMES, "checks", "on_failure"])
def test_every_check_and_setting_is_in_the_docs(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text("utf-8")
