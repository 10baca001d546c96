"""Traces in OTLP's JSON form.

Source: opentelemetry-proto, trace/v1/trace.proto, in its JSON mapping: ids in hex, 64-bit
integers as strings, enumerations as numbers.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from headrace.telemetry import semconv
from headrace.telemetry.content import input_messages, output_messages, tool_call
from headrace.telemetry.trace import AttributeValue, Span, Trace

__all__ = ["Resource", "export_request"]

_KINDS = {"internal": 1, "server": 2, "client": 3}
_STATUS_ERROR = 2
_STATUS_UNSET = 0
_FAILED = ("error", "interrupted")


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends: `service.name`, `service.version`, `service.instance.id`."""

    name: str
    version: str
    instance: str


def export_request(resource: Resource, traces: Sequence[Trace], *, content: bool = False) -> bytes:
    """The body of one `POST /v1/traces`.

    Args:
        content: whether the traces' texts go along.
    """
    attributes = {
        "service.name": resource.name,
        "service.version": resource.version,
        "service.instance.id": resource.instance,
    }
    return msgspec.json.encode(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(attributes)},
                    "scopeSpans": [
                        {
                            "scope": {"name": "headrace", "version": resource.version},
                            "spans": [
                                span for trace in traces for span in _spans(trace, content=content)
                            ],
                        }
                    ],
                }
            ]
        }
    )


def _spans(trace: Trace, *, content: bool) -> list[dict[str, object]]:
    root = {
        "traceId": trace.id.replace("-", ""),
        "spanId": _span_id(trace, None),
        "name": "turn",
        "kind": _KINDS["server"],
        "startTimeUnixNano": _nanos(trace.started_at),
        "endTimeUnixNano": _nanos(trace.started_at + trace.duration_s),
        "attributes": _attributes(_turn_attributes(trace)),
        "status": _status(trace.error if trace.status in _FAILED else None),
    }
    return [root, *(_span(trace, index, content=content) for index in range(len(trace.spans)))]


def _span(trace: Trace, index: int, *, content: bool) -> dict[str, object]:
    span = trace.spans[index]
    attributes = dict(span.attributes)
    operation = attributes.get("gen_ai.operation.name")
    name, events = span.name, []
    if operation == semconv.APPLY_GUARDRAIL:
        name = f"{operation} {semconv.COMPONENT}"
        events = _results(trace, span)
    elif operation == semconv.EXECUTE_TOOL:
        name = f"{operation} {attributes.get('gen_ai.tool.name')}"
        if content:
            attributes.update(tool_call(trace.input, str(attributes.get("gen_ai.tool.call.id"))))
    elif operation is not None:
        name = f"{operation} {trace.model}"
        attributes.update(semconv.inference_results(trace, span.start_s))
        if content:
            attributes.update(_content(trace))
    attributes["headrace.step"] = span.name
    if span.error is not None:
        attributes["error.type"] = span.error
    started_at = trace.started_at + span.start_s
    return {
        "traceId": trace.id.replace("-", ""),
        "spanId": _span_id(trace, index),
        "parentSpanId": _span_id(trace, span.parent),
        "name": name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": _nanos(started_at),
        "endTimeUnixNano": _nanos(started_at + span.duration_s),
        "attributes": _attributes(attributes),
        "events": events,
        "status": _status(span.error),
    }


def _results(trace: Trace, span: Span) -> list[dict[str, object]]:
    """An event for each finding of the span's side. Findings do not know which step made them,
    so of several screens on a side the first one carries them."""
    source = span.attributes.get("gen_ai.guardrail.source")
    screens = [s for s in trace.spans if s.attributes.get("gen_ai.guardrail.source") == source]
    if screens[0] is not span:
        return []
    at = _nanos(trace.started_at + span.start_s + span.duration_s)
    return [
        {
            "name": "gen_ai.guardrail.result",
            "timeUnixNano": at,
            "attributes": _attributes(semconv.guardrail_result(finding)),
        }
        for finding in trace.findings
        if finding["side"] == source
    ]


def _turn_attributes(trace: Trace) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "headrace.status": trace.status,
        "headrace.release": trace.release,
        "headrace.key.id": trace.key_id,
        "headrace.model": trace.model,
        "headrace.deployment": trace.deployment,
        "headrace.template": trace.template,
        "headrace.language": trace.language,
        "headrace.cost_usd": trace.cost_usd,
    }
    attributes = {name: value for name, value in attributes.items() if value != ""}
    if trace.conversation is not None:
        attributes["gen_ai.conversation.id"] = trace.conversation
    if trace.ttft_s is not None:
        attributes["headrace.ttft_s"] = trace.ttft_s
    if trace.tpot_s is not None:
        attributes["headrace.tpot_s"] = trace.tpot_s
    if trace.error is not None:
        attributes["error.type"] = trace.error
    return attributes


def _content(trace: Trace) -> dict[str, AttributeValue]:
    """The texts as JSON strings, the form that every collector takes."""
    attributes: dict[str, AttributeValue] = {}
    if trace.input:
        attributes["gen_ai.input.messages"] = msgspec.json.encode(
            input_messages(trace.input)
        ).decode()
    if trace.output:
        attributes["gen_ai.output.messages"] = msgspec.json.encode(
            output_messages(trace.output)
        ).decode()
    return attributes


def _span_id(trace: Trace, index: int | None) -> str:
    """Eight bytes that only depend on the trace, so that a span sent twice is the same span."""
    name = f"{trace.id}/{'' if index is None else index}"
    return hashlib.sha256(name.encode()).digest()[:8].hex()


def _nanos(seconds: float) -> str:
    # By way of whole microseconds, which a float of this size still tells apart.
    return str(round(seconds * 1e6) * 1000)


def _status(error: str | None) -> dict[str, object]:
    if error is None:
        return {"code": _STATUS_UNSET}
    return {"code": _STATUS_ERROR, "message": error}


def _attributes(attributes: Mapping[str, AttributeValue]) -> list[dict[str, object]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: AttributeValue) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [{"stringValue": each} for each in value]}}
    return {"stringValue": value}
