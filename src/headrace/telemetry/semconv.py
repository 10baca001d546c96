"""OpenTelemetry's GenAI names, and a turn's attributes in them."""

from collections.abc import Sequence
from typing import Protocol

from headrace.telemetry.trace import AttributeValue, Trace
from headrace.types import Params

__all__ = ["FindingLike", "guardrail_attributes", "inference_attributes"]


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
    """Attributes of the span around the model call."""
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": trace.operation,
        "gen_ai.provider.name": trace.provider,
        "gen_ai.request.model": trace.model,
        "gen_ai.usage.input_tokens": trace.prompt_tokens,
        "gen_ai.usage.output_tokens": trace.completion_tokens,
        "gen_ai.response.finish_reasons": list(finish_reasons),
    }
    del params
    return attributes


def guardrail_attributes(side: str, findings: Sequence[FindingLike]) -> dict[str, AttributeValue]:
    """Attributes of the span of a `screen` step."""
    del side, findings
    return {}
