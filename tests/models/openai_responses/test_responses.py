"""Answers through `/responses`: the same deltas as through the older protocol."""

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PolicyBlocked,
)
from headrace.models.errors import DeploymentThrottled
from headrace.models.openai.errors import Site
from headrace.models.openai.quirk import Quirks
from headrace.models.openai_responses.stream import ResponseReader, deltas_of_response
from headrace.models.openai_responses.wire import ResponsesWire
from headrace.types import Delta, FunctionCall, Message, ToolCall, Usage
from tests.models.openai.conftest import Serve
from tests.models.reading import ask, calls_of, collect, cut, finish_of, read, text_of, usage_of
from tests.upstreams.openai import MODEL, FakeOpenAI
from tests.upstreams.openai_responses import response_events
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Answer, Server

HELLO = "你好，水车! Hello"
SITE = Site(provider="OpenAI", model=MODEL)
CITY = Tool("call_DdmO9pD3xa9XTPNJ32zg2hcA", "weather", ('{"ci', 'ty": "海', '牙"}'))
TIME = Tool("call_XQbNxdBzQUhHGzOYZ9wVrpVy", "clock", ("{}",))


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_text_thoughts_and_usage_arrive(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(thoughts=("First.", "Then."))]).mount(upstream)
    deltas = await collect(await serve(api="responses"), ask(stream=stream))
    assert text_of(deltas) == HELLO
    assert "".join(each.reasoning for each in deltas) == "First.\n\nThen."
    assert finish_of(deltas) == {0: "stop"}
    assert usage_of(deltas) == Usage(36, 87, 12, 4, 64)
    assert deltas[-1].usage is not None, "usage comes last"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_tool_calls_arrive_whole(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(thoughts=("Hm.",), tools=(CITY, TIME))]).mount(upstream)
    deltas = await collect(await serve(api="responses"), ask(stream=stream))
    assert calls_of(deltas) == [
        (CITY.id, "weather", '{"city": "海牙"}'),
        (TIME.id, "clock", "{}"),
    ]
    assert finish_of(deltas) == {0: "tool_calls"}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_refusal_is_kept_apart(upstream: Server, serve: Serve, stream: bool) -> None:
    FakeOpenAI([Said(refusal=("I'm sorry", ", no."))]).mount(upstream)
    deltas = await collect(await serve(api="responses"), ask(stream=stream))
    assert "".join(each.refusal for each in deltas) == "I'm sorry, no."
    assert text_of(deltas) == ""


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_incomplete_response_says_why(
    upstream: Server, serve: Serve, stream: bool, reason: str
) -> None:
    FakeOpenAI([Said(finish_reason=reason)]).mount(upstream)
    deltas = await collect(await serve(api="responses"), ask(stream=stream))
    assert (text_of(deltas), finish_of(deltas)) == (HELLO, {0: reason})


def sent(*messages: Message, **params: object) -> dict[str, object]:
    """The body that is sent."""
    body = ResponsesWire(SITE, Quirks()).generate(ask(*messages, **params)).body  # type: ignore[arg-type]
    return msgspec.json.decode(body, type=dict[str, object])


def test_what_is_asked_goes_in_this_protocols_words() -> None:
    picture: dict[str, object] = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
    file: dict[str, object] = {"type": "file", "file": {"file_id": "file-1"}}
    function = {"name": "clock", "description": "Time", "parameters": {"type": "object"}}
    body = sent(
        Message("system", "Be brief."),
        Message("user", [{"type": "text", "text": "What is this?"}, picture, file]),
        Message(
            "assistant", "Let me see.", tool_calls=[ToolCall("c1", FunctionCall("clock", "{}"))]
        ),
        Message("tool", "12:00", tool_call_id="c1"),
        temperature=0.5,
        max_tokens=7,
        n=1,
        seed=3,
        logprobs=True,
        top_logprobs=2,
        tools=[{"type": "function", "function": function}, {"type": "web_search"}],
        tool_choice={"type": "function", "function": {"name": "clock"}},
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
        },
        extra={"reasoning_effort": "low", "verbosity": "low", "metadata": {"a": "b"}},
    )
    assert body == {
        "model": MODEL,
        "stream": True,
        "store": False,
        "input": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": "https://a/b.png", "detail": "auto"},
                    {"type": "input_file", "file_id": "file-1"},
                ],
            },
            {"role": "assistant", "content": "Let me see."},
            {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "12:00"},
        ],
        "temperature": 0.5,
        "max_output_tokens": 7,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "tools": [{"type": "function", "strict": False, **function}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "clock"},
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "a",
                "schema": {"type": "object"},
                "strict": True,
            },
        },
        "reasoning": {"effort": "low"},
        "metadata": {"a": "b"},
    }


