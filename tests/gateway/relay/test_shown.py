"""Keys that are no administrator's learn no host, provider or setting from a failure."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.upstreams.openai import KEY, MODEL, error_answer
from tests.upstreams.server import Answer, Server

CONFIG = """\
models:
  relayed:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{one}", api_key: "{key}"}}
    balance: {{retry: {{attempts: 1}}, queue: {{wait_s: 1}}}}
  gone:
    deployments:
      - {{backend: openai, model: {model}, base_url: "http://127.0.0.1:1/v1", api_key: "{key}"}}
    balance: {{retry: {{attempts: 1}}, queue: {{wait_s: 1}}}}
pipeline: [{steps}generate]
"""
QUESTION = {"messages": [{"role": "user", "content": "Who?"}]}


@pytest.fixture(scope="module", params=["", "normalize, "], ids=["direct", "ordinary"])
def service(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    upstreams: list[Server],
) -> Iterator[ServiceProcess]:
    root = tmp_path_factory.mktemp("shown")
    one = upstreams[0].url("/v1")
    text = CONFIG.format(model=MODEL, key=KEY, one=one, steps=request.param)
    (root / "headrace.yaml").write_text(text)
    running = ServiceProcess.start(root, root / "home")
    yield running
    running.kill()


@pytest.fixture(scope="module")
def user_key(service: ServiceProcess) -> str:
    made = service.called("keys", "create", "app", "--json")
    key = str(json.loads(made.stdout)["secret"])
    headers = {"authorization": f"Bearer {key}"}
    models = f"{service.url}/v1/models"
    wait_for(lambda: httpx.get(models, headers=headers).status_code == 200)
    return key


def ask(service: ServiceProcess, key: str, model: str, *, stream: bool = False) -> str:
    body = {"model": model, "stream": stream, **QUESTION}
    headers = {"authorization": f"Bearer {key}"}
    url = f"{service.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=60).text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_address_is_the_administrators_to_know(
    service: ServiceProcess, user_key: str, stream: bool
) -> None:
    told = ask(service, user_key, "gone", stream=stream)
    assert "model_unavailable" in told
    assert "127.0.0.1" not in told
    assert "127.0.0.1:1" in ask(service, service.key, "gone", stream=stream)
    assert "127.0.0.1:1" in service.said(), "the log has what the client was not told"


def test_what_is_wrong_with_a_request_is_told_to_all(
    service: ServiceProcess, user_key: str, upstreams: list[Server]
) -> None:
    upstreams[0].on(
        "POST", "/v1/*", lambda _: error_answer(400, "bad stop", "invalid_request_error", None)
    )
    assert "bad stop" in ask(service, user_key, "relayed")


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_what_a_provider_says_of_us_is_too(
    service: ServiceProcess, user_key: str, upstreams: list[Server], status: int
) -> None:
    def refuse(_: object) -> Answer:
        return error_answer(status, f"project proj_8 of acme: {KEY}", "x", None)

    upstreams[0].on("POST", "/v1/*", refuse)
    told = ask(service, user_key, "relayed")
    assert "error" in told
    assert all(each not in told for each in ("proj_8", "OpenAI", MODEL, KEY, "base_url")), told
    full = ask(service, service.key, "relayed")
    assert KEY not in full
    assert KEY not in service.said()
