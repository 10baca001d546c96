"""Metrics: Prometheus can read them, their number is bounded, and docs/traces.md names each."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from headrace.screening.finding import Finding
from headrace.storage.writer import BatchWriter
from headrace.telemetry.metrics import LABEL_VALUES, Metrics
from headrace.telemetry.trace import Trace

MakeTrace = Callable[..., Trace]
REPOSITORY = Path(__file__).parents[2]


class Exporter:
    """What metrics see of an OTLP exporter."""

    exported = 3
    dropped = 2


def families(metrics: Metrics) -> dict[str, Metric]:
    parsed = text_string_to_metric_families(metrics.render().decode())
    return {family.name: family for family in parsed}


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    found: float | None = metrics.registry.get_sample_value(sample, labels)
    return found


def gen_ai(**others: str) -> dict[str, str]:
    return {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "llama_cpp",
        "gen_ai_request_model": "assistant",
        **others,
    }


def test_prometheus_reads_every_metric_and_the_guide_names_it(
    metrics: Metrics, make_trace: MakeTrace, writer: BatchWriter
) -> None:
    metrics.watch_writer(writer)
    metrics.watch_exporter(Exporter())
    metrics.turn_started()
    metrics.observe_turn(make_trace())
    guide = (REPOSITORY / "docs" / "traces.md").read_text()
    found = families(metrics)
    assert len(found) > 15
    for name, family in found.items():
        shown = f"{name}_total" if family.type == "counter" else name
        assert f"`{shown}`" in guide, f"docs/traces.md does not name {shown}"
        assert family.documentation


def test_a_turn_is_counted_once_in_each(metrics: Metrics, make_trace: MakeTrace) -> None:
    metrics.turn_started()
    assert value(metrics, "headrace_turns_active") == 1
    metrics.observe_turn(make_trace())
    assert value(metrics, "headrace_turns_active") == 0
    assert value(metrics, "headrace_turns_total", status="ok", model="assistant") == 1
    found = {"kind": "email", "action": "mask", "side": "input"}
    assert value(metrics, "headrace_findings_total", **found) == 1
    assert value(metrics, "headrace_cost_usd_total", model="assistant") == pytest.approx(1.25e-5)
    sums = {
        "gen_ai_server_request_duration_seconds": 0.5,
        "gen_ai_server_time_to_first_token_seconds": 0.12,
        "gen_ai_server_time_per_output_token_seconds": 0.011,
        "gen_ai_client_inference_operation_input_tokens": 24,
        "gen_ai_client_inference_operation_output_tokens": 5,
    }
    for name, total in sums.items():
        assert value(metrics, f"{name}_sum", **gen_ai()) == pytest.approx(total), name
        assert value(metrics, f"{name}_count", **gen_ai()) == 1, name
    cached = "gen_ai_client_inference_usage_cache_read_input_tokens_total"
    assert value(metrics, cached, **gen_ai()) == 8


def test_a_turn_without_an_answer_has_no_time_to_first_token(
    metrics: Metrics, make_trace: MakeTrace
) -> None:
    metrics.turn_started()
    metrics.observe_turn(make_trace(ttft_s=None, tpot_s=None, status="blocked"))
    assert value(metrics, "gen_ai_server_time_to_first_token_seconds_count", **gen_ai()) == 0
    assert value(metrics, "gen_ai_server_time_per_output_token_seconds_count", **gen_ai()) == 0
    assert value(metrics, "headrace_turns_total", status="blocked", model="assistant") == 1


def test_unknown_models_share_one_series(metrics: Metrics, make_trace: MakeTrace) -> None:
    for number in range(50):
        trace = make_trace(model=f"no-such-{number}", error="model_not_found", status="error")
        metrics.observe_turn(trace)
    assert value(metrics, "headrace_turns_total", status="error", model="unknown") == 50
    assert b"no-such" not in metrics.render()


def test_clients_cannot_make_series_without_end(metrics: Metrics, make_trace: MakeTrace) -> None:
    for number in range(3 * LABEL_VALUES):
        kind = Finding(
            kind=f"k{number}", detector="own", side="input", action="flag", start=0, end=1
        )
        metrics.observe_turn(
            make_trace(model=f"m{number}", error="OperationalError", findings=(kind,))
        )
    for name, label in [("headrace_turns", "model"), ("headrace_findings", "kind")]:
        samples = [s for s in families(metrics)[name].samples if s.name.endswith("_total")]
        assert len(samples) == LABEL_VALUES + 1
        others = [s.value for s in samples if s.labels[label] == "other"]
        assert others == [2 * LABEL_VALUES]


def test_the_writer_is_watched_while_it_works(metrics: Metrics, writer: BatchWriter) -> None:
    metrics.watch_writer(writer)
    assert value(metrics, "headrace_database_writable") == 1
    assert value(metrics, "headrace_journal_capacity_bytes") == writer.capacity_bytes
    assert not writer.append("trace.end", bytes(writer.capacity_bytes))
    writer.failure = "database is locked"
    assert value(metrics, "headrace_traces_shed_total") == 1
    assert value(metrics, "headrace_database_writable") == 0


def test_the_export_is_watched(metrics: Metrics) -> None:
    metrics.watch_exporter(Exporter())
    assert value(metrics, "headrace_otlp_traces_exported_total") == 3
    assert value(metrics, "headrace_otlp_traces_dropped_total") == 2


def test_two_services_in_one_process_do_not_share_figures(make_trace: MakeTrace) -> None:
    one, two = Metrics(), Metrics()
    one.observe_turn(make_trace())
    assert value(two, "headrace_turns_total", status="ok", model="assistant") is None
