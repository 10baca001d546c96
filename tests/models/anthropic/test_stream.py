"""Anthropic's streams, as deltas, however they are cut; and what goes wrong in them."""

import contextlib
import itertools
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.anthropic.stream import MessageReader, deltas_of_message
from headrace.models.dialect.carried import bare_id, payload_of
from headrace.models.errors import DeploymentThrottled
from headrace.types import Delta, Usage
from tests.upstreams.anthropic import AnthropicUpstream, event
from tests.upstreams.gathered import fed, gathered
from tests.upstreams.server import Server

THOUGHT: dict[str, object] = {
    "type": "thinking",
    "thinking": "Wo? 在哪里?",
    "signature": "EqQBCgIYAhIM",
}
REDACTED: dict[str, object] = {"type": "redacted_thinking", "data": "EmwKAhgB"}
FULL: list[dict[str, object]] = [
    THOUGHT,
    REDACTED,
    {"type": "text", "text": "Ich sehe nach: 北京 🌤"},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "北京"}},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
]


def upstream(content: list[dict[str, object]], **fields: object) -> AnthropicUpstream:
    made = AnthropicUpstream(Server(), content=content)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def read(packets: Iterable[bytes], *, forced_json: bool = False) -> list[Delta]:
    return fed(MessageReader(model="claude-sonnet-5", forced_json=forced_json), packets)


FULL_STREAM = b"".join(upstream(FULL, stop_reason="tool_use").events())


@given(cuts=st.lists(st.integers(0, len(FULL_STREAM)), max_size=8))
def test_the_answer_does_not_depend_on_where_packets_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(FULL_STREAM)]
    packets = [FULL_STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert read(packets) == read([FULL_STREAM])


@given(at=st.integers(0, len(FULL_STREAM) - 1), byte=st.integers(0, 255))
def test_whatever_comes_is_an_answer_or_none_of_this_protocol(at: int, byte: int) -> None:
    changed = FULL_STREAM[:at] + bytes([byte]) + FULL_STREAM[at + 1 :]
    with contextlib.suppress(ModelUnavailable):
        gathered(read([changed]))


def test_text_thoughts_and_tool_calls() -> None:
    choice, usage = gathered(read([FULL_STREAM]))
    assert choice.text == "Ich sehe nach: 北京 🌤"
    assert choice.reasoning == "Wo? 在哪里?"
    assert choice.finish_reason == "tool_calls"
    assert usage == Usage(prompt_tokens=12, completion_tokens=6)
    first, second = choice.tool_calls
    assert bare_id(first.id) == "toolu_1"
    assert payload_of(first.id, "a") == msgspec.json.encode([THOUGHT, REDACTED])
    assert msgspec.json.decode(first.function.arguments) == {"city": "北京"}
    assert (second.id, second.function.name, second.function.arguments) == ("toolu_2", "now", "{}")


def test_a_whole_message_says_the_same_as_its_stream() -> None:
    fake = upstream(FULL, stop_reason="tool_use")
    body = msgspec.json.encode(fake.message("claude-sonnet-5"))
    whole = deltas_of_message(body, model="claude-sonnet-5", forced_json=False)
    assert len(whole) == 2
    assert gathered(whole) == gathered(read(fake.events()))


def test_cached_tokens_are_part_of_the_prompts_and_late_reports_replace_early_ones() -> None:
    fake = upstream([{"type": "text", "text": "x"}])
    events = fake.events()
    start = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 1,
    }
    events[0] = event("message_start", message={"content": [], "usage": start})
    late = {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 40}}
    events[-2] = event("message_delta", delta={"stop_reason": "end_turn"}, usage=late)
    _, usage = gathered(read(events))
    assert usage == Usage(
        prompt_tokens=130,
        completion_tokens=50,
        cached_tokens=100,
        cache_write_tokens=20,
        reasoning_tokens=40,
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_stop_reasons(reason: str, finish: str) -> None:
    fake = upstream([{"type": "text", "text": "x"}], stop_reason=reason)
    assert gathered(read(fake.events()))[0].finish_reason == finish


def test_a_refusal_comes_with_its_explanation() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    fake = upstream([], stop_reason="refusal", stop_details=details)
    choice, _ = gathered(read(fake.events()))
    assert (choice.text, choice.refusal, choice.finish_reason) == (
        "",
        "Not this.",
        "content_filter",
    )


def test_json_in_a_forced_tool_is_the_answers_text() -> None:
    call: dict[str, object] = {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "json_answer",
        "input": {"a": [1, "ä"]},
    }
    fake = upstream([call], stop_reason="tool_use")
    for deltas in (
        read(fake.events(), forced_json=True),
        deltas_of_message(msgspec.json.encode(fake.message("x")), model="x", forced_json=True),
    ):
        choice, _ = gathered(deltas)
        assert msgspec.json.decode(choice.text) == {"a": [1, "ä"]}
        assert (choice.tool_calls, choice.finish_reason) == ([], "stop")


def test_what_is_not_known_yet_is_passed_over() -> None:
    events = upstream([{"type": "text", "text": "Hello"}]).events()
    events[2:2] = [
        event("content_block_delta", index=0, delta={"type": "haiku_delta", "haiku": "x"}),
        event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": {}}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": ""}),
        event("new_event", what="ever"),
        b": keep-alive\n\n",
    ]
    choice, _ = gathered(read(events))
    assert choice.text == "Hello"


def test_a_later_report_adds_to_the_usage_and_does_not_end_twice() -> None:
    events = upstream([{"type": "text", "text": "Hello"}]).events()
    more = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
    choice, usage = gathered(read([*events[:-1], more, events[-1]]))
    assert choice.finish_reason == "stop"
    assert usage == Usage(prompt_tokens=12, completion_tokens=9)


def test_an_error_in_mid_stream_says_what_it_is() -> None:
    events = upstream([{"type": "text", "text": "Hello"}]).events()
    error = {"type": "overloaded_error", "message": "Overloaded"}
    reader = MessageReader(model="x")
    given_before = [delta for packet in events[:4] for delta in reader.feed(packet)]
    assert gathered(given_before)[0].text == "Hello"
    with pytest.raises(DeploymentThrottled, match="Overloaded"):
        list(reader.feed(event("error", error=error)))
    invalid = {"type": "invalid_request_error", "message": "no"}
    with pytest.raises(ModelUnavailable, match="broke off"):
        list(MessageReader(model="x").feed(event("error", error=invalid)))


@pytest.mark.parametrize("kept", [0, 1, 4, -2, -1])
def test_a_stream_that_ends_early_is_no_answer(kept: int) -> None:
    events = upstream([{"type": "text", "text": "Hello"}]).events()
    with pytest.raises(ModelUnavailable, match="too early"):
        read(events[:kept])


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: <html>\n\n",
        b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":3}}\n\n',
        b'data: {"type":"content_block_delta","index":9,"delta":{"type":"text_delta"}}\n\n',
        b'data: {"type":"message_stop"}\n\n',
        b'data: {"type":"message_delta","delta":{"stop_reason":"tired"}}\n\n',
        b'data: {"type":"error","error":{"message":"\xff"}}\n\n',
        b'data: {"type":"content_block_start","content_block":{"type":"x","input":'
        + b'{"a":' * 99_999
        + b"\n\n",
        b"data: " + b"x" * (9 * 1024 * 1024),
    ],
)
def test_what_is_not_the_protocol_is_said_to_be_unreadable(garbage: bytes) -> None:
    with pytest.raises(ModelUnavailable):
        list(MessageReader(model="x").feed(garbage))
