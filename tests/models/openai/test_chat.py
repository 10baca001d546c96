"""A chat with a server that speaks OpenAI's protocol to the letter."""

import asyncio

import pytest

from headrace.models.backend import ListedModel, RateLimits
from headrace.types import FunctionCall, Message, TokenLogprob, ToolCall, Usage
from tests.models.openai.conftest import Serve
from tests.models.reading import ask, calls_of, collect, finish_of, text_of, usage_of
from tests.upstreams.openai import FakeOpenAI
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Answer, Hold, Server

HELLO = "你好，水车! Hello"
USAGE = Usage(19, 10, cached_tokens=16, reasoning_tokens=3)
CITY = Tool("call_DdmO9pD3xa9XTPNJ32zg2hcA", "weather", ('{"ci', 'ty": "海', '牙"}'))
TIME = Tool("call_XQbNxdBzQUhHGzOYZ9wVrpVy", "clock", ("{}",))


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_text_finish_and_usage_arrive(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI().mount(upstream)
    deltas = await collect(await serve(), ask(stream=stream))
    assert text_of(deltas) == HELLO
    assert finish_of(deltas) == {0: "stop"}
    assert usage_of(deltas) == USAGE
    assert deltas[-1].usage is not None, "usage comes last"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_tool_calls_arrive_whole(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(tools=(CITY, TIME), finish_reason="tool_calls")]).mount(upstream)
    deltas = await collect(await serve(), ask(stream=stream))
    assert calls_of(deltas) == [
        (CITY.id, "weather", '{"city": "海牙"}'),
        (TIME.id, "clock", "{}"),
    ]
    assert finish_of(deltas) == {0: "tool_calls"}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_refusal_is_kept_apart(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(pieces=(), refusal=("I'm sorry", ", no."))]).mount(upstream)
    deltas = await collect(await serve(), ask(stream=stream))
    assert "".join(each.refusal for each in deltas) == "I'm sorry, no."
    assert text_of(deltas) == ""


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_several_choices_keep_their_index(
    upstream: Server, serve: Serve, stream: bool
) -> None:
    FakeOpenAI([Said(("one", " two")), Said(("uno",), finish_reason="length")]).mount(upstream)
    deltas = await collect(await serve(), ask(stream=stream, n=2))
    assert (text_of(deltas, 0), text_of(deltas, 1)) == ("one two", "uno")
    assert finish_of(deltas) == {0: "stop", 1: "length"}
    assert usage_of(deltas).completion_tokens == 20


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_log_probabilities_arrive(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(("水",))]).mount(upstream)
    deltas = await collect(await serve(), ask(stream=stream, logprobs=True, top_logprobs=2))
    tokens = [token for each in deltas for token in each.logprobs or ()]
    water = list("水".encode())
    top = [TokenLogprob("水", -0.25, water), TokenLogprob(" other", -1.5, list(b" other"))]
    assert tokens == [TokenLogprob("水", -0.25, water, top)]
    assert upstream.asked[0].json()["top_logprobs"] == 2


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_bare_prompt_is_continued(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(("Once", " upon"), finish_reason="length")]).mount(upstream)
    backend = await serve()
    deltas = await collect(
        backend, ask(stream=stream, completion=True, logprobs=True, max_tokens=2)
    )
    assert text_of(deltas) == "Once upon"
    assert [token.token for each in deltas for token in each.logprobs or ()] == ["Once", " upon"]
    sent = upstream.asked[0].json()
    assert (sent["prompt"], sent["max_tokens"], sent["logprobs"]) == ("Say hello", 2, 0)


async def test_what_is_asked_goes_in_openais_words(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    schema: dict[str, object] = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form: dict[str, object] = {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": schema, "strict": True},
    }
    tool: dict[str, object] = {"type": "function", "function": {"name": "clock", "parameters": {}}}
    picture: dict[str, object] = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
    }
    call = ask(
        Message("developer", "Be brief."),
        Message("user", [{"type": "text", "text": "What is this?"}, picture], name="Ada"),
        Message("assistant", tool_calls=[ToolCall("call_1", FunctionCall("clock", "{}"))]),
        Message("tool", "12:00", tool_call_id="call_1"),
        temperature=0.5,
        max_tokens=7,
        stop=["\n"],
        seed=3,
        response_format=form,
        tools=[tool],
        tool_choice="required",
        parallel_tool_calls=False,
        logit_bias={"50256": -100},
        extra={"reasoning_effort": "low", "store": False},
    )
    await collect(await serve(), call)
    assert upstream.asked[0].json() == {
        "model": "gpt-4.1-mini-2025-04-14",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "name": "Ada",
                "content": [{"type": "text", "text": "What is this?"}, picture],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "clock", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "content": "12:00", "tool_call_id": "call_1"},
        ],
        "temperature": 0.5,
        "max_completion_tokens": 7,
        "stop": ["\n"],
        "seed": 3,
        "response_format": form,
        "tools": [tool],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "logit_bias": {"50256": -100},
        "reasoning_effort": "low",
        "store": False,
    }


async def test_key_organization_and_project_go_in_headers(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    await collect(await serve(organization="org-1", project="proj-2", headers={"x-team": "a"}))
    headers = upstream.asked[0].headers
    assert headers["openai-organization"] == "org-1"
    assert headers["openai-project"] == "proj-2"
    assert headers["x-team"] == "a"


async def test_limits_are_those_of_the_latest_response(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    backend = await serve()
    assert backend.rate_limits is None
    await collect(backend)
    assert backend.rate_limits == RateLimits(
        requests_limit=5000,
        requests_remaining=4999,
        requests_reset_s=0.012,
        tokens_limit=160000,
        tokens_remaining=159976,
        tokens_reset_s=360.0,
    )


async def test_vectors_come_in_the_order_of_the_inputs(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    made = await (await serve()).embed(["one", "three"])
    assert made.vectors == [[3.0, 0.5, -1.0], [5.0, 0.5, -1.0]]
    assert made.usage == Usage(8, 0)


async def test_models_are_listed_with_their_last_day(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    listed = await (await serve()).listed()
    assert listed[1] == ListedModel(id="gpt-4-0613", shutdown_date="2027-02-01")


async def test_a_reader_that_leaves_hangs_up(upstream: Server, serve: Serve) -> None:
    hold = Hold()
    first = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    upstream.script(Answer(200, [("content-type", "text/event-stream")], [first, hold]))
    deltas = (await serve()).generate(ask())
    assert (await anext(deltas)).text == "a"
    await deltas.aclose()
    assert await asyncio.to_thread(upstream.asked[0].hung_up.wait, 10)


async def test_marks_for_anthropics_cache_are_left_out(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    mark = {"type": "ephemeral"}
    parts: list[dict[str, object]] = [{"type": "text", "text": "Hi", "cache_control": mark}]
    tool = {"type": "function", "function": {"name": "clock"}, "cache_control": mark}
    await collect(await serve(), ask(Message("user", parts), tools=[tool]))
    sent = upstream.asked[-1].body
    assert b"cache_control" not in sent
    assert b'"text":"Hi"' in sent
