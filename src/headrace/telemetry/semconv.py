"""OpenTelemetry's GenAI names, and a turn's attributes in them.

Source: the repository open-telemetry/semantic-conventions-genai, whose conventions are still in
development: docs/gen-ai/client-inference.md and docs/gen-ai/gen-ai-guardrails.md as of
semantic conventions v1.44.0. Names of our own begin with `headrace.`.
"""

from collections.abc import Sequence
from typing import Protocol

from headrace.telemetry.trace import AttributeValue, Trace
from headrace.types import Params

__all__ = [
    "APPLY_GUARDRAIL",
    "COMPONENT",
    "EXECUTE_TOOL",
    "FindingLike",
    "action_of",
    "guardrail_attributes",
    "inference_attributes",
]

APPLY_GUARDRAIL = "apply_guardrail"
"""`gen_ai.operation.name` of a screen step."""
EXECUTE_TOOL = "execute_tool"
"""`gen_ai.operation.name` of one call of a tool that the service runs."""
COMPONENT = "headrace.screen"
"""`gen_ai.guardrail.component.name` of our own screening."""
_PROVIDER = "headrace"
_STRENGTH = ("allow", "flag", "disclaimer", "mask", "rewrite", "ask", "escalate", "block")

_REQUEST: tuple[tuple[str, str, type[int] | type[float]], ...] = (
    ("temperature", "gen_ai.request.temperature", float),
    ("top_p", "gen_ai.request.top_p", float),
    ("max_tokens", "gen_ai.request.max_tokens", int),
    ("seed", "gen_ai.request.seed", int),
    ("presence_penalty", "gen_ai.request.presence_penalty", float),
    ("frequency_penalty", "gen_ai.request.frequency_penalty", float),
)


class FindingLike(Protocol):
    """What screening found (`screening/finding.py` is it; telemetry may not import it)."""

    @property
    def kind(self) -> str: ...

    @property
    def detector(self) -> str: ...

    @property
    def action(self) -> str: ...

    @property
    def score(self) -> float: ...


def inference_attributes(
    trace: Trace, params: Params, finish_reasons: Sequence[str]
) -> dict[str, AttributeValue]:
    """Attributes of the span around the model call (`gen_ai.client.inference`).

    Usage and the time to the first chunk are not among them: they are known when the turn has
    ended, and the exporter adds them from the trace (`inference_results`).

    Args:
        params: as they went to the deployment.
        finish_reasons: one per choice, as the deployment gave them; none when it broke off.
    """
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": trace.operation,
        "gen_ai.provider.name": trace.provider,
        "gen_ai.request.model": trace.model,
        # A choice that never finished ended abnormally; the conventions call that `error`.
        "gen_ai.response.finish_reasons": [
            *finish_reasons,
            *["error"] * ((params.n or 1) - len(finish_reasons)),
        ],
    }
    if trace.stream:
        attributes["gen_ai.request.stream"] = True
    if trace.conversation is not None:
        attributes["gen_ai.conversation.id"] = trace.conversation
    if trace.template:
        name, _, version = trace.template.partition("@")
        attributes["gen_ai.prompt.name"] = name
        if version:
            attributes["gen_ai.prompt.version"] = version
    attributes.update(_request_attributes(params))
    return attributes


def inference_results(trace: Trace, generate_start_s: float) -> dict[str, AttributeValue]:
    """What the model call's span gets once the turn has ended: usage and time to first chunk."""
    attributes: dict[str, AttributeValue] = {
        "gen_ai.usage.input_tokens": trace.prompt_tokens,
        "gen_ai.usage.output_tokens": trace.completion_tokens,
        "gen_ai.response.model": trace.model,
    }
    if trace.cached_tokens:
        attributes["gen_ai.usage.cache_read.input_tokens"] = trace.cached_tokens
    if trace.stream and trace.ttft_s is not None:
        # Ours counts from the turn's start; the conventions count from the call to the model.
        first = max(0.0, trace.ttft_s - generate_start_s)
        attributes["gen_ai.response.time_to_first_chunk"] = first
    return attributes


def guardrail_attributes(side: str, findings: Sequence[FindingLike]) -> dict[str, AttributeValue]:
    """Attributes of the span of a `screen` step (`gen_ai.apply_guardrail`).

    Args:
        side: `input` or `output`.
        findings: what this step found on that side; the strongest action is the result.
    """
    return {
        "gen_ai.operation.name": APPLY_GUARDRAIL,
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.guardrail.component.name": COMPONENT,
        "gen_ai.guardrail.source": side,
        "gen_ai.guardrail.result.type": "action",
        "gen_ai.guardrail.result.value": action_of([each.action for each in findings]),
    }


def guardrail_result(finding: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Attributes of the event `gen_ai.guardrail.result`: one finding, as the trace keeps it."""
    score = finding["score"]
    return {
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.guardrail.component.name": COMPONENT,
        "gen_ai.guardrail.source": finding["side"],
        "gen_ai.guardrail.policy.rule.id": finding["detector"],
        "gen_ai.guardrail.result.type": "action",
        "gen_ai.guardrail.result.value": finding["action"],
        "gen_ai.guardrail.risk.category": finding["kind"],
        # A detector may give a whole number; a double is what the conventions say.
        "gen_ai.guardrail.risk.score": float(score) if isinstance(score, int) else score,
    }


def action_of(actions: Sequence[str]) -> str:
    """The strongest of several actions; `allow` for none."""
    return max(actions, key=_STRENGTH.index, default="allow")


def _request_attributes(params: Params) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    for field, name, kind in _REQUEST:
        value = getattr(params, field)
        if value is not None:
            attributes[name] = kind(value)
    if params.stop:
        attributes["gen_ai.request.stop_sequences"] = params.stop
    if params.n is not None and params.n != 1:
        attributes["gen_ai.request.choice.count"] = params.n
    top_k = params.extra.get("top_k")
    if isinstance(top_k, int):
        attributes["gen_ai.request.top_k"] = top_k
    if params.response_format is not None:
        asked = params.response_format.get("type")
        attributes["gen_ai.output.type"] = "text" if asked == "text" else "json"
    return attributes
