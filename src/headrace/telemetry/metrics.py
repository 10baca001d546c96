"""Metrics for Prometheus, on a registry of their own. Names: docs/traces.md lists them all.

Those named `gen_ai_*` are OpenTelemetry's GenAI metrics in Prometheus spelling, with the bucket
boundaries its conventions advise (open-telemetry/semantic-conventions-genai: model/gen-ai/
metrics.yaml and token-metrics.yaml; the latter replaced `gen_ai.client.token.usage`).
"""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.errors import UnknownModel
from headrace.telemetry.tally import Counts, Tallies
from headrace.telemetry.trace import Trace

__all__ = ["CONTENT_TYPE", "ExporterStatus", "Metrics", "WriterStatus"]

# A `_created` gauge beside each series would double the page; Prometheus does not need it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped

LABEL_VALUES = 100
"""Models, and kinds of findings, that get series of their own; the rest share `other`."""
OTHER = "other"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TTFT = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_TPOT = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


class WriterStatus(Protocol):
    """What the metrics read off the batch writer, at each scrape."""

    shed: int
    rejected: int
    damaged: int

    @property
    def is_healthy(self) -> bool: ...

    @property
    def pending_bytes(self) -> int: ...

    @property
    def capacity_bytes(self) -> int: ...


class ExporterStatus(Protocol):
    """What the metrics read off the OTLP exporter, at each scrape."""

    exported: int
    dropped: int


class _Series:
    """What one (operation, provider, model) adds to, looked up once."""

    __slots__ = ("duration", "input_tokens", "output_tokens", "tpot", "ttft")

    def __init__(self, metrics: "Metrics", labels: tuple[str, str, str]) -> None:
        self.duration = metrics.request_duration.labelled(*labels)
        self.ttft = metrics.time_to_first_token.labelled(*labels)
        self.tpot = metrics.time_per_output_token.labelled(*labels)
        self.input_tokens = metrics.input_tokens.labelled(*labels)
        self.output_tokens = metrics.output_tokens.labelled(*labels)


class Metrics:
    """Every figure the service publishes. Observing one turn takes two microseconds.

    Turns are told of on the event loop's thread.
    """

    def __init__(self, version: str = "") -> None:
        self.registry = registry = CollectorRegistry()
        self.turns_active = 0
        self.turns = Counts("headrace_turns", "Turns that ended.", ("status", "model"))
        self.findings = Counts(
            "headrace_findings", "What screening found.", ("kind", "action", "side")
        )
        self.faults = Counts(
            "headrace_screening_faults",
            "Looks that a detector could not take.",
            ("detector", "fault", "mode"),
        )
        self.shadow_skipped = Counts(
            "headrace_shadow_skipped",
            "Turns that a release in the shadow got no copy of.",
            ("reason",),
        )
        self.cost = Counts("headrace_cost_usd", "What the answers cost, in USD.", ("model",))
        self.time_to_first_token = Tallies(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request to the first piece of the answer.",
            _GEN_AI,
            _TTFT,
        )
        self.time_per_output_token = Tallies(
            "gen_ai_server_time_per_output_token_seconds",
            "Time per token after the first.",
            _GEN_AI,
            _TPOT,
        )
        self.request_duration = Tallies(
            "gen_ai_server_request_duration_seconds",
            "From the request to the end of the answer.",
            _GEN_AI,
            _SECONDS,
        )
        self.input_tokens = Tallies(
            "gen_ai_client_inference_operation_input_tokens",
            "Tokens of a prompt.",
            _GEN_AI,
            _TOKENS,
        )
        self.output_tokens = Tallies(
            "gen_ai_client_inference_operation_output_tokens",
            "Tokens of an answer.",
            _GEN_AI,
            _TOKENS,
        )
        self.cached_tokens = Counts(
            "gen_ai_client_inference_usage_cache_read_input_tokens",
            "Prompt tokens that the model had in its cache.",
            _GEN_AI,
        )
        registry.register(_TurnCollector(self))
        if version:
            Info("headrace_build", "This version.", registry=registry).info({"version": version})
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._models = _Bounded()
        self._kinds = _Bounded()

    def turn_started(self) -> None:
        self.turns_active += 1

    def turn_restarted(self) -> None:
        """It will be told of as started once more."""
        self.turns_active -= 1

    def observe_turn(self, trace: Trace) -> None:
        """Count a turn that has ended."""
        self.turns_active -= 1
        model = self._model(trace)
        self.turns.add((trace.status, model))
        labels = (trace.operation, trace.provider, model)
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = _Series(self, labels)
        series.duration.observe(trace.duration_s)
        if trace.ttft_s is not None:
            series.ttft.observe(trace.ttft_s)
        if trace.tpot_s is not None:
            series.tpot.observe(trace.tpot_s)
        if trace.prompt_tokens:
            series.input_tokens.observe(trace.prompt_tokens)
        if trace.completion_tokens:
            series.output_tokens.observe(trace.completion_tokens)
        if trace.cached_tokens:
            self.cached_tokens.add(labels, trace.cached_tokens)
        for finding in trace.findings:
            kind = self._kinds.label(str(finding["kind"]))
            self.findings.add((kind, str(finding["action"]), str(finding["side"])))
            what = str(finding["kind"])
            if what.startswith("fault."):
                mode = "closed" if finding["action"] == "block" else "open"
                self.faults.add((str(finding["detector"]), what.removeprefix("fault."), mode))
        if trace.cost_usd:
            self.cost.add((model,), trace.cost_usd)

    def watch_writer(self, writer: WriterStatus) -> None:
        """Publish how the trace writer fares. Call it once."""
        self.registry.register(_WriterCollector(writer))

    def watch_exporter(self, exporter: ExporterStatus) -> None:
        """Publish how the OTLP export fares. Call it once."""
        self.registry.register(_ExporterCollector(exporter))

    def render(self) -> bytes:
        """The text that Prometheus scrapes (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _model(self, trace: Trace) -> str:
        """The label for the model: names that no model has are one, or clients could make series.

        While the database is down a turn fails before its model is looked up; then only the
        bound on values holds them back.
        """
        if trace.error == UnknownModel.code:
            return "unknown"
        return self._models.label(trace.model)


class _Bounded:
    """The values of one label: the first hundred by name, all others together."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def label(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= LABEL_VALUES:
            return OTHER
        self._seen.add(value)
        return value