def test_a_choice_among_tools_is_put_into_its_words() -> None:
    function: dict[str, object] = {"type": "function", "function": {"name": "clock"}}
    allowed: dict[str, object] = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [function]},
    }
    assert sent(tools=[function], tool_choice=allowed)["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "clock"}],
    }
    assert sent(tools=[function], tool_choice="required")["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"n": 2}, "n"),
        ({"stop": ["x"]}, "stop"),
        ({"logit_bias": {"1": 1.0}}, "logit_bias"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"completion": True}, "prompt"),
        ({"extra": {"audio": {"voice": "a"}}}, "audio"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"extra": {"reasoning_effort": 3}}, "reasoning_effort"),
    ],
)
def test_what_the_protocol_has_not_is_refused_by_name(
    params: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(**params)
    assert refused.value.param == field


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "image_url", "image_url": "https://a"},
        {"type": "file"},
    ],
)
def test_a_part_that_cannot_be_sent_is_named(part: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(Message("user", [part]))
    assert refused.value.param == "messages[0].content[0]"


def stream_of(said: Said, keep: Callable[[str], bool] = lambda _: True) -> bytes:
    """A stream as the server sends it, without some kinds of event."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))
        for event in response_events(said, MODEL)
        if keep(str(event["type"]))
    )


def deltas_of(*packets: bytes) -> list[Delta]:
    return read(ResponseReader(SITE), packets)


def gathered(deltas: list[Delta]) -> tuple[str, str, str, list[tuple[str, str, str]]]:
    return (
        text_of(deltas),
        "".join(each.reasoning for each in deltas),
        "".join(each.refusal for each in deltas),
        calls_of(deltas),
    )


SAID = {
    "text": Said(thoughts=("a", "b")),
    "refusal": Said(refusal=("no",)),
    "calls": Said(thoughts=("a",), tools=(CITY, TIME)),
}


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        (said, missing)
        for said in SAID
        for missing in ("delta", "done", "added", "delta done", "delta done added")
        # Arguments of a call that never began are a broken stream.
        if (said, missing) != ("calls", "added")
    ],
)
def test_nothing_is_lost_or_said_twice_where_events_are_missing(said: str, missing: str) -> None:
    """Perplexity and others leave out what the last event says once more."""
    ends = tuple(f".{word}" for word in missing.split())
    full = gathered(deltas_of(stream_of(SAID[said])))
    kept = stream_of(SAID[said], lambda kind: not kind.endswith(ends))
    assert gathered(deltas_of(kept)) == full


def test_arguments_of_a_call_that_never_began_break_off() -> None:
    stream = stream_of(Said(tools=(CITY,)), lambda kind: not kind.endswith("item.added"))
    with pytest.raises(ModelUnavailable, match="not begun"):
        deltas_of(stream)


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        (
            '{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}',
            DeploymentThrottled,
            "slow down",
        ),
        (
            (
                '{"type":"error","error":{"type":"invalid_request_error","code":'
                '"context_length_exceeded","message":"Your input exceeds the context window"}}'
            ),
            ContextTooLong,
            "exceeds the context window",
        ),
        (
            (
                '{"type":"response.failed","response":{"status":"failed","output":[],"error":'
                '{"code":"server_error","message":"The model failed to generate a response."}}}'
            ),
            ModelUnavailable,
            "failed to generate",
        ),
        (
            (
                '{"type":"response.failed","response":{"status":"failed","error":'
                '{"code":"bio_policy","message":"no"}}}'
            ),
            PolicyBlocked,
            "content filter",
        ),
        (
            '{"type":"response.cancelled","response":{"status":"cancelled"}}',
            ModelUnavailable,
            "cancelled",
        ),
        ('{"type":"response.completed"}', ModelUnavailable, "without a word"),
        ("{", ModelUnavailable, "unreadable"),
    ],
)
def test_a_failure_in_mid_stream_is_told(event: str, kind: type[HeadraceError], words: str) -> None:
    reader = ResponseReader(SITE)
    begin = (
        b'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,'
        b'"delta":"Hi","logprobs":[]}\n\n'
    )
    assert text_of(reader.feed(begin)) == "Hi"
    with pytest.raises(HeadraceError, match=words) as failed:
        list(reader.feed(f"data: {event}\n\n".encode()))
    assert type(failed.value) is kind


def test_events_nobody_knows_and_comments_are_passed_over() -> None:
    odd = b': keep-alive\n\nevent: response.ping\ndata: {"type":"response.ping"}\n\n'
    whole = stream_of(Said())
    assert deltas_of(odd, whole, b"data: [DONE]\n\n") == deltas_of(whole)
    assert deltas_of(whole.rstrip()) == deltas_of(whole)


def test_log_probabilities_arrive() -> None:
    event = (
        b'data: {"type":"response.output_text.delta","delta":"Hi","logprobs":'
        b'[{"token":"Hi","logprob":-0.5,"top_logprobs":[{"token":"Ho","logprob":-1.0}]}]}\n\n'
    )
    (delta,) = ResponseReader(SITE).feed(event)
    assert delta.logprobs is not None
    assert (delta.logprobs[0].token, delta.logprobs[0].top_logprobs[0].token) == ("Hi", "Ho")


def test_an_end_without_completion_breaks_off() -> None:
    stream = stream_of(Said(), lambda kind: kind != "response.completed")
    for end in (b"", b"data: [DONE]\n\n"):
        with pytest.raises(ModelUnavailable, match="too early"):
            deltas_of(stream, end)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}', DeploymentThrottled),
        (b'{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"a"}}', ModelUnavailable),
        (b"<html>", ModelUnavailable),
        (b"{}", ModelUnavailable),
        (b'{"output":7}', ModelUnavailable),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_response_is_told(
    upstream: Server, serve: Serve, body: bytes, kind: type[HeadraceError]
) -> None:
    backend = await serve(api="responses")
    for stream in (True, False):
        upstream.script(Answer(200, (), body))
        with pytest.raises(HeadraceError) as failed:
            await collect(backend, ask(stream=stream))
        assert type(failed.value) is kind


async def test_tools_that_ran_at_the_provider_are_read_over() -> None:
    body = (
        b'{"id":"resp_1","status":"completed","output":[{"type":"web_search_call","id":"ws_1",'
        b'"status":"completed","action":{"type":"search","query":"a"}},{"type":"tool_search_call",'
        b'"arguments":{"a":1}},{"type":"custom_tool_call","call_id":"c1","name":"sql","input":'
        b'"select 1"},{"type":"message","role":"assistant","content":[{"type":"output_text",'
        b'"text":"Done.","annotations":[{"type":"url_citation"}]}]}]}'
    )
    deltas = list(deltas_of_response(body, SITE))
    assert (text_of(deltas), calls_of(deltas)) == ("Done.", [("c1", "sql", "select 1")])


STREAM = (
    b": ping\r\n\r\n" + stream_of(Said(thoughts=("嗯",), tools=(CITY, TIME))) + b"data: [DONE]\n\n"
)


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_deltas_do_not_depend_on_where_packets_split(cuts: list[int]) -> None:
    assert deltas_of(*cut(STREAM, cuts)) == deltas_of(STREAM)


@given(at=st.integers(0, len(STREAM) - 1), byte=st.integers(0, 255))
def test_a_byte_that_is_wrong_is_read_or_told(at: int, byte: int) -> None:
    with contextlib.suppress(HeadraceError):
        deltas_of(STREAM[:at] + bytes([byte]) + STREAM[at + 1 :])
