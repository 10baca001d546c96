"""Telemetry: the record of every turn, and the figures drawn from it.

Read `trace.py` (what a turn leaves), `recorder.py` (into the journal, on the request path),
`store.py` (out of the database), `metrics.py` (Prometheus), `otlp.py` (to a collector), and
`semconv.py` (OpenTelemetry's names).
"""

from headrace.telemetry.trace import Span, Trace

__all__ = ["Span", "Trace"]
