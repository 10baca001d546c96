"""What is exported follows OpenTelemetry's GenAI conventions, as `data/genai.json` states them."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.screening.finding import Action, Finding
from headrace.telemetry.content import input_messages, output_messages
from headrace.telemetry.otlp import Resource, export_request
from headrace.telemetry.trace import Trace
from headrace.types import Params

Json: TypeAlias = dict[str, object]
MakeTrace = Callable[..., Trace]
DATA = Path(__file__).parent / "data"
FACTS = json.loads((DATA / "genai.json").read_text())
MESSAGES = json.loads((DATA / "messages.schema.json").read_text())
RESOURCE = Resource(name="headrace", version="1.2.3", instance="one")
OTLP_FIELD = {
    "string": "stringValue",
    "int": "intValue",
    "double": "doubleValue",
    "boolean": "boolValue",
    "string[]": "arrayValue",
    "any": "stringValue",
}
# A trace may be built from any example; it is made anew each time.
any_example = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def exported(*traces: Trace, content: bool = False) -> list[Json]:
    """The spans of an export, after a look at what is around them."""
    body = json.loads(export_request(RESOURCE, traces, content=content))
    (resource,) = body["resourceSpans"]
    assert attributes_of(resource["resource"])["service.name"] == {"stringValue": "headrace"}
    (scope,) = resource["scopeSpans"]
    assert scope["scope"] == {"name": "headrace", "version": "1.2.3"}
    spans: list[Json] = scope["spans"]
    return spans


def attributes_of(holder: Mapping[str, object]) -> dict[str, Json]:
    pairs = holder["attributes"]
    assert isinstance(pairs, list)
    found = {pair["key"]: pair["value"] for pair in pairs}
    assert len(found) == len(pairs), "an attribute is there twice"
    return found


def check_attributes(holder: Mapping[str, object], kind: str) -> None:
    """Each is known for that kind of span, has its type, and none that is required is missing."""
    facts = FACTS[kind]
    found = attributes_of(holder)
    for name, value in found.items():
        if name.startswith("headrace."):
            continue
        assert name in facts["attributes"], f"{kind} has no attribute {name}"
        (field,) = value
        assert field == OTLP_FIELD[facts["attributes"][name]], name
        if field == "intValue":
            assert re.fullmatch(r"-?\d+", str(value[field])), name
        if name in FACTS["values"]:
            assert value[field] in FACTS["values"][name], name
    assert set(facts["required"]) <= found.keys()


def events_of(span: Json) -> list[Json]:
    events = span.get("events", [])
    assert isinstance(events, list)
    return events


def span_named(spans: list[Json], beginning: str) -> Json:
    return next(span for span in spans if str(span["name"]).startswith(beginning))


def check_conventions(spans: list[Json]) -> None:
    for span in spans:
        operation = attributes_of(span).get("gen_ai.operation.name")
        if operation is None:
            known = {"gen_ai.conversation.id"}
            others = {name for name in attributes_of(span) if name.startswith("gen_ai.")}
            assert others <= known
            continue
        kind = "inference"
        if operation == {"stringValue": "apply_guardrail"}:
            kind = "apply_guardrail"
        check_attributes(span, kind)
        values = {name: next(iter(v.values())) for name, v in attributes_of(span).items()}
        words = re.findall(r"\{(.+?)\}|(\S+)", FACTS[kind]["span_name"])
        assert span["name"] == " ".join(str(values[name]) if name else word for name, word in words)
        for event in events_of(span):
            assert event["name"] == FACTS["guardrail_result"]["event_name"]
            check_attributes(event, "guardrail_result")


params = st.builds(
    Params,
    temperature=st.none() | st.floats(0, 2) | st.integers(0, 2),
    top_p=st.none() | st.floats(0, 1),
    max_tokens=st.none() | st.integers(1, 10**6),
    stop=st.none() | st.lists(st.text(max_size=5), max_size=3),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    n=st.none() | st.integers(1, 4),
    presence_penalty=st.none() | st.integers(-2, 2),
    frequency_penalty=st.none() | st.floats(-2, 2),
    response_format=st.sampled_from(
        [None, {"type": "text"}, {"type": "json_object"}, {"type": "json_schema"}]
    ),
    extra=st.sampled_from([{}, {"top_k": 40}, {"top_k": "no number"}]),
)
actions: list[Action] = ["allow", "flag", "mask", "block"]
findings = st.lists(
    st.builds(
        Finding,
        kind=st.sampled_from(["email", "card"]),
        detector=st.sampled_from(["email", "card"]),
        side=st.sampled_from(["input", "output"]),
        action=st.sampled_from(actions),
        start=st.integers(0, 9),
        end=st.integers(10, 20),
        score=st.floats(0, 1) | st.integers(0, 1),
    ),
    max_size=5,
).map(tuple)


@any_example
@given(params=params, findings=findings, data=st.data())
def test_every_attribute_is_known_and_has_its_type(
    make_trace: MakeTrace, params: Params, findings: tuple[Finding, ...], data: st.DataObject
) -> None:
    trace = make_trace(
        params=params,
        findings=findings,
        finish_reasons=data.draw(st.sampled_from([(), ("stop",), ("length", "tool_calls")])),
        operation=data.draw(st.sampled_from(["chat", "text_completion"])),
        stream=data.draw(st.booleans()),
        conversation=data.draw(st.sampled_from([None, "c-1"])),
        template=data.draw(st.sampled_from(["", "assistant@3f2a", "bare"])),
        status=data.draw(st.sampled_from(["ok", "error", "blocked", "cancelled", "interrupted"])),
        error=data.draw(st.sampled_from([None, "model_unavailable"])),
        ttft_s=data.draw(st.none() | st.floats(0, 10)),
        cached_tokens=data.draw(st.integers(0, 10)),
    )
    spans = exported(trace, content=data.draw(st.booleans()))
    check_conventions(spans)
    events = [event for span in spans for event in events_of(span)]
    assert len(events) == len(findings)


def test_the_spans_of_a_turn_are_one_tree(make_trace: MakeTrace) -> None:
    spans = exported(make_trace(), make_trace())
    by_trace = [list(each) for _, each in itertools.groupby(spans, lambda span: span["traceId"])]
    assert [len(each) for each in by_trace] == [5, 5]
    for tree in by_trace:
        ids = [str(span["spanId"]) for span in tree]
        assert len(set(ids)) == 5
        assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)
        assert re.fullmatch("[0-9a-f]{32}", str(tree[0]["traceId"]))
        assert "parentSpanId" not in tree[0]
        assert {span["parentSpanId"] for span in tree[1:]} == {ids[0]}


def test_a_trace_sent_twice_is_the_same_trace(make_trace: MakeTrace) -> None:
    trace = make_trace()
    assert exported(trace) == exported(trace)


def test_times_are_nanoseconds_within_the_turn(make_trace: MakeTrace) -> None:
    spans = exported(make_trace(started_at=1_800_000_000.25, duration_s=0.5))
    assert spans[0]["startTimeUnixNano"] == "1800000000250000000"
    assert spans[0]["endTimeUnixNano"] == "1800000000750000000"
    for span in spans[1:]:
        assert int(str(span["startTimeUnixNano"])) <= int(str(span["endTimeUnixNano"]))


def test_the_model_call_says_what_it_took(make_trace: MakeTrace) -> None:
    span = span_named(exported(make_trace()), "chat")
    found = attributes_of(span)
    assert span["kind"] == 3
    assert found["gen_ai.provider.name"] == {"stringValue": "llama_cpp"}
    assert found["gen_ai.usage.input_tokens"] == {"intValue": "24"}
    assert found["gen_ai.usage.output_tokens"] == {"intValue": "5"}
    assert found["gen_ai.usage.cache_read.input_tokens"] == {"intValue": "8"}
    # 0.12 s after the turn began, of which 0.01 s passed before the model was asked.
    first = found["gen_ai.response.time_to_first_chunk"]["doubleValue"]
    assert first == pytest.approx(0.11)


def test_an_answer_that_did_not_stream_has_no_first_chunk(make_trace: MakeTrace) -> None:
    found = attributes_of(span_named(exported(make_trace(stream=False)), "chat"))
    assert "gen_ai.response.time_to_first_chunk" not in found
    assert "gen_ai.request.stream" not in found


def test_a_choice_that_never_finished_ended_in_error(make_trace: MakeTrace) -> None:
    trace = make_trace(params=Params(n=3), finish_reasons=("stop",))
    found = attributes_of(span_named(exported(trace), "chat"))
    reasons = found["gen_ai.response.finish_reasons"]["arrayValue"]
    assert isinstance(reasons, dict)
    assert [each["stringValue"] for each in reasons["values"]] == ["stop", "error", "error"]


def test_a_screen_is_a_guardrail_and_its_findings_are_results(make_trace: MakeTrace) -> None:
    spans = [span for span in exported(make_trace()) if span["name"] != "turn"]
    before, after = [s for s in spans if str(s["name"]).startswith("apply_guardrail")]
    assert attributes_of(before)["gen_ai.guardrail.result.value"] == {"stringValue": "mask"}
    assert attributes_of(after)["gen_ai.guardrail.result.value"] == {"stringValue": "allow"}
    (event,) = events_of(before)
    assert events_of(after) == []
    found = attributes_of(event)
    assert found["gen_ai.guardrail.risk.category"] == {"stringValue": "email"}
    assert found["gen_ai.guardrail.source"] == {"stringValue": "input"}
    assert found["gen_ai.guardrail.result.value"] == {"stringValue": "mask"}


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("blocked", 0), ("error", 2)])
def test_only_what_failed_is_an_error(make_trace: MakeTrace, status: str, code: int) -> None:
    error = None if status == "ok" else "some_code"
    turn = exported(make_trace(status=status, error=error))[0]
    assert turn["status"] == {"code": code} | ({"message": "some_code"} if code else {})


@pytest.mark.parametrize("content", [False, True])
def test_texts_only_go_along_when_asked_for(make_trace: MakeTrace, content: bool) -> None:
    trace = make_trace(prompt="a secret prompt", answer="a secret answer")
    body = export_request(RESOURCE, [trace], content=content)
    assert (b"a secret prompt" in body) == content
    assert (b"a secret answer" in body) == content


def test_findings_never_carry_what_was_found(make_trace: MakeTrace) -> None:
    assert b"ada@example.com" not in export_request(RESOURCE, [make_trace()])


def contents(spans: list[Json]) -> Iterator[object]:
    for span in spans:
        for name, value in attributes_of(span).items():
            if name in ("gen_ai.input.messages", "gen_ai.output.messages"):
                yield json.loads(str(value["stringValue"]))


def test_exported_messages_follow_the_schema(make_trace: MakeTrace) -> None:
    sent = list(contents(exported(make_trace(), content=True)))
    assert len(sent) == 2
    for messages in sent:
        jsonschema.validate(messages, MESSAGES)


TEXT_PART = {"type": "text", "text": "look"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CUT_OFF = {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {"role": "developer", "content": "be brief"},
            {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        ),
        ({"role": "assistant", "content": None}, {"role": "assistant", "parts": []}),
        (
            {"role": "user", "name": "李雷", "content": [TEXT_PART]},
            {"role": "user", "name": "李雷", "parts": [{"type": "text", "content": "look"}]},
        ),
        (
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}],
            },
            {
                "role": "user",
                "parts": [{"type": "uri", "modality": "image", "uri": "https://x/y"}],
            },
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"type": "openai.image_url", "modality": "image", "mime_type": "image/png"}
                ],
            },
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]},
            {"role": "user", "parts": [{"type": "openai.input_audio"}]},
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL, CUT_OFF]},
            {
                "role": "assistant",
                "parts": [
                    {"type": "tool_call", "id": "call_1", "name": "f", "arguments": {"a": 1}},
                    {"type": "tool_call", "id": "call_2", "name": "f", "arguments": '{"a": '},
                ],
            },
        ),
        (
            {"role": "tool", "tool_call_id": "call_1", "content": "42"},
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "call_1", "response": "42"}],
            },
        ),
        (
            {"role": "function", "name": "f", "content": "42"},
            {
                "role": "tool",
                "name": "f",
                "parts": [{"type": "tool_call_response", "response": "42"}],
            },
        ),
    ],
    ids=[
        "developer",
        "nothing",
        "parts and name",
        "image address",
        "image itself",
        "audio",
        "tool calls",
        "tool answer",
        "function answer",
    ],
)
def test_a_message_in_opentelemetrys_form(message: Json, expected: Json) -> None:
    found = input_messages(json.dumps([message]))
    assert found == [expected]
    jsonschema.validate(found, MESSAGES)


def test_a_choice_in_opentelemetrys_form() -> None:
    choices = [
        {"index": 0, "reasoning": "hm", "text": "42", "finish_reason": "stop"},
        {"index": 1, "tool_calls": [CALL], "finish_reason": "tool_calls"},
        {"index": 2},
    ]
    found = output_messages(json.dumps(choices))
    assert [message["parts"] for message in found] == [
        [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "42"}],
        [{"type": "tool_call", "id": "call_1", "name": "f", "arguments": {"a": 1}}],
        [],
    ]
    jsonschema.validate(found, MESSAGES)


@pytest.mark.parametrize(
    "wrong",
    [
        [{"role": "user", "parts": [{"type": "text"}]}],
        [{"role": "developer", "parts": []}],
        [{"role": "user"}],
        [{"role": "tool", "parts": [{"type": "tool_call_response"}]}],
    ],
)
def test_the_schema_can_fail(wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, MESSAGES)
