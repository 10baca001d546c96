"""Tool calls by a model whose chat template knows nothing of tools."""

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidRequest
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.models.embedded.tools import calls_in, described, history_as_text
from headrace.types import Delta, Deltas, FinishReason, FunctionCall, Message, ToolCall, Usage
from tests.models.embedded.answer import Answer, ask, call

WEATHER: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"$ref": "#/$defs/city"}},
            "required": ["city"],
            "additionalProperties": False,
            "$defs": {"city": {"type": "string", "maxLength": 20}},
        },
    },
}
CLOCK: dict[str, object] = {"type": "function", "function": {"name": "clock"}}
PARIS = "What is the weather in Paris?"
FORCED = '{\n  "name": "get_weather",\n  "arguments": {"city": "水车}", "days": {"n": 2}}\n}\n'
ARGUMENTS = '{"city": "水车}", "days": {"n": 2}}'
model = pytest.mark.model
in_session = pytest.mark.asyncio(loop_scope="session")


@model
@in_session
async def test_a_required_call_comes_with_arguments_that_fit_the_schema(
    backend: EmbeddedBackend,
) -> None:
    asked = call(PARIS, tools=[WEATHER, CLOCK], tool_choice="required", max_tokens=100)
    answer = await ask(backend, asked)
    assert answer.text == ""
    assert answer.reasons == {0: "tool_calls"}
    name, arguments = called(answer)
    assert name in ("get_weather", "clock")
    if name == "get_weather":
        assert list(json.loads(arguments)) == ["city"]
    assert answer.usage.completion_tokens > 0


@model
@in_session
async def test_a_tool_that_is_chosen_by_name_is_the_one_that_is_called(
    backend: EmbeddedBackend,
) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    asked = call("Hello!", tools=[CLOCK, WEATHER], tool_choice=choice, max_tokens=100)
    name, arguments = called(await ask(backend, asked))
    assert name == "get_weather"
    assert list(json.loads(arguments)) == ["city"]


@model
@in_session
async def test_a_tool_of_no_name_among_them_is_refused(backend: EmbeddedBackend) -> None:
    choice = {"type": "function", "function": {"name": "sleep"}}
    with pytest.raises(InvalidRequest, match="names the function 'sleep'") as caught:
        await ask(backend, call(PARIS, tools=[CLOCK], tool_choice=choice))
    assert caught.value.param == "tool_choice"


@model
@in_session
async def test_tools_that_may_not_be_used_are_not_mentioned(backend: EmbeddedBackend) -> None:
    plain = await ask(backend, call(PARIS))
    barred = await ask(backend, call(PARIS, tools=[WEATHER], tool_choice="none"))
    offered = await ask(backend, call(PARIS, tools=[WEATHER]))
    assert barred.text == plain.text
    assert offered.usage.prompt_tokens > barred.usage.prompt_tokens == plain.usage.prompt_tokens


@model
@in_session
async def test_a_tools_result_is_seen_and_counted(backend: EmbeddedBackend) -> None:
    history = [
        Message(role="user", content=PARIS),
        Message(
            role="assistant",
            tool_calls=[ToolCall(id="1", function=FunctionCall("get_weather", '{"city":"Paris"}'))],
        ),
        Message(role="tool", tool_call_id="1", content="sunny, 21 degrees"),
    ]
    answer = await ask(backend, call(history))
    assert answer.usage.prompt_tokens == await backend.count_tokens(history)
    without = await backend.count_tokens(history[:1])
    assert answer.usage.prompt_tokens > without + 20


def test_a_tool_without_a_name_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidRequest, match=r"tools\[1\]: .*name"):
        described(call(PARIS, tools=[CLOCK, {"type": "function", "function": {}}]))


def test_the_tools_join_the_system_message_that_is_there() -> None:
    messages = [Message(role="system", content="Be brief."), Message(role="user", content=PARIS)]
    made = described(call(messages, tools=[CLOCK]))
    assert [each.role for each in made.messages] == ["system", "user"]
    assert made.messages[0].text().startswith("Be brief.\n\nYou can call these functions:")
    assert made.params.tools is None


