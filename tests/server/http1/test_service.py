"""The HTTP server as part of a whole service: addresses, keys, TLS, limits from headrace.yaml."""

import json
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.conftest import BARE, Start
from tests.server.http1.site import Client, get, post
from tests.server.http1.test_certificate import write_certificate

pytestmark = [pytest.mark.service, pytest.mark.model]

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


def connect(service: ServiceProcess) -> Client:
    address = urlsplit(service.url)
    return Client(socket.create_connection((address.hostname, address.port), timeout=30))


def test_an_escaped_address_is_not_the_address(service: ServiceProcess) -> None:
    """Nor does it answer without a key."""
    key = f"Authorization: Bearer {service.key}"
    with connect(service) as client:
        assert client.ask(get("/v1/models", key)).status == 200
        assert client.ask(get("/v1/chat%2Fcompletions", key)).code == "not_found"
        assert client.ask(get("/v1/chat%2Fcompletions")).code == "invalid_api_key"
        assert client.ask(get("/v1%2Fmodels", key)).status == 404


def test_a_models_name_may_be_escaped(service: ServiceProcess) -> None:
    with connect(service) as client:
        answer = client.ask(get("/v1/models/a%2Fb", f"Authorization: Bearer {service.key}"))
    assert answer.code == "model_not_found"
    assert "'a/b'" in answer.body.decode()


def test_a_key_that_is_refused_does_not_cost_the_connection(service: ServiceProcess) -> None:
    body = json.dumps(HELLO).encode()
    with connect(service) as client:
        assert client.ask(post(CHAT, body)).status == 401
        client.send(post(CHAT, body)[: -len(body)])
        assert client.answer().status == 401
        client.send(body)
        assert client.ask(get("/healthz")).status == 200


def test_the_pages_and_the_api_share_a_connection(service: ServiceProcess) -> None:
    with connect(service) as client:
        client.send(get("/sign-in") + get("/healthz") + get("/"))
        page, health, chat = client.answer(), client.answer(), client.answer()
    assert (page.status, health.body, chat.status) == (200, b'{"status":"ok"}', 303)
    assert page.headers["content-security-policy"]


def test_a_client_that_leaves_before_its_whole_answer_stops_the_model(
    service: ServiceProcess,
) -> None:
    def active() -> str:
        (line,) = [
            line
            for line in api.get("/metrics").text.splitlines()
            if line.startswith("headrace_turns_active ")
        ]
        return line.split()[1]

    body = {**HELLO, "max_tokens": 1500, "ignore_eos": True}
    asked = post(CHAT, json.dumps(body).encode(), f"Authorization: Bearer {service.key}")
    with service.client() as api:
        with connect(service) as client:
            client.send(asked)
            wait_for(lambda: active() == "1.0")
        wait_for(lambda: active() == "0.0", timeout_s=5)
        text = api.get("/metrics").text
    assert 'status="cancelled"' in text


def test_a_service_speaks_tls_and_its_own_commands_reach_it(start: Start, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "tls").mkdir(parents=True)
    write_certificate(root / "tls", "llm.example.org")
    tls = "{certificate: tls/certificate.pem, key: tls/key.pem}"
    limits = f"server: {{tls: {tls}, max_header_bytes: 2048, drain_s: 1}}"
    (root / "headrace.yaml").write_text(BARE.replace("server: {drain_s: 1}", limits))
    running = start(wait=False)
    announced = running.home / "service.json"
    wait_for(announced.exists)
    running.url = json.loads(announced.read_text())["url"]
    assert running.url.startswith("https://127.0.0.1:")
    trusted = ssl.create_default_context(cafile=str(root / "tls" / "certificate.pem"))
    trusted.check_hostname = False

    with httpx.Client(base_url=running.url, verify=trusted) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        key = (running.home / "admin.key").read_text().strip()
        client.headers["authorization"] = f"Bearer {key}"
        assert client.post(CHAT, json=HELLO).status_code == 200
        with client.stream("POST", CHAT, json={**HELLO, "stream": True}) as streamed:
            assert [line for line in streamed.iter_lines() if line][-1] == "data: [DONE]"
        refused = client.get("/v1/models", headers={"x-long": "a" * 3000})
        assert refused.json()["error"]["code"] == "headers_too_large"
    # Without --url, the command finds the service that runs here, and trusts its certificate.
    assert json.loads(running.run("chat", "hello", "--max-tokens", "8", "--json").stdout)
    assert f"{running.url} (pid" in running.run("doctor", check=False).stdout
    assert "without TLS" not in running.said()
    assert running.stop() == 0


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    tls = "{certificate: missing.pem, key: missing.pem}"
    (tmp_path / "headrace.yaml").write_text(
        BARE.replace("{drain_s: 1}", f"{{tls: {tls}}}"), encoding="utf-8"
    )
    service = ServiceProcess.launch(tmp_path, tmp_path / "home")
    assert service.process.wait(timeout=30) == 1
    assert "missing.pem cannot be read" in service.said()
    assert "server.tls" in service.said()
    assert "Traceback" not in service.said()
