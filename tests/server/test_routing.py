"""A service in front of servers that fail: what its clients notice, and what its traces say."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.running import HEADRACE, ServiceProcess, wait_for
from tests.server.conftest import Start
from tests.upstreams.openai import KEY as UPSTREAM_KEY
from tests.upstreams.openai import MODEL, FakeOpenAI, error_answer
from tests.upstreams.said import Said
from tests.upstreams.server import Server, serving

CONFIG = """\
region: eu-west
models:
  chat:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{one}", api_key: "{key}", region: eu-west, price: {{input: 1, output: 2}}}}
      - {{backend: openai, model: {model}, base_url: "{two}", api_key: "{key}", region: us-east}}
    balance: {{prefer: order}}
  spare:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{three}", api_key: "{key}", region: eu-north}}
routes:
  assistant: {{models: [chat, spare]}}
  european: {{models: [chat, spare], require: {{regions: [eu]}}}}
limits:
  - {{model: spare, requests_per_minute: 2}}
pipeline: [generate]
"""


@pytest.fixture
def upstreams() -> Iterator[list[Server]]:
    with serving() as one, serving() as two, serving() as three:
        for name, each in zip(("one", "two", "three"), (one, two, three), strict=True):
            FakeOpenAI([Said((f"I am {name}.",))]).mount(each)
        yield [one, two, three]


@pytest.fixture
def service(start: Start, tmp_path: Path, upstreams: list[Server]) -> ServiceProcess:
    urls = [each.url("/v1") for each in upstreams]
    root = tmp_path / "root"
    root.mkdir()
    text = CONFIG.format(model=MODEL, key=UPSTREAM_KEY, one=urls[0], two=urls[1], three=urls[2])
    (root / "headrace.yaml").write_text(text)
    return start()


def client_of(service: ServiceProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0)


def ask(service: ServiceProcess, model: str = "chat") -> str:
    with client_of(service) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Who are you?"}]
        )
    return answer.choices[0].message.content or ""


def stream(service: ServiceProcess, model: str = "chat") -> str:
    with client_of(service) as client:
        chunks = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Who are you?"}], stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def break_down(server: Server) -> None:
    server.routes.clear()
    server.on(
        "POST", "/v1/*", lambda _: error_answer(503, "overloaded", "server_error", "unavailable")
    )


def generate_span(service: ServiceProcess) -> dict[str, object]:
    with service.client() as client:
        reply = client.post(
            "/v1/chat/completions",
            json={"model": "assistant", "messages": [{"role": "user", "content": "Who?"}]},
        )
    trace = reply.headers["x-headrace-trace"]
    found: list[dict[str, object]] = []

    def shown() -> bool:
        out = subprocess.run(
            [HEADRACE, "trace", "show", trace, "--json"],
            capture_output=True,
            text=True,
            cwd=service.log.parent,
            env={**os.environ, "HEADRACE_HOME": str(service.home)},
            check=False,
        )
        if out.returncode != 0:
            return False
        found.append(json.loads(out.stdout))
        return True

    wait_for(shown)
    spans = found[-1]["spans"]
    assert isinstance(spans, list)
    (span,) = [each for each in spans if each["name"] == "generate"]
    assert isinstance(span, dict)
    return {
        **span["attributes"],
        "deployment": found[-1]["deployment"],
        "cost": found[-1]["cost_usd"],
    }


def test_each_that_fails_is_answered_for_by_the_next(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    assert (ask(service), stream(service)) == ("I am one.", "I am one.")
    break_down(upstreams[0])
    assert [ask(service), stream(service)] == ["I am two."] * 2
    assert ask(service, "assistant") == "I am two."
    break_down(upstreams[1])
    assert ask(service, "assistant") == "I am three."
    said = generate_span(service)
    assert said["deployment"] == "spare-0"
    assert said["headrace.routing.model"] == "spare"
    assert str(said["headrace.routing.reason"]).startswith("fall-back")
    break_down(upstreams[2])
    with pytest.raises(openai.InternalServerError) as caught:
        ask(service, "assistant")
    assert caught.value.status_code == 503


def test_no_fall_back_leaves_the_regions_that_a_route_keeps_to(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    assert ask(service, "european") == "I am one."
    break_down(upstreams[0])
    assert ask(service, "european") == "I am three."
    break_down(upstreams[2])
    with pytest.raises(openai.InternalServerError):
        ask(service, "european")
    assert not [each for each in upstreams[1].asked if each.method == "POST"]


def test_a_limit_is_said_in_openais_words_and_headers(service: ServiceProcess) -> None:
    with client_of(service) as client:
        first = client.chat.completions.with_raw_response.create(
            model="spare", messages=[{"role": "user", "content": "Who are you?"}]
        )
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
    ask(service, "spare")
    with pytest.raises(openai.RateLimitError) as caught:
        ask(service, "spare")
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 61
    assert ask(service, "chat") == "I am one."


def test_every_model_and_route_is_listed_and_the_deployments_are_measured(
    service: ServiceProcess,
) -> None:
    with client_of(service) as client:
        assert {each.id for each in client.models.list()} == {
            "chat", "spare", "assistant", "european", "embedding", "embedding-multilingual",
        }  # fmt: skip
    ask(service)
    with service.client() as plain:
        text = plain.get("/metrics").text
    assert 'headrace_deployment_up{deployment="chat-0",model="chat"} 1.0' in text
    open_to_chat = 'headrace_upstream_connections{deployment="chat-0",model="chat",state="%s"} %s'
    assert open_to_chat % ("idle", "1.0") in text or open_to_chat % ("busy", "1.0") in text


def test_what_an_answer_cost_is_its_deployments_price(service: ServiceProcess) -> None:
    said = generate_span(service)
    assert said["deployment"] == "chat-0"
    assert isinstance(said["cost"], float)
    assert said["cost"] > 0
