"""The record of one turn: a trace with a span per step.

Spans are built on the request path, so they are plain structs that only collect; turning them
into rows and OTLP happens in the writer (`telemetry/store.py`, `telemetry/otlp.py`).
Attribute names follow OpenTelemetry's GenAI semantic conventions where those have a name.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import msgspec

from headrace.ids import new_id

__all__ = ["AttributeValue", "Span", "SpanKind", "Trace", "TraceStatus"]

AttributeValue: TypeAlias = str | int | float | bool | list[str]
SpanKind: TypeAlias = Literal["internal", "client", "server"]
TraceStatus: TypeAlias = Literal["ok", "error", "blocked", "cancelled", "interrupted"]


class Span(msgspec.Struct, kw_only=True):
    """One timed part of a turn. `start_s` counts from the start of the trace, in seconds."""

    name: str
    start_s: float
    duration_s: float = 0.0
    kind: SpanKind = "internal"
    attributes: dict[str, AttributeValue] = msgspec.field(default_factory=dict)
    error: str | None = None
    """The error's stable code; None when the part went well."""
    parent: int | None = None
    """Index of the parent span in the trace; None means the turn itself."""


class Trace(msgspec.Struct, kw_only=True):
    """One turn as it is stored. Texts (`input`, `output`) are encrypted before they leave memory.

    Built by the pipeline while the turn runs, handed to the recorder once, at the end.
    """

    id: str = msgspec.field(default_factory=new_id)
    started_at: float = msgspec.field(default_factory=time.time)
    """Seconds since the epoch."""
    duration_s: float = 0.0
    status: TraceStatus = "ok"
    error: str | None = None
    key_id: str = ""
    subject: str = ""
    """Whom the texts are about: the request's `safety_identifier`/`user`, else the key."""
    conversation: str | None = None
    operation: str = "chat"
    """`gen_ai.operation.name`: chat, text_completion, embeddings."""
    model: str = ""
    """The logical model asked for."""
    deployment: str = ""
    provider: str = ""
    """`gen_ai.provider.name` of the deployment that answered."""
    release: str = ""
    template: str = ""
    """`name@digest` of the prompt template used; empty for none."""
    stream: bool = False
    language: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    ttft_s: float | None = None
    """From the turn's start to the first piece of answer leaving the pipeline."""
    tpot_s: float | None = None
    cost_usd: float = 0.0
    finish_reason: str | None = None
    spans: list[Span] = msgspec.field(default_factory=list)
    findings: list[dict[str, AttributeValue]] = msgspec.field(default_factory=list)
    """What screening found: kind, detector, side, action, score, offsets; never the text."""
    input: str = ""
    """The request's messages as JSON, as received."""
    output: str = ""
    """The answer's choices as JSON, as sent."""

    clock_zero: float = msgspec.field(default_factory=time.perf_counter)
    """Monotonic seconds at the start; spans are relative to it."""

    def elapsed_s(self) -> float:
        """Seconds since the turn began."""
        return time.perf_counter() - self.clock_zero

    @contextmanager
    def span(self, name: str, kind: SpanKind = "internal") -> Iterator[Span]:
        """Time a part of the turn; an error that passes through is named on the span."""
        span = Span(name=name, start_s=self.elapsed_s(), kind=kind)
        self.spans.append(span)
        try:
            yield span
        except BaseException as error:
            span.error = getattr(error, "code", type(error).__name__)
            raise
        finally:
            span.duration_s = self.elapsed_s() - span.start_s
