"""A trace drawn as a waterfall: one row a span, placed on the turn's time.

Places and widths are in percent of the turn's whole time: the templates put them into SVG
attributes, because the page's security policy allows no inline styles.
"""

import math
from dataclasses import dataclass

from headrace.telemetry.trace import AttributeValue, Span, Trace

__all__ = ["Row", "Tick", "Waterfall"]

_WHOLE = 100.0
_SHORTEST = 0.4
"""So that a step of some microseconds can still be seen."""
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One span. `depth` counts its ancestors within the turn."""

    name: str
    start: float
    width: float
    depth: int
    start_s: float
    duration_s: float
    kind: str
    error: str | None
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the time axis."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Everything the drawing needs."""

    rows: list[Row]
    ticks: list[Tick]
    first_token: float | None
    """Where the first piece of the answer left."""

    @classmethod
    def of(cls, trace: Trace) -> "Waterfall":
        ends = [span.start_s + span.duration_s for span in trace.spans]
        total_s = max(trace.duration_s, *ends, 1e-6) if ends else max(trace.duration_s, 1e-6)
        scale = _WHOLE / total_s
        first = None if trace.ttft_s is None else min(trace.ttft_s * scale, _WHOLE)
        rows = [_row(trace, span, scale) for span in trace.spans]
        rows.sort(key=lambda row: (row.start_s, row.depth))
        return cls(rows, _ticks(total_s, scale), first)


def _row(trace: Trace, span: Span, scale: float) -> Row:
    width = min(max(span.duration_s * scale, _SHORTEST), _WHOLE)
    return Row(
        name=span.name,
        start=min(span.start_s * scale, _WHOLE - width),
        width=width,
        depth=_depth(trace, span),
        start_s=span.start_s,
        duration_s=span.duration_s,
        kind=span.kind,
        error=span.error,
        attributes=span.attributes,
    )


def _depth(trace: Trace, span: Span) -> int:
    depth = 0
    # The bound ends a circle of parents, should a stored trace have one.
    while span.parent is not None and span.parent < len(trace.spans) and depth < 8:
        span = trace.spans[span.parent]
        depth += 1
    return depth


def _ticks(total_s: float, scale: float) -> list[Tick]:
    """Marks at round times (1, 2 or 5 times a power of ten), at most six."""
    rough = total_s / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    count = math.floor(total_s / step * 1.001)
    return [Tick(at=i * step * scale, seconds=i * step) for i in range(count + 1)]