def test_history_keeps_what_was_said_beside_a_call() -> None:
    message = Message(
        role="assistant",
        content="Let me look.",
        tool_calls=[ToolCall(id="1", function=FunctionCall("clock", "{}"))],
    )
    (text,) = history_as_text([message])
    assert text.text() == (
        'Let me look.\n<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    )


@given(cuts=st.lists(st.integers(0, len(FORCED)), max_size=12))
async def test_a_forced_call_does_not_depend_on_how_its_text_was_cut(cuts: list[int]) -> None:
    answer = await gathered(pieces(FORCED, cuts), forced=True)
    assert called(answer) == ("get_weather", ARGUMENTS)
    assert (answer.text, answer.reasons) == ("", {0: "tool_calls"})


async def test_the_arguments_of_a_forced_call_stream() -> None:
    answer = await gathered(pieces(FORCED, range(len(FORCED))), forced=True)
    assert len(answer.tool_calls) > 10
    assert [each.id is not None for each in answer.tool_calls].count(True) == 1


@given(end=st.integers(0, len(FORCED)))
async def test_a_forced_call_that_was_cut_by_length_gives_what_there_is(end: int) -> None:
    answer = await gathered(pieces(FORCED[:end], [], "length"), forced=True)
    assert answer.reasons == {0: "length"}
    if answer.tool_calls:
        name, arguments = called(answer)
        assert name == "get_weather"
        assert (ARGUMENTS + "\n}\n").startswith(arguments)


CALL = '<tool_call>\n{"name": "clock", "arguments": {"zone": {"city": "Paris"}}}\n</tool_call>'


@given(cuts=st.lists(st.integers(0, 2 * len(CALL)), max_size=12))
async def test_a_free_answer_may_be_several_calls(cuts: list[int]) -> None:
    answer = await gathered(pieces(f"\n{CALL}\n{CALL}", cuts), forced=False)
    assert answer.text == ""
    assert answer.reasons == {0: "tool_calls"}
    assert [(each.index, each.function and each.function.name) for each in answer.tool_calls] == [
        (0, "clock"),
        (1, "clock"),
    ]
    assert len({each.id for each in answer.tool_calls}) == 2


@pytest.mark.parametrize(
    "text",
    ["It is sunny.", "", "<tool", "<tool_call>not JSON</tool_call>", f"Well: {CALL}", "<tool_kit>"],
)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_free_answer_that_is_no_call_stays_text(text: str, one_by_one: bool) -> None:
    cuts = range(len(text)) if one_by_one else []
    answer = await gathered(pieces(text, cuts), forced=False)
    assert (answer.text, answer.tool_calls, answer.reasons) == (text, [], {0: "stop"})


async def test_a_free_answer_streams_as_soon_as_it_is_no_call() -> None:
    deltas = calls_in(pieces("<b>It is sunny.", range(15)), forced=False)
    first = await anext(deltas)
    assert first.text == "<b"
    await deltas.aclose()


async def pieces(text: str, cuts: Iterable[int], reason: FinishReason = "stop") -> Deltas:
    """The text as a model might stream it."""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for begin, end in itertools.pairwise(edges):
        yield Delta(text=text[begin:end])
    yield Delta(finish_reason=reason)
    yield Delta(usage=Usage(prompt_tokens=1))


async def gathered(deltas: Deltas, *, forced: bool) -> Answer:
    answer = Answer()
    async for delta in calls_in(deltas, forced=forced):
        answer.take(delta)
    assert len(answer.usages) == 1
    return answer


def called(answer: Answer) -> tuple[str, str]:
    """Name and arguments of the one call there is."""
    functions = [each.function for each in answer.tool_calls if each.function is not None]
    assert {each.index for each in answer.tool_calls} == {0}
    names = [each.name for each in functions if each.name]
    assert len(names) == 1
    return names[0], "".join(each.arguments or "" for each in functions)
