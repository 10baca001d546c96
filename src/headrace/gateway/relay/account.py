"""What the trace is told of a chat that went the direct way."""

from headrace.gateway.relay.plain import PlainChat
from headrace.models.deployment import Deployment
from headrace.telemetry.semconv import inference_attributes
from headrace.telemetry.trace import AttributeValue, Span, Trace
from headrace.types import Usage

__all__ = ["Account"]

MOST_KEPT = 64


class Account:
    """Of the chats that one deployment answers.

    Most differ in their usage alone, so that the other attributes are made once for those alike.
    """

    __slots__ = ("_deployment", "_kept")

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._kept: dict[tuple[object, ...], dict[str, AttributeValue]] = {}

    def close(
        self, trace: Trace, request: PlainChat, usage: Usage, finish: list[str], routing: str
    ) -> None:
        """Note in a trace how its chat has ended.

        Args:
            finish: the reason of each choice that came to its end.
            routing: why this deployment was asked.
        """
        duration_s = trace.elapsed_s()
        trace.duration_s = duration_s
        trace.prompt_tokens = usage.prompt_tokens
        trace.completion_tokens = usage.completion_tokens
        trace.cached_tokens = usage.cached_tokens
        if self._deployment.price is not None:
            trace.cost_usd = self._deployment.cost_usd(usage)
        if finish:
            trace.finish_reason = finish[0]
        attributes = self._attributes(trace, request, finish, routing).copy()
        attributes["gen_ai.usage.input_tokens"] = usage.prompt_tokens
        attributes["gen_ai.usage.output_tokens"] = usage.completion_tokens
        trace.spans.append(
            Span(
                name="generate",
                start_s=0.0,
                duration_s=duration_s,
                kind="client",
                attributes=attributes,
                error=trace.error,
            )
        )

    def _attributes(
        self, trace: Trace, request: PlainChat, finish: list[str], routing: str
    ) -> dict[str, AttributeValue]:
        shape = request.shape if len(finish) == 1 else None
        if shape is None:
            return self._made(trace, request, finish, routing)
        key = (trace.model, routing, finish[0], shape)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            kept = self._kept[key] = self._made(trace, request, finish, routing)
        return kept

    def _made(
        self, trace: Trace, request: PlainChat, finish: list[str], routing: str
    ) -> dict[str, AttributeValue]:
        attributes = inference_attributes(trace, request.params(), finish)
        attributes["headrace.model.digest"] = self._deployment.backend.digest
        attributes["headrace.routing.reason"] = routing
        return attributes
