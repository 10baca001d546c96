"""Converse's streams, as deltas, however they are cut; and what goes wrong in them."""

import base64
import itertools
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.bedrock.stream import ConverseReader, deltas_of_converse
from headrace.models.dialect.carried import bare_id, payload_of
from headrace.models.errors import DeploymentThrottled
from headrace.types import Delta, Usage
from tests.upstreams.bedrock import BedrockUpstream, event, exception, message
from tests.upstreams.gathered import fed, gathered
from tests.upstreams.server import Server

THOUGHT: dict[str, object] = {
    "reasoningContent": {"reasoningText": {"text": "Wo? 在哪里?", "signature": "EqQB"}}
}
SEALED: dict[str, object] = {"reasoningContent": {"redactedContent": "EmwKAhgB"}}
FULL: list[dict[str, object]] = [
    THOUGHT,
    SEALED,
    {"text": "Ich sehe nach: 北京 🌤"},
    {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "北京"}}},
    {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}},
]


def upstream(content: list[dict[str, object]] | None = None, **fields: object) -> BedrockUpstream:
    made = BedrockUpstream(Server())
    if content is not None:
        made.content = content
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def read(packets: Iterable[bytes], *, forced_json: bool = False) -> list[Delta]:
    return fed(ConverseReader(model="claude", forced_json=forced_json), packets)


FULL_STREAM = b"".join(upstream(FULL, stop_reason="tool_use").events())