class _TurnCollector(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield metrics.turns.family()
        yield GaugeMetricFamily(
            "headrace_turns_active", "Turns on their way now.", value=metrics.turns_active
        )
        yield metrics.findings.family()
        yield metrics.faults.family()
        yield metrics.shadow_skipped.family()
        yield metrics.cost.family()
        yield metrics.time_to_first_token.family()
        yield metrics.time_per_output_token.family()
        yield metrics.request_duration.family()
        yield metrics.input_tokens.family()
        yield metrics.output_tokens.family()
        yield metrics.cached_tokens.family()


class _WriterCollector(Collector):
    def __init__(self, writer: WriterStatus) -> None:
        self._writer = writer

    def collect(self) -> Iterator[Metric]:
        writer = self._writer
        yield CounterMetricFamily(
            "headrace_traces_shed", "Records refused: the journal was full.", value=writer.shed
        )
        yield CounterMetricFamily(
            "headrace_records_rejected",
            "Records the database would not take; kept in journal.rejected.",
            value=writer.rejected,
        )
        yield CounterMetricFamily(
            "headrace_records_damaged",
            "Records lost because the disk had changed them in the journal.",
            value=writer.damaged,
        )
        yield GaugeMetricFamily(
            "headrace_journal_pending_bytes",
            "Bytes that wait for the database.",
            value=writer.pending_bytes,
        )
        yield GaugeMetricFamily(
            "headrace_journal_capacity_bytes", "Size of the journal.", value=writer.capacity_bytes
        )
        yield GaugeMetricFamily(
            "headrace_database_writable",
            "1 when the last write to the database went well.",
            value=float(writer.is_healthy),
        )


class _ExporterCollector(Collector):
    def __init__(self, exporter: ExporterStatus) -> None:
        self._exporter = exporter

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "headrace_otlp_traces_exported",
            "Traces that the collector took.",
            value=self._exporter.exported,
        )
        yield CounterMetricFamily(
            "headrace_otlp_traces_dropped",
            "Traces that the collector refused, or that did not fit into the buffer.",
            value=self._exporter.dropped,
        )
