"""The form of a trace between the request path and the database: MessagePack, texts sealed."""

import msgspec

from headrace.telemetry.trace import AttributeValue, Span, Trace

__all__ = ["Detail", "FeedbackRecord", "TraceBegin", "TraceEnd"]


class TraceBegin(msgspec.Struct, array_like=True):
    """A turn has begun. `boot` is the process it began in."""

    id: str
    boot: str
    trace: Trace


class TraceEnd(msgspec.Struct, array_like=True):
    """A turn has ended. The trace's own texts are empty; `subject` in it is a subject id."""

    trace: Trace
    input_sealed: bytes | None
    output_sealed: bytes | None
    was_noted: bool = True
    """Whether a `TraceBegin` came before it; short turns have none."""


class Detail(msgspec.Struct, array_like=True):
    """What of a trace is only read together: the column `traces.detail`."""

    spans: list[Span]
    findings: list[dict[str, AttributeValue]]


class FeedbackRecord(msgspec.Struct, array_like=True):
    """One rating, as it is stored."""

    id: str
    trace_id: str
    key_id: str
    score: int
    comment_sealed: bytes | None
    created_at: float
    correction_sealed: bytes | None = None