@given(cuts=st.lists(st.integers(0, len(FULL_STREAM)), max_size=8))
def test_the_answer_does_not_depend_on_where_packets_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(FULL_STREAM)]
    packets = [FULL_STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert read(packets) == read([FULL_STREAM])


@given(at=st.integers(0, len(FULL_STREAM) - 1), flip=st.integers(1, 255))
def test_a_damaged_byte_is_never_an_answer(at: int, flip: int) -> None:
    damaged = bytearray(FULL_STREAM)
    damaged[at] ^= flip
    with pytest.raises(ModelUnavailable):
        read([bytes(damaged)])


def test_text_thoughts_and_tool_calls() -> None:
    choice, usage = gathered(read([FULL_STREAM]))
    assert choice.text == "Ich sehe nach: 北京 🌤"
    assert choice.reasoning == "Wo? 在哪里?"
    assert choice.finish_reason == "tool_calls"
    assert usage == Usage(prompt_tokens=12, completion_tokens=6)
    first, second = choice.tool_calls
    assert bare_id(first.id) == "tooluse_1"
    assert payload_of(first.id, "b") == msgspec.json.encode([THOUGHT, SEALED])
    assert msgspec.json.decode(first.function.arguments) == {"city": "北京"}
    assert (second.id, second.function.name) == ("tooluse_2", "now")
    assert second.function.arguments == "{}"


def test_a_whole_answer_says_the_same_as_its_stream() -> None:
    fake = upstream(FULL, stop_reason="tool_use")
    whole = deltas_of_converse(msgspec.json.encode(fake.answer()), model="x", forced_json=False)
    assert len(whole) == 2
    assert gathered(whole) == gathered(read(fake.events()))


def test_sealed_thoughts_in_pieces_are_one() -> None:
    pieces = [base64.b64encode(each).decode() for each in (b"a", b"bc")]
    events = upstream(FULL, stop_reason="tool_use").events()
    redacted = [
        event(
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": each}}},
        )
        for each in pieces
    ]
    stop = event("contentBlockStop", {"contentBlockIndex": 0})
    tools = events[-8:]
    choice, _ = gathered(read([events[0], *redacted, stop, *tools]))
    payload = payload_of(choice.tool_calls[0].id, "b")
    assert payload is not None
    sealed = base64.b64encode(b"abc").decode()
    assert msgspec.json.decode(payload) == [{"reasoningContent": {"redactedContent": sealed}}]


def test_cached_tokens_are_part_of_the_prompts() -> None:
    usage = {
        "inputTokens": 10,
        "outputTokens": 50,
        "totalTokens": 180,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 20,
    }
    _, read_usage = gathered(read(upstream(usage=usage).events()))
    assert read_usage == Usage(
        prompt_tokens=130, completion_tokens=50, cached_tokens=100, cache_write_tokens=20
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_stop_reasons(reason: str, finish: str) -> None:
    assert gathered(read(upstream(stop_reason=reason).events()))[0].finish_reason == finish


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use", "tired", ""])
def test_a_model_that_went_wrong_has_not_answered(reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason or "no reason"):
        read(upstream(stop_reason=reason).events())


def test_json_in_a_forced_tool_is_the_answers_text() -> None:
    tool = {"toolUseId": "t", "name": "json_answer", "input": {"a": [1, "ä"]}}
    fake = upstream([{"toolUse": tool}], stop_reason="tool_use")
    whole = deltas_of_converse(msgspec.json.encode(fake.answer()), model="x", forced_json=True)
    for deltas in (read(fake.events(), forced_json=True), whole):
        choice, _ = gathered(deltas)
        assert msgspec.json.decode(choice.text) == {"a": [1, "ä"]}
        assert (choice.tool_calls, choice.finish_reason) == ([], "stop")


def test_what_is_not_shown_is_passed_over() -> None:
    def delta(index: int, value: object) -> bytes:
        return event("contentBlockDelta", {"contentBlockIndex": index, "delta": value})

    events = upstream().events()
    server_tool = {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}
    events[1:1] = [
        event("contentBlockStart", {"contentBlockIndex": 7, "start": {"toolUse": server_tool}}),
        delta(7, {"toolUse": {"input": '{"q":1}'}}),
        event("contentBlockStop", {"contentBlockIndex": 7}),
        delta(8, {"citation": {"title": "x"}}),
        delta(8, {"text": ""}),
        event("aNewEvent", {"what": "ever"}),
        message({":message-type": "event", ":event-type": "messageStart"}, b""),
    ]
    choice, _ = gathered(read(events))
    assert (choice.text, choice.tool_calls) == ("Hello!", [])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("throttlingException", DeploymentThrottled),
        ("modelStreamErrorException", ModelUnavailable),
        ("internalServerException", ModelUnavailable),
        ("serviceUnavailableException", ModelUnavailable),
        ("validationException", ModelUnavailable),
    ],
)
def test_an_exception_in_mid_stream_says_what_it_is(
    kind: str, expected: type[ModelUnavailable]
) -> None:
    reader = ConverseReader(model="x")
    before = [delta for packet in upstream().events()[:2] for delta in reader.feed(packet)]
    assert gathered(before)[0].text == "Hello"
    with pytest.raises(ModelUnavailable, match="why") as raised:
        list(reader.feed(exception(kind, "why")))
    assert type(raised.value) is expected


def test_an_error_without_a_model_is_said_too() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "oops"}
    with pytest.raises(ModelUnavailable, match="oops"):
        list(ConverseReader(model="x").feed(message(headers, b"")))


@pytest.mark.parametrize("kept", [0, 1, 2, -2, -1])
def test_a_stream_that_ends_early_is_no_answer(kept: int) -> None:
    with pytest.raises(ModelUnavailable, match="too early"):
        read(upstream().events()[:kept])
    with pytest.raises(ModelUnavailable, match="too early"):
        read([*upstream().events(), FULL_STREAM[:5]])


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html><body>502 Bad Gateway</body></html>",
        b'data: {"type":"message_start"}\n\n',
        message({":message-type": "event", ":event-type": "contentBlockDelta"}, b"{"),
        message({":message-type": "event", ":event-type": "metadata"}, b'{"usage":3}'),
        message({":message-type": "event", ":event-type": "metadata"}, b'{"message":"\xff"}'),
    ],
)
def test_what_is_not_the_protocol_is_said_to_be_unreadable(garbage: bytes) -> None:
    with pytest.raises(ModelUnavailable, match="unreadable"):
        list(ConverseReader(model="x").feed(garbage))
