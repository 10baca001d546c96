"""A running service, real model and all: its traces go to a collector, and no text lies in clear."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.running import ServiceProcess, wait_for
from tests.telemetry.collector import Collector
from tests.telemetry.test_otlp import attributes_of, check_conventions, events_of, span_named

pytestmark = [pytest.mark.service, pytest.mark.model]

ADDRESS = "ada.lovelace@example.com"
ASKED = f"My address is {ADDRESS}. 请回答: what is a river?"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_a_turn_from_the_wire_to_the_collector(
    tmp_path: Path, model_home: Path, collector: Collector
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    assistant = resources.files("headrace.config").joinpath("builtin/headrace.yaml").read_text()
    traces = f"traces:\n  otlp_endpoint: {collector.address}\n"
    (root / "headrace.yaml").write_text(assistant + traces)
    service = ServiceProcess.start(root, model_home)
    try:
        with service.client() as client:
            answer = client.post(
                "/v1/chat/completions",
                json={
                    "messages": [{"role": "user", "content": ASKED}],
                    "max_tokens": 8,
                    "temperature": 0,
                    "user": "ada",
                    "conversation": "rivers",
                },
            )
            trace = answer.headers["x-headrace-trace"]
            received = collector.next()
            rated = client.post(
                "/v1/feedback", json={"trace": trace, "score": 1, "comment": "Lovelace likes it"}
            )
            assert rated.status_code == 201
            metrics = client.get("/metrics").text

        resource = received.body["resourceSpans"]
        assert isinstance(resource, list)
        spans = resource[0]["scopeSpans"][0]["spans"]
        assert received.trace_ids == [trace.replace("-", "")]
        check_conventions(spans)
        usage = answer.json()["usage"]
        said = answer.json()["choices"][0]["message"]["content"]
        assert len(said) > 8, "too short to be looked for"
        call = attributes_of(span_named(spans, "chat"))
        assert call["gen_ai.usage.input_tokens"] == {"intValue": str(usage["prompt_tokens"])}
        assert call["gen_ai.usage.output_tokens"] == {"intValue": str(usage["completion_tokens"])}
        found = [event for span in spans for event in events_of(span)]
        kinds = [attributes_of(each)["gen_ai.guardrail.risk.category"] for each in found]
        assert {"stringValue": "email"} in kinds
        assert "lovelace" not in json.dumps(received.body)

        guide = (Path(__file__).parents[2] / "docs" / "traces.md").read_text()
        for family in text_string_to_metric_families(metrics):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert f"`{name}`" in guide
        assert 'headrace_turns_total{model="smollm2-135m",status="ok"} 1.0' in metrics
        wait_for(lambda: "otlp_traces_exported_total 1.0" in scrape(service))
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            service.kill()
    kept = [path for path in model_home.iterdir() if path.is_file()]
    assert {"state.db", "journal.ring"} <= {path.name for path in kept}
    for path in kept:
        for secret in ("lovelace", "Lovelace", "请回答", "what is a river", said):
            assert secret.encode() not in path.read_bytes(), (path.name, secret)


def scrape(service: ServiceProcess) -> str:
    with service.client() as client:
        return client.get("/metrics").text
