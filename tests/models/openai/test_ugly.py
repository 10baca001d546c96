"""Streams as they come from real servers: odd, cut, broken off. Byte for byte."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ContextTooLong, HeadraceError, ModelUnavailable, PolicyBlocked
from headrace.models.errors import DeploymentThrottled
from headrace.models.openai.errors import Site
from headrace.models.openai.stream import ChatReader
from headrace.models.sse import MAX_EVENT_BYTES
from headrace.types import Delta
from tests.models.openai.conftest import Serve
from tests.models.reading import ask, calls_of, collect, cut, finish_of, read, text_of, usage_of
from tests.upstreams.server import Answer, Cut, Piece, Server

SITE = Site(provider="OpenAI", model="gpt-4.1", secret="sk-secret")
STREAM = ("content-type", "text/event-stream")
DONE = b"data: [DONE]\n\n"


def chunk(delta: str, finish: str = "null", more: str = "") -> bytes:
    """A chunk as OpenAI writes it."""
    return (
        'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"m",'
        f'"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]{more}}}\n\n'
    ).encode()


HI = chunk('{"content":"Hi"}')
END = chunk("{}", '"stop"')
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'


def deltas_of(*packets: bytes) -> list[Delta]:
    return read(ChatReader(SITE), packets)


def test_comments_that_keep_alive_are_passed_over() -> None:
    said = deltas_of(b": ping\n\n", HI, b": OPENROUTER PROCESSING\n\n:\n\n", END, DONE)
    assert text_of(said) == "Hi"


def test_lines_may_end_in_cr_lf() -> None:
    stream = b"".join([HI, END, USAGE, DONE]).replace(b"\n", b"\r\n")
    assert deltas_of(stream) == deltas_of(HI, END, USAGE, DONE)


def test_a_letter_may_be_cut_in_two() -> None:
    stream = chunk('{"content":"水车"}') + END + DONE
    at = stream.index("水".encode()) + 1
    assert text_of(deltas_of(stream[:at], stream[at:])) == "水车"


def test_usage_that_counts_nothing_takes_nothing_back() -> None:
    empty = b'data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n'
    assert usage_of(deltas_of(HI, END, USAGE, empty, DONE)).prompt_tokens == 3


def test_usage_may_come_in_every_chunk() -> None:
    growing = [
        chunk('{"content":"a"}', more=f',"usage":{{"prompt_tokens":3,"completion_tokens":{n}}}')
        for n in (1, 2)
    ]
    said = deltas_of(*growing, END, DONE)
    assert usage_of(said).completion_tokens == 2
    assert said[-1].usage is not None


@pytest.mark.parametrize(
    "last",
    [
        chunk("{}", '"stop"', ',"usage":{"prompt_tokens":3,"completion_tokens":2}'),
        chunk(
            "{}", '"stop"', ',"x_groq":{"id":"r","usage":{"prompt_tokens":3,"completion_tokens":2}}'
        ),
        (
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop",'
            b'"usage":{"prompt_tokens":3,"completion_tokens":2}}]}\n\n'
        ),
        END + b'data: {"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
        END + USAGE,
    ],
    ids=["beside the last choice", "x_groq", "in the choice", "without choices", "OpenAI"],
)
def test_usage_is_found_wherever_it_stands(last: bytes) -> None:
    usage = usage_of(deltas_of(HI, last, DONE))
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 2)


def test_empty_deltas_say_nothing() -> None:
    empty = [
        chunk('{"role":"assistant","content":""}'),
        chunk('{"content":null,"refusal":null,"tool_calls":null}'),
        chunk("null"),
        b'data: {"choices":[]}\n\n',
        b'data: {"id":"","object":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
    ]
    assert deltas_of(*empty, HI, END, DONE) == deltas_of(HI, END, DONE)


def test_the_end_mark_may_be_missing_behind_a_finish_reason() -> None:
    assert finish_of(deltas_of(HI, END)) == {0: "stop"}
    assert usage_of(deltas_of(HI, END, USAGE.rstrip())).prompt_tokens == 3
    assert text_of(deltas_of(HI, END, b'data: {"choi')) == "Hi"


def test_an_end_mark_without_a_finish_reason_is_an_end() -> None:
    assert finish_of(deltas_of(HI, DONE)) == {0: "stop"}


@pytest.mark.parametrize("packets", [(HI,), (), (b": ping\n\n",), (DONE,), (HI, b"data: {")])
def test_an_end_without_a_finish_reason_breaks_off(packets: tuple[bytes, ...]) -> None:
    with pytest.raises(ModelUnavailable, match=r"too early|unreadable"):
        deltas_of(*packets)


def test_one_of_two_choices_that_does_not_finish_breaks_off() -> None:
    second = HI.replace(b'"index":0', b'"index":1')
    with pytest.raises(ModelUnavailable, match="too early"):
        deltas_of(HI, second, END)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("model_length", "length"),
        ("sensitive", "content_filter"),
        ("whatever comes next", "stop"),
    ],
)
def test_finish_reasons_are_put_into_openais_words(reason: str, finish: str) -> None:
    assert finish_of(deltas_of(HI, chunk("{}", f'"{reason}"'), DONE)) == {0: finish}


@pytest.mark.parametrize(
    "reason", ["error", "network_error", "insufficient_system_resource", "abort"]
)
def test_a_finish_reason_that_says_failure_is_one(reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        deltas_of(HI, chunk("{}", f'"{reason}"'), DONE)


def test_a_finish_reason_that_is_repeated_counts_once() -> None:
    said = deltas_of(HI, END, END, DONE)
    assert [each.finish_reason for each in said] == [None, "stop"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_kept_apart(name: str) -> None:
    said = deltas_of(chunk(f'{{"{name}":"Hm.","content":null}}'), HI, END, DONE)
    assert ("".join(each.reasoning for each in said), text_of(said)) == ("Hm.", "Hi")


def test_thoughts_may_come_as_parts() -> None:
    parts = (
        '{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},'
        '{"type":"text","text":"Hi"}]}'
    )
    said = deltas_of(chunk(parts), END, DONE)
    assert (said[0].reasoning, said[0].text) == ("Hm.", "Hi")


def tool(fragment: str) -> bytes:
    return chunk(f'{{"tool_calls":[{fragment}]}}')


CALLED = chunk("{}", '"tool_calls"')


@pytest.mark.parametrize(
    "fragments",
    [
        (
            '{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}',
            '{"index":0,"function":{"arguments":"{\\"x\\":"}}',
            '{"index":0,"function":{"arguments":"1}"}}',
            '{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}',
        ),
        (
            '{"id":"a","function":{"name":"f","arguments":"{\\"x\\":"}}',
            '{"function":{"arguments":"1}"}}',
            '{"id":"b","function":{"name":"g","arguments":"{}"}}',
        ),
        (
            '{"index":0,"id":"a","function":{"name":"f","arguments":"{\\"x\\":1}"}}',
            '{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}',
        ),
        (
            '{"index":0,"id":"a","function":{"name":"f","arguments":"{\\"x\\":"}}',
            '{"index":0,"function":{"arguments":"1}"}}',
            '{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}',
            '{"index":0,"function":{"arguments":"}"}}',
        ),
        (
            '{"index":0,"id":"a","function":{"name":"f","arguments":"{\\"x\\":"}}',
            '{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}',
            '{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}',
            '{"index":1,"id":"","function":{"name":null,"arguments":""}}',
        ),
        (
            '{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}',
            '{"index":1,"id":"b","function":{"name":"g","arguments":{}}}',
        ),
        (
            '{"index":1,"id":"a","function":{"name":"f","arguments":"{\\"x\\":1}"}}',
            '{"index":2,"id":"b","function":{"name":"g","arguments":"{}"}}',
        ),
    ],
    ids=["OpenAI", "no index", "one index", "one, cut", "name repeated", "objects", "from one"],
)
def test_calls_are_put_together_however_they_are_cut(fragments: tuple[str, ...]) -> None:
    said = deltas_of(*(tool(each) for each in fragments), CALLED, DONE)
    calls = [(call, name, arguments.replace(" ", "")) for call, name, arguments in calls_of(said)]
    assert calls == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_a_call_without_an_id_is_given_one() -> None:
    packets = [tool('{"index":0,"function":{"name":"f","arguments":"{}"}}'), CALLED, DONE]
    first, again = calls_of(deltas_of(*packets)), calls_of(deltas_of(*packets))
    assert first == again
    assert first[0][0].startswith("call_")
    other = [each.replace(b"chatcmpl-9", b"chatcmpl-8") for each in packets]
    assert calls_of(deltas_of(*other)) != first


def test_the_older_function_call_is_a_tool_call() -> None:
    said = deltas_of(
        chunk('{"function_call":{"name":"f","arguments":""}}'),
        chunk('{"function_call":{"arguments":"{}"}}'),
        chunk("{}", '"function_call"'),
        DONE,
    )
    assert [(name, arguments) for _, name, arguments in calls_of(said)] == [("f", "{}")]
    assert finish_of(said) == {0: "tool_calls"}


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        (
            '{"error":{"message":"The server had an error","type":"server_error","code":null}}',
            ModelUnavailable,
            "The server had an error",
        ),
        ('{"error":"upstream gone"}', ModelUnavailable, "upstream gone"),
        (
            (
                '{"object":"error","message":"CUDA out of memory","type":"InternalServerError",'
                '"param":null,"code":500}'
            ),
            ModelUnavailable,
            "CUDA",
        ),
        (
            (
                '{"id":"gen-1","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],'
                '"error":{"code":"server_error","message":"Provider disconnected unexpectedly"}}'
            ),
            ModelUnavailable,
            "disconnected",
        ),
        (
            '{"choices":[{"index":0,"delta":{},"error":{"code":429,"message":"Rate limited"}}]}',
            DeploymentThrottled,
            "Rate limited",
        ),
        (
            (
                '{"error":{"message":"Rate limit reached. Please try again in 20ms.",'
                '"type":"tokens","code":"rate_limit_exceeded"}}'
            ),
            DeploymentThrottled,
            "20ms",
        ),
        (
            (
                '{"error":{"message":"This model\'s maximum context length is 8192 tokens. However, '
                'your messages resulted in 8227 tokens.","code":"context_length_exceeded"}}'
            ),
            ContextTooLong,
            "8227",
        ),
        (
            (
                '{"error":{"code":"data_inspection_failed","message":"Output data may contain '
                'inappropriate content."}}'
            ),
            PolicyBlocked,
            "content filter",
        ),
        ("not json", ModelUnavailable, "unreadable"),
        ('{"choices":[{"delta":7}]}', ModelUnavailable, "unreadable"),
    ],
)
def test_a_failure_in_mid_stream_is_told(event: str, kind: type[HeadraceError], words: str) -> None:
    reader = ChatReader(SITE)
    assert text_of(reader.feed(HI)) == "Hi"
    with pytest.raises(HeadraceError, match=words) as failed:
        list(reader.feed(f"data: {event}\n\n".encode()))
    assert type(failed.value) is kind


async def test_an_error_body_with_status_200_is_an_error(upstream: Server, serve: Serve) -> None:
    body = b'{"error":{"message":"Rate limit exceeded","code":429}}'
    backend = await serve()
    for stream in (True, False):
        upstream.script(Answer(200, [("content-type", "application/json")], body))
        with pytest.raises(DeploymentThrottled, match="Rate limit exceeded"):
            await collect(backend, ask(stream=stream))


async def test_a_whole_answer_to_a_streamed_question_is_taken(
    upstream: Server, serve: Serve
) -> None:
    body = (
        b'\n\n\n {"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    )
    backend = await serve()
    for stream in (True, False):
        upstream.script(Answer(200, (), body))
        said = await collect(backend, ask(stream=stream))
        assert (text_of(said), usage_of(said).prompt_tokens) == ("Hi", 3)


async def test_a_page_instead_of_a_stream_is_said_plainly(upstream: Server, serve: Serve) -> None:
    upstream.script(Answer(200, [("content-type", "text/html")], b"<!doctype html><p>Welcome"))
    with pytest.raises(ModelUnavailable, match="sent a page instead of an answer"):
        await collect(await serve())


@pytest.mark.parametrize("piece", [Cut(), Cut(reset=True)], ids=["closed", "reset"])
async def test_a_connection_that_breaks_off_is_told(
    upstream: Server, serve: Serve, piece: Piece
) -> None:
    upstream.script(Answer(200, [STREAM], [HI, piece]))
    with pytest.raises(ModelUnavailable):
        await collect(await serve())


async def test_a_body_that_ends_with_its_connection_is_read(upstream: Server, serve: Serve) -> None:
    upstream.script(Answer(200, [STREAM], [HI, END, USAGE, DONE], "close"))
    assert text_of(await collect(await serve())) == "Hi"


def test_an_event_without_an_end_is_refused() -> None:
    reader = ChatReader(SITE)
    packet = b"data: " + b"x" * (1 << 20)
    with pytest.raises(ModelUnavailable, match="sent too much"):
        for _ in range(MAX_EVENT_BYTES // len(packet) + 2):
            list(reader.feed(packet))


WHOLE = b"".join(
    [
        b": ping\r\n\r\n",
        chunk('{"role":"assistant","content":""}'),
        chunk('{"reasoning_content":"嗯…"}').replace(b"\n", b"\r\n"),
        chunk('{"content":"水车 🎡"}'),
        tool('{"id":"a","function":{"name":"f","arguments":"{\\"x\\":"}}'),
        tool('{"function":{"arguments":"1}"}}'),
        CALLED,
        USAGE,
        DONE,
    ]
)


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_deltas_do_not_depend_on_where_packets_split(cuts: list[int]) -> None:
    assert deltas_of(*cut(WHOLE, cuts)) == deltas_of(WHOLE)


@given(cuts=st.lists(st.integers(0, 400), max_size=6), data=st.binary(max_size=400))
def test_whatever_comes_is_deltas_or_a_failure(cuts: list[int], data: bytes) -> None:
    def outcome(packets: list[bytes]) -> list[Delta] | str:
        try:
            return deltas_of(*packets)
        except HeadraceError as error:
            return type(error).__name__

    whole = b"data: " + data
    assert outcome(cut(whole, [min(each, len(whole)) for each in cuts])) == outcome([whole])


@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_byte_that_is_wrong_is_read_or_told(at: int, byte: int) -> None:
    with contextlib.suppress(HeadraceError):
        deltas_of(WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", ["arguments", "message"])
async def test_what_is_nested_without_end_is_unreadable(
    upstream: Server, serve: Serve, stream: bool, name: str
) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    if name == "arguments":
        call = b'{"tool_calls":[{"function":{"arguments":{"a":' + deep + b"}}}]}"
        body = b'{"choices":[{"delta":' + call + b',"message":' + call + b"}]}"
    else:
        body = b'{"error":{"message":' + deep + b"}}"
    upstream.script(Answer(200, [STREAM], b"data: " + body + b"\n\n" if stream else body))
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await collect(await serve(), ask(stream=stream))
