"""Gemini's streams, as deltas, however they are cut; and what goes wrong in them."""

import contextlib
import itertools
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.dialect.carried import bare_id, payload_of
from headrace.models.errors import DeploymentMisconfigured, DeploymentThrottled
from headrace.models.gemini.stream import ContentReader, deltas_of_content
from headrace.types import Delta, TokenLogprob, Usage
from tests.upstreams.gathered import fed, gathered
from tests.upstreams.gemini import GeminiUpstream, chunk
from tests.upstreams.server import Server

FULL: list[dict[str, object]] = [
    {"text": "Wo? 在哪里?", "thought": True},
    {"text": "Ich sehe nach: 北京 🌤", "thoughtSignature": "dGV4dA=="},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {
        "functionCall": {"id": "fc_1", "name": "weather", "args": {"city": "北京"}},
        "thoughtSignature": "c2lnbmVk",
    },
    {"functionCall": {"id": "fc_2", "name": "now"}},
]


def upstream(parts: list[dict[str, object]] | None = None, **fields: object) -> GeminiUpstream:
    made = GeminiUpstream(Server())
    if parts is not None:
        made.parts = parts
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def read(packets: Iterable[bytes]) -> list[Delta]:
    return fed(ContentReader(model="gemini-3.1-pro"), packets)


FULL_STREAM = b"".join(upstream(FULL).chunks())


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
    assert bare_id(first.id) == "fc_1"
    assert payload_of(first.id, "g") == b"c2lnbmVk"
    assert msgspec.json.decode(first.function.arguments) == {"city": "北京"}
    assert (second.id, second.function.name, second.function.arguments) == ("fc_2", "now", "{}")


def test_a_whole_answer_says_the_same_as_its_stream() -> None:
    fake = upstream(FULL)
    whole = deltas_of_content(msgspec.json.encode(fake.content()), model="x")
    assert len(whole) == 2
    assert gathered(whole) == gathered(read(fake.chunks()))


def test_calls_without_an_id_get_one_each() -> None:
    call: dict[str, object] = {"functionCall": {"name": "now", "args": {}}}
    choice, _ = gathered(read(upstream([call, call]).chunks()))
    first, second = choice.tool_calls
    assert first.id.startswith("hrcall-")
    assert first.id != second.id


def test_thoughts_are_part_of_the_completion_and_cached_tokens_of_the_prompt() -> None:
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "toolUsePromptTokenCount": 5,
        "totalTokenCount": 155,
    }
    _, read_usage = gathered(read(upstream(usage=usage).chunks()))
    assert read_usage == Usage(
        prompt_tokens=105, completion_tokens=50, cached_tokens=60, reasoning_tokens=30
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("LANGUAGE", "content_filter"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    assert gathered(read(upstream(finish_reason=reason).chunks()))[0].finish_reason == finish


@pytest.mark.parametrize(
    "reason", ["OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "A_NEW_ONE"]
)
def test_a_model_that_went_wrong_has_not_answered(reason: str) -> None:
    fake = upstream(finish_reason=reason, finish_message="why")
    with pytest.raises(ModelUnavailable, match=rf"{reason} \(why\)"):
        read(fake.chunks())


def test_a_limited_account_is_the_operators_matter() -> None:
    with pytest.raises(DeploymentMisconfigured):
        read(upstream(finish_reason="PUP_LIMITED_DISABLED").chunks())


def test_a_prompt_that_is_blocked_is_a_filtered_answer() -> None:
    blocked = {"blockReason": "SAFETY", "blockReasonMessage": "Not this."}
    fake = upstream(blocked=blocked)
    whole = deltas_of_content(msgspec.json.encode(fake.content()), model="x")
    for deltas in (read(fake.chunks()), whole):
        choice, usage = gathered(deltas)
        assert (choice.text, choice.refusal) == ("", "Not this.")
        assert choice.finish_reason == "content_filter"
        assert usage is not None
        assert usage.prompt_tokens == 12


def test_logprobs() -> None:
    token = {"token": "Hé", "tokenId": 5, "logProbability": -0.25}
    other = {"token": "Ho", "tokenId": 6, "logProbability": -2.0}
    result = {"topCandidates": [{"candidates": [token, other]}], "chosenCandidates": [token]}
    choice, _ = gathered(read(upstream(logprobs=result).chunks()))
    one = TokenLogprob("Hé", -0.25, list("Hé".encode()))
    two = TokenLogprob("Ho", -2.0, list(b"Ho"))
    assert choice.logprobs == [TokenLogprob("Hé", -0.25, list("Hé".encode()), [one, two])]


def test_several_candidates_are_choices_of_their_own() -> None:
    def piece(index: int, text: str, **more: object) -> dict[str, object]:
        return {"index": index, "content": {"parts": [{"text": text}]}, **more}

    deltas = read(
        [
            chunk({"candidates": [piece(0, "a"), piece(1, "b")]}),
            chunk({"candidates": [piece(0, "c", finishReason="STOP")]}),
            chunk({"candidates": [piece(1, "d", finishReason="MAX_TOKENS")]}),
        ]
    )
    text = {i: "".join(each.text for each in deltas if each.index == i) for i in (0, 1)}
    assert text == {0: "ac", 1: "bd"}
    assert [each.finish_reason for each in deltas if each.finish_reason] == ["stop", "length"]


def test_an_error_in_mid_stream_says_what_it_is() -> None:
    overloaded = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
    reader = ContentReader(model="x")
    assert gathered(reader.feed(upstream().chunks()[0]))[0].text == "Hello"
    with pytest.raises(DeploymentThrottled, match="overloaded"):
        list(reader.feed(chunk({"error": overloaded})))
    invalid = {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}
    with pytest.raises(ModelUnavailable, match="broke off"):
        list(ContentReader(model="x").feed(chunk({"error": invalid})))


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_stream_that_ends_early_is_no_answer(kept: int) -> None:
    with pytest.raises(ModelUnavailable, match="too early"):
        read(upstream().chunks()[:kept])


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: <html>\n\n",
        b'data: {"candidates":[{"content":{"parts":[{"text":3}]}}]}\n\n',
        b'data: {"candidates":[{"finishReason":"\xff"}]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":'
        + b'{"a":' * 99_999
        + b"\n\n",
        b"data: " + b"x" * (9 * 1024 * 1024),
    ],
)
def test_what_is_not_the_protocol_is_said_to_be_unreadable(garbage: bytes) -> None:
    with pytest.raises(ModelUnavailable):
        list(ContentReader(model="x").feed(garbage))


def test_keep_alive_and_empty_chunks_are_passed_over() -> None:
    chunks = upstream().chunks()
    chunks[1:1] = [b": ping\r\n\r\n", b"\r\n", chunk({}), chunk({"candidates": [{"content": {}}]})]
    assert gathered(read(chunks))[0].text == "Hello!"
