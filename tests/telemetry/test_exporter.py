"""OTLP export, against a collector that listens on a real port."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest

from headrace.errors import ConfigError
from headrace.privacy.vault import Vault
from headrace.storage.writer import BatchWriter
from headrace.telemetry import exporter as exporter_module
from headrace.telemetry.exporter import TraceExporter
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.otlp import Resource
from headrace.telemetry.record import TraceEnd
from headrace.telemetry.recorder import TRACE_END, TraceRecorder
from headrace.telemetry.trace import Trace
from tests.running import wait_for
from tests.telemetry.collector import Answer, Collector

MakeTrace = Callable[..., Trace]
RESOURCE = Resource(name="headrace", version="1.2.3", instance="one")


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def make_exporter(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TraceExporter]]:
    """An exporter to the collector that does not dawdle."""
    monkeypatch.setattr(exporter_module, "INTERVAL_S", 0.01)
    monkeypatch.setattr(exporter_module, "RETRY_FIRST_S", 0.01)
    made: list[TraceExporter] = []

    def make(
        endpoint: str = collector.address,
        headers: dict[str, str] | None = None,
        vault: Vault | None = None,
        start: bool = True,
    ) -> TraceExporter:
        exporter = TraceExporter(endpoint, headers or {}, RESOURCE, vault)
        if start:
            exporter.start()
        made.append(exporter)
        return exporter

    yield make
    for exporter in made:
        exporter.close()


def ended(traces: Sequence[Trace]) -> list[bytes]:
    return [msgspec.msgpack.encode(TraceEnd(trace, None, None)) for trace in traces]


def otlp_id(trace: Trace) -> str:
    return trace.id.replace("-", "")


def test_a_committed_trace_arrives(
    collector: Collector, make_exporter: Callable[..., TraceExporter], make_trace: MakeTrace
) -> None:
    exporter = make_exporter(headers={"x-api-key": "k"})
    trace = make_trace()
    exporter.committed(ended([trace]))
    request = collector.next()
    assert request.path == "/v1/traces"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-api-key"] == "k"
    assert request.trace_ids == [otlp_id(trace)]
    wait_for(lambda: exporter.exported == 1)
    assert exporter.dropped == 0


def test_many_traces_come_compressed_in_batches_in_order(
    collector: Collector, make_exporter: Callable[..., TraceExporter], make_trace: MakeTrace
) -> None:
    exporter = make_exporter(start=False)
    traces = [make_trace() for _ in range(100)]
    exporter.committed(ended(traces))
    exporter.start()
    requests = [collector.next(), collector.next()]
    assert [request.headers["content-encoding"] for request in requests] == ["gzip", "gzip"]
    found = [trace_id for request in requests for trace_id in request.trace_ids]
    assert found == [otlp_id(trace) for trace in traces]


@pytest.mark.parametrize("content", [False, True])
async def test_the_whole_way_from_the_turn_to_the_collector(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_writer: Callable[..., BatchWriter],
    make_trace: MakeTrace,
    vault: Vault,
    metrics: Metrics,
    content: bool,
) -> None:
    exporter = make_exporter(vault=vault if content else None)
    writer = make_writer(committed={TRACE_END: exporter.committed})
    writer.start()
    recorder = TraceRecorder(writer, vault, metrics)
    vault.unlock_now("ada")
    trace = make_trace(prompt="我的秘密", answer="保密")
    recorder.started(trace)
    recorder.record(trace)
    request = collector.next()
    assert request.trace_ids == [otlp_id(trace)]
    assert ("我的秘密" in json.dumps(request.body, ensure_ascii=False)) == content
    assert ("保密" in json.dumps(request.body, ensure_ascii=False)) == content


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_collector_is_asked_again(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    status: int,
) -> None:
    for _ in range(2):
        collector.answers.put(Answer(status))
    exporter = make_exporter()
    trace = make_trace()
    exporter.committed(ended([trace]))
    assert [collector.next().trace_ids for _ in range(3)] == [[otlp_id(trace)]] * 3
    wait_for(lambda: exporter.exported == 1)
    assert exporter.dropped == 0


def test_retry_after_is_honoured(
    collector: Collector, make_exporter: Callable[..., TraceExporter], make_trace: MakeTrace
) -> None:
    collector.answers.put(Answer(503, {"retry-after": "1"}))
    make_exporter().committed(ended([make_trace()]))
    first, second = collector.next(), collector.next()
    assert second.at - first.at >= 0.95


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("-5", 0.0),
        ("86400", 300.0),
        ("soon", 0.0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 300.0),
        ("Thu, 01 Jan 2015 00:00:00 GMT", 0.0),
    ],
)
def test_what_retry_after_may_say(said: str, expected: float) -> None:
    import httpx

    response = httpx.Response(503, headers={"retry-after": said})
    assert exporter_module._retry_after_s(response) == expected


def test_what_is_refused_for_good_is_dropped_and_the_next_is_sent(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector.answers.put(Answer(400))
    exporter = make_exporter()
    exporter.committed(ended([make_trace()]))
    collector.next()
    wait_for(lambda: exporter.dropped == 1)
    exporter.committed(ended([make_trace()]))
    collector.next()
    wait_for(lambda: exporter.exported == 1)
    assert "HTTP 400; 1 traces dropped" in caplog.text


@pytest.mark.parametrize("rejected", ['"2"', "2"], ids=["as a string", "as a number"])
def test_a_partial_success_is_said_and_not_sent_again(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    caplog: pytest.LogCaptureFixture,
    rejected: str,
) -> None:
    partial = f'{{"partialSuccess": {{"rejectedSpans": {rejected}, "errorMessage": "too old"}}}}'
    collector.answers.put(Answer(body=partial.encode()))
    exporter = make_exporter()
    exporter.committed(ended([make_trace()]))
    collector.next()
    wait_for(lambda: exporter.exported == 1)
    assert "2 spans refused: too old" in caplog.text
    exporter.close()
    assert collector.received.empty()


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"ok", b'{"partialSuccess": "?"}'])
def test_an_odd_answer_does_no_harm(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    body: bytes,
) -> None:
    collector.answers.put(Answer(body=body))
    exporter = make_exporter()
    exporter.committed(ended([make_trace()]))
    collector.next()
    wait_for(lambda: exporter.exported == 1)


def test_one_unreadable_record_does_not_end_the_export(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
) -> None:
    exporter = make_exporter()
    exporter.committed([b"not a record"])
    wait_for(lambda: exporter.dropped == 1)
    exporter.committed(ended([make_trace()]))
    collector.next()
    wait_for(lambda: exporter.exported == 1)


def test_a_collector_that_is_away_gets_the_newest_when_it_is_back(
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(exporter_module, "BUFFERED_TRACES", 3)
    away = Collector()
    address = away.address
    away.close()
    exporter = make_exporter(endpoint=address)
    traces = [make_trace() for _ in range(5)]
    exporter.committed(ended(traces))
    wait_for(lambda: "traces to" in caplog.text)
    assert exporter.dropped == 2
    assert exporter.exported == 0
    exporter.close()
    assert exporter.dropped == 5
    assert "3 traces were not sent" in caplog.text


def test_closing_sends_what_is_waiting(
    collector: Collector, make_exporter: Callable[..., TraceExporter], make_trace: MakeTrace
) -> None:
    exporter = make_exporter(start=False)
    traces = [make_trace() for _ in range(3)]
    exporter.start()
    exporter.committed(ended(traces))
    exporter.close()
    assert exporter.exported == 3
    assert collector.next().trace_ids == [otlp_id(trace) for trace in traces]


@pytest.mark.parametrize(
    "endpoint", ["localhost:4318", "grpc://x:4317", "http://", "http://x:70000", ""]
)
def test_an_address_that_is_none_is_refused_at_once(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"traces\.otlp_endpoint"):
        TraceExporter(endpoint, {}, RESOURCE)


def test_a_host_that_cannot_be_spelled_is_said_and_survived(
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = make_exporter(endpoint="http://a..b:4318")
    exporter.committed(ended([make_trace()]))
    wait_for(lambda: "traces to" in caplog.text)
    assert exporter._thread.is_alive()


@pytest.mark.parametrize("given", ["/v1/traces", "/", "/v1/traces/"])
def test_the_path_may_stand_in_the_address(
    collector: Collector,
    make_exporter: Callable[..., TraceExporter],
    make_trace: MakeTrace,
    given: str,
) -> None:
    make_exporter(endpoint=collector.address + given).committed(ended([make_trace()]))
    assert collector.next().path == "/v1/traces"


@pytest.mark.parametrize(
    "headers", [{"bad name": "x"}, {"x": "line\nbreak"}, {"x": "钥匙"}, {"": "x"}]
)
def test_a_header_that_cannot_be_sent_is_refused_and_its_value_not_shown(
    headers: dict[str, str],
) -> None:
    with pytest.raises(ConfigError, match=r"traces\.otlp_headers") as caught:
        TraceExporter("http://localhost:4318", headers, RESOURCE)
    assert "钥匙" not in str(caught.value)


def test_without_export_no_http_client_is_imported() -> None:
    script = """
import sys
import headrace.telemetry.feedback, headrace.telemetry.metrics, headrace.telemetry.otlp
import headrace.telemetry.recorder, headrace.telemetry.store
import headrace.access.keys, headrace.privacy.vault
print(sorted({"httpx", "alembic", "jinja2"} & sys.modules.keys()))
import headrace, headrace.telemetry, headrace.storage, headrace.access, headrace.privacy
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_front_doors_import_nothing_heavy() -> None:
    script = """
import sys
import headrace, headrace.telemetry, headrace.storage, headrace.access, headrace.privacy
heavy = {"sqlalchemy", "httpx", "cryptography", "alembic", "prometheus_client"}
print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
