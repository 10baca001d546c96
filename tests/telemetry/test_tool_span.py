"""A call of a tool, as it is exported: OpenTelemetry's span, its words only when asked for."""

import json

import pytest

from headrace.telemetry.otlp import Resource, export_request
from headrace.telemetry.trace import Span, Trace

INPUT = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "c1", "function": {"name": "weather", "arguments": '{"city":"Graz"}'}},
            {"id": "c2", "function": {"name": "weather", "arguments": '{"city":"Linz"}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "clear"},
    {"role": "tool", "tool_call_id": "c2", "content": "rain"},
]


@pytest.mark.parametrize("content", [True, False])
def test_a_call_is_named_by_its_tool_and_has_its_own_words(content: bool) -> None:
    span = Span(name="execute_tool", start_s=0.1, duration_s=0.2)
    span.attributes.update(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.id": "c2",
        }
    )
    trace = Trace(model="m", spans=[span], input=json.dumps(INPUT))
    sent = export_request(Resource(name="h", version="1", instance="i"), [trace], content=content)
    _, made = json.loads(sent)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    said = {each["key"]: next(iter(each["value"].values())) for each in made["attributes"]}
    assert made["name"] == "execute_tool weather"
    assert "gen_ai.usage.input_tokens" not in said
    words = (said.get("gen_ai.tool.call.arguments"), said.get("gen_ai.tool.call.result"))
    assert words == (('{"city":"Linz"}', "rain") if content else (None, None))


def test_a_trace_without_texts_is_exported_all_the_same() -> None:
    span = Span(name="execute_tool", start_s=0.1)
    span.attributes["gen_ai.operation.name"] = "execute_tool"
    sent = export_request(
        Resource(name="h", version="1", instance="i"), [Trace(spans=[span])], content=True
    )
    assert b"gen_ai.tool.call.result" not in sent
