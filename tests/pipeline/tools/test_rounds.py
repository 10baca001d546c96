"""The loop: what the model is asked, what is shown, what is counted, and where it ends."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest

from headrace.access.principal import Principal
from headrace.errors import ConfigError, InvalidRequest
from headrace.pipeline.turn import Turn
from headrace.types import Message, Params
from tests.pipeline.tools.rig import ADA, called, opened, weather
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Answer, Asked, Cut, Hold, json_answer

ANSWER = Said(("It is ", "clear", " in Graz."))
CLIENTS: dict[str, object] = {
    "type": "function",
    "function": {"name": "book", "parameters": {"type": "object", "properties": {}}},
}


async def test_a_call_is_run_and_its_result_is_what_the_model_answers_from(tmp_path: Path) -> None:
    rounds = [called("weather", '{"city": "Graz am See/..", "days": 2}'), ANSWER]
    async with opened(tmp_path, rounds) as rig:
        turn = await rig.ask()
    assert turn.choices[0].text == "It is clear in Graz."
    assert turn.choices[0].finish_reason == "stop"
    assert turn.choices[0].tool_calls == []
    [asked] = rig.api.asked
    assert (asked.path, asked.query) == ("/weather/Graz%20am%20See%2F..", "units=metric&days=2")
    assert asked.headers["x-key"] == "s3cret-of-the-weather"
    said, result = rig.messages(1)[-2:]
    assert said["role"] == "assistant"
    assert result["tool_call_id"] == "call_1"
    assert '{"sky":"clear","celsius":21}' in str(result["content"])
    assert "s3cret" not in json.dumps([rig.asked(0), rig.asked(1)])


async def test_tokens_and_price_of_all_rounds_are_on_the_bill(tmp_path: Path) -> None:
    rounds = [called("weather", '{"city": "Graz"}'), called("weather", '{"city": "Linz"}'), ANSWER]
    async with opened(tmp_path, rounds) as rig:
        turn = await rig.ask(stream=True)
    assert (turn.usage.prompt_tokens, turn.usage.completion_tokens) == (57, 30)
    assert [each.usage for each in rig.deltas if each.usage] == [turn.usage]
    assert (turn.trace.prompt_tokens, turn.trace.completion_tokens) == (57, 30)
    assert turn.trace.cost_usd == pytest.approx(87e-6)
    assert turn.trace.tpot_s is None


async def test_only_the_last_round_is_shown_and_it_streams(tmp_path: Path) -> None:
    answer = Said(("word " * 40, "and ", "more ", "words."))
    async with opened(tmp_path, [called("weather", '{"city": "Graz"}'), answer]) as rig:
        turn = await rig.ask(stream=True)
    texts = [each.text for each in rig.deltas if each.text]
    assert texts == ["word " * 40, "and ", "more ", "words."]
    assert not any(each.tool_calls for each in rig.deltas)
    assert turn.choices[0].text == answer.text()


@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_model_says_before_a_call_is_not_shown(tmp_path: Path, stream: bool) -> None:
    preamble = {
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "Let me look that up.",
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Graz"}'},
                        }
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    async with opened(tmp_path, [ANSWER]) as rig:
        chunk = json.loads(json.dumps(preamble))
        chunk["choices"][0]["delta"] = chunk["choices"][0].pop("message")
        chunk["choices"][0]["delta"]["tool_calls"][0]["index"] = 0
        streamed = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
        rig.llm.script(
            Answer(200, [("content-type", "text/event-stream")], [streamed])
            if stream
            else json_answer(preamble)
        )
        turn = await rig.ask(stream=stream)
    assert turn.choices[0].text == "It is clear in Graz."
    assert rig.messages(1)[-2]["content"] == "Let me look that up."


async def test_a_text_too_long_for_a_preamble_stays_and_the_answer_begins_a_new_paragraph(
    tmp_path: Path,
) -> None:
    long = "The sky over Graz is a long story. " * 6
    call: dict[str, object] = {"index": 0, "id": "c", "type": "function"}
    call["function"] = {"name": "weather", "arguments": '{"city":"Graz"}'}
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": long}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"
    async with opened(tmp_path, [ANSWER]) as rig:
        rig.llm.script(Answer(200, [("content-type", "text/event-stream")], [body.encode()]))
        turn = await rig.ask(stream=True)
    assert turn.choices[0].text == f"{long}\n\nIt is clear in Graz."
    assert [each.finish_reason for each in rig.deltas if each.finish_reason] == ["stop"]


async def test_a_model_that_breaks_off_after_a_round_goes_on_with_what_is_known(
    tmp_path: Path,
) -> None:
    half = b'data: {"choices":[{"index":0,"delta":{"content":"It"}}]}\n\n'
    async with opened(tmp_path, [called("weather", '{"city": "Graz"}'), ANSWER]) as rig:
        answers = iter(
            [rig.answer, lambda asked: Answer(200, [], [half, Cut(reset=True)]), rig.answer]
        )

        def answer(asked: Asked) -> Answer:
            return next(answers)(asked)

        rig.llm.on("POST", "/v1/*", answer)
        turn = await rig.ask()
    assert turn.choices[0].text == "It is clear in Graz."
    assert len(rig.api.asked) == 1
    assert rig.messages(2) == rig.messages(1)
    assert len(rig.spans(turn)) == 1


async def test_after_the_last_round_the_model_may_call_nothing_and_has_to_answer(
    tmp_path: Path,
) -> None:
    rounds = [called("weather", f'{{"city": "C{at}"}}') for at in range(9)]
    generate = ": {tools: [weather], max_rounds: 3}"
    async with opened(tmp_path, rounds, generate=generate) as rig:
        turn = await rig.ask()
    assert len(rig.llm.asked) == 4
    assert len(rig.api.asked) == 3
    assert rig.asked(2).get("tool_choice") is None
    assert rig.asked(3)["tool_choice"] == "none"
    assert "Answer now" in rig.result(3)
    # This model calls all the same, so the words are the service's.
    assert turn.choices[0].text == "I could not find the answer in the steps that I may take."
    assert turn.choices[0].finish_reason == "stop"
    [span] = rig.spans(turn, "generate")
    assert span.attributes["headrace.tools.ended"] == "max_rounds"


async def test_tokens_bound_the_rounds(tmp_path: Path) -> None:
    rounds = [called("weather", f'{{"city": "C{at}"}}') for at in range(9)]
    generate = ": {tools: [weather], max_rounds: 9, rounds_max_tokens: 50}"
    async with opened(tmp_path, rounds, generate=generate) as rig:
        turn = await rig.ask()
    assert len(rig.llm.asked) == 3
    assert rig.spans(turn, "generate")[0].attributes["headrace.tools.ended"] == "max_tokens"


async def test_time_bounds_the_rounds_and_the_calls_in_them(tmp_path: Path) -> None:
    hold = Hold()
    generate = ": {tools: [weather], rounds_timeout_s: 0.5}"
    async with opened(
        tmp_path, [called("weather", '{"city": "Graz"}'), ANSWER], generate=generate
    ) as rig:
        rig.api.on("GET", "/weather/*", lambda asked: Answer(200, [], [hold]))
        turn = await rig.ask()
        hold.go_on.set()
    assert "no result within 0." in rig.result()
    assert rig.asked(1)["tool_choice"] == "none"
    assert turn.choices[0].text == "It is clear in Graz."
    assert rig.spans(turn, "generate")[0].attributes["headrace.tools.ended"] == "timeout"


async def test_the_same_call_twice_is_not_run_twice(tmp_path: Path) -> None:
    same = called("weather", '{"city": "Graz"}')
    async with opened(tmp_path, [same, same, ANSWER]) as rig:
        await rig.ask()
    assert len(rig.api.asked) == 1
    assert "made before" in rig.result(2)


async def test_several_calls_of_a_round_are_answered_each_in_order(tmp_path: Path) -> None:
    tools = tuple(Tool(f"c{at}", "weather", (f'{{"city": "C{at}"}}',)) for at in range(10))
    both = Said((), tools=tools, finish_reason="tool_calls")
    async with opened(tmp_path, [both, ANSWER]) as rig:
        turn = await rig.ask()
    results = [each for each in rig.messages(1) if each["role"] == "tool"]
    assert [each["tool_call_id"] for each in results] == [f"c{at}" for at in range(10)]
    assert len(rig.api.asked) == 8
    assert "at most 8 calls" in str(results[9]["content"])
    assert len(rig.spans(turn)) == 10


async def test_calls_of_the_clients_own_tools_pass_as_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path, [called("book", '{"seat": 4}', call="call_9")]) as rig:
        turn = await rig.ask(params=Params(tools=[CLIENTS]), stream=True)
    [call] = turn.choices[0].tool_calls
    assert (call.id, call.function.name, call.function.arguments) == (
        "call_9",
        "book",
        '{"seat": 4}',
    )
    assert turn.choices[0].finish_reason == "tool_calls"
    offered = [each["function"]["name"] for each in rig.asked(0)["tools"]]  # type: ignore[attr-defined]
    assert offered == ["book", "weather"]


async def test_of_a_mix_the_services_calls_are_run_and_the_client_is_asked_later(
    tmp_path: Path,
) -> None:
    mix = Said(
        (),
        tools=(Tool("a", "book", ("{}",)), Tool("b", "weather", ('{"city": "Graz"}',))),
        finish_reason="tool_calls",
    )
    async with opened(tmp_path, [mix, called("book", '{"seat": 1}', call="z")]) as rig:
        turn = await rig.ask(params=Params(tools=[CLIENTS]))
    calls = rig.messages(1)[-2]["tool_calls"]
    assert [each["id"] for each in calls] == ["b"]  # type: ignore[attr-defined]
    assert [each.id for each in turn.choices[0].tool_calls] == ["z"]


async def test_what_the_client_insists_on_holds_for_the_first_round_only(tmp_path: Path) -> None:
    async with opened(tmp_path, [called("weather", '{"city": "Graz"}'), ANSWER]) as rig:
        await rig.ask(params=Params(tool_choice="required"))
    assert [rig.asked(at)["tool_choice"] for at in (0, 1)] == ["required", "auto"]


async def test_a_client_that_wants_no_tools_gets_none(tmp_path: Path) -> None:
    async with opened(tmp_path, [ANSWER]) as rig:
        await rig.ask(params=Params(tool_choice="none"))
    assert "tools" not in rig.asked(0)


async def test_several_choices_and_a_name_that_is_taken_are_refused(tmp_path: Path) -> None:
    taken: dict[str, object] = {"type": "function", "function": {"name": "weather"}}
    async with opened(tmp_path, [ANSWER]) as rig:
        with pytest.raises(InvalidRequest, match="several choices") as refused:
            await rig.ask(params=Params(n=2))
        assert refused.value.param == "n"
        with pytest.raises(InvalidRequest, match="named 'weather'") as refused:
            await rig.ask(params=Params(tools=[taken]))
        assert refused.value.param == "tools[0].function.name"
    assert rig.llm.asked == []


async def test_a_client_that_goes_ends_the_call_that_runs(tmp_path: Path) -> None:
    hold = Hold()
    async with opened(tmp_path, [called("weather", '{"city": "Graz"}'), ANSWER]) as rig:
        rig.api.on("GET", "/weather/*", lambda asked: Answer(200, [], [hold]))
        assert rig.platform is not None
        turn = Turn(principal=ADA, messages=[Message(role="user", content="?")], stream=True)

        async def read() -> None:
            assert rig.platform is not None
            async with aclosing(rig.platform.service.pipeline.answer(turn)) as deltas:
                async for _ in deltas:
                    pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(hold.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(rig.api.asked[0].hung_up.wait, 10)
    assert turn.trace.status == "cancelled"
    assert [each.error for each in rig.spans(turn)] == ["cancelled"]
    assert len(rig.llm.asked) == 1


async def test_a_call_is_a_span_without_its_words_which_are_in_the_sealed_input(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, [called("weather", '{"city": "Graz"}'), ANSWER]) as rig:
        turn = await rig.ask()
    [span] = rig.spans(turn)
    assert span.attributes["gen_ai.operation.name"] == "execute_tool"
    assert span.attributes["gen_ai.tool.name"] == "weather"
    assert span.attributes["gen_ai.tool.type"] == "extension"
    assert span.attributes["gen_ai.tool.call.id"] == "call_1"
    assert span.parent is not None
    assert turn.trace.spans[span.parent].name == "generate"
    assert "Graz" not in str(span.attributes)
    kept = json.loads(turn.trace.input)
    assert [each["role"] for each in kept] == ["user", "assistant", "tool"]
    assert len(rig.spans(turn, "round")) == 2


async def test_a_tool_for_some_roles_is_not_offered_to_others(tmp_path: Path) -> None:
    tools = weather(more="    roles: ['team:sky']\n")
    async with opened(tmp_path, [ANSWER], tools=tools) as rig:
        await rig.ask()
        await rig.ask(principal=Principal("key-bo", "bo", "user", "sky"))
    assert "tools" not in rig.asked(0)
    assert "tools" in rig.asked(1)


async def test_a_template_says_which_tools_and_how_many_rounds(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "sky.yaml").write_text(
        "description: d\ntools: [weather]\nmax_rounds: 1\nmessages: {system: You know the sky.}\n"
    )
    (prompts / "plain.yaml").write_text("description: d\ntools: []\nmessages: {system: Hi.}\n")
    rounds = [called("weather", '{"city": "Graz"}'), ANSWER]
    before = "  - template: {name: plain}\n"
    async with opened(tmp_path, rounds, before=before, generate="") as rig:
        turn = await rig.ask(template="sky")
        await rig.ask()
    assert turn.choices[0].text == "It is clear in Graz."
    assert rig.asked(1)["tool_choice"] == "none"
    assert "tools" not in rig.asked(2)


async def test_earlier_turns_leave_room_for_what_the_tools_are_described_by(
    tmp_path: Path,
) -> None:
    rounds = [called("weather", '{"city": "Graz"}'), ANSWER]
    before = "  - ground\n"
    async with opened(tmp_path, rounds, before=before, model="context_tokens: 4000") as rig:
        turn = await rig.ask(conversation="c1")
        await rig.ask("And tomorrow?", conversation="c1")
    grounded = turn.state["ground"]
    assert isinstance(grounded, dict)
    described = len(json.dumps(rig.asked(0)["tools"], separators=(",", ":"))) - 2
    assert grounded["budget_tokens"] == 4000 - 512 - described
    # What the tools gave belongs to its turn; the conversation has question and answer.
    assert [each["role"] for each in rig.messages(2)] == ["user", "assistant", "user"]


async def test_a_template_that_allows_a_tool_there_is_not_is_an_error_with_its_place(
    tmp_path: Path,
) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "sky.yaml").write_text("description: d\ntools: [wether]\nmessages: {system: Hi.}\n")
    with pytest.raises(
        ConfigError, match=r"sky\.yaml:2: tools: no tool is called 'wether'"
    ) as error:
        async with opened(tmp_path, [ANSWER], before="  - template: {name: sky}\n"):
            pass
    assert error.value.hint == "did you mean 'weather'?"


async def test_a_pipeline_that_allows_a_tool_there_is_not_is_an_error_with_its_place(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"headrace\.yaml:\d+: .*no tool is called 'wether'"):
        async with opened(tmp_path, [ANSWER], generate=": {tools: [wether]}"):
            pass
