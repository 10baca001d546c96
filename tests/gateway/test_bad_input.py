"""What comes in wrong gets a clear error in OpenAI's shape, and harms nothing."""

import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model]

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]


def error_of(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    error: dict[str, str] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"]
    return error


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"messages": [}', "not valid JSON"),
        (b"[]", "expected 'object'"),
        (b'{"messages": "hi"}', "messages"),
        (b'{"messages": [{"role": "wizard", "content": "x"}]}', "messages[0].role"),
        (b'{"messages": [{"content": "x"}]}', "messages[0].role"),
        (b'{"messages": [{"role": "user", "content": 7}]}', "messages[0].content"),
        (b'{"messages": [], "stream": "yes"}', "stream"),
        (b'{"messages": [], "temperature": 3}', "temperature"),
        (b'{"messages": [], "n": 0}', "'n'"),
        (b'{"messages": [], "max_tokens": 0}', "max_tokens"),
        (b'{"messages": [], "top_logprobs": 2}', "logprobs"),
        (b"{}", "messages"),
        (b'{"messages": []}', "messages"),
        (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', "UTF-8"),
        (b'{"messages": ' + b"[" * 100_000, "messages[0]"),
        (b'{"messages": [], "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_body_says_what_is_wrong(service: ServiceProcess, body: bytes, says: str) -> None:
    with service.client() as client:
        response = client.post(CHAT, content=body)
    error = error_of(response, 400)
    assert says.lower() in error["message"].lower()
    assert error["type"] == "invalid_request_error"


def test_the_field_at_fault_is_named(service: ServiceProcess) -> None:
    body = {"messages": [*HELLO, {"role": "user", "content": False}]}
    with service.client() as client:
        error = error_of(client.post(CHAT, json=body), 400)
    assert error["param"] == "messages[1].content"


@pytest.mark.parametrize(
    ("path", "field", "body"),
    [
        (CHAT, "user", {"messages": HELLO}),
        (CHAT, "safety_identifier", {"messages": HELLO}),
        ("/v1/completions", "user", {"prompt": "hello"}),
        ("/v1/embeddings", "user", {"input": "hello"}),
    ],
)
def test_nobody_passes_for_another_by_an_internal_id(
    service: ServiceProcess, path: str, field: str, body: dict[str, object]
) -> None:
    with service.client() as client:
        response = client.post(path, json={**body, field: f"s_{'0a' * 16}"})
    assert "internal subject id" in error_of(response, 400)["message"]


def test_a_body_of_ten_megabytes_is_refused(service: ServiceProcess) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 10_000_000}]}).encode()
    with service.client() as client:
        error = error_of(client.post(CHAT, content=body), 413)
        assert "4,194,304 bytes" in error["message"]
        assert client.get("/v1/models").status_code == 200


def test_a_body_of_unsaid_length_is_refused_as_it_grows(service: ServiceProcess) -> None:
    with service.client() as client:
        response = client.post(CHAT, content=(b"x" * 100_000 for _ in range(60)))
    error_of(response, 413)


def test_a_base_address_without_its_version_is_told_so(service: ServiceProcess) -> None:
    with service.client() as client:
        error = error_of(client.post("/chat/completions", json={"messages": HELLO}), 404)
    assert error["message"].endswith("(the API's base address ends in /v1)")


def test_addresses_and_methods_that_do_not_exist(service: ServiceProcess) -> None:
    with service.client() as client:
        error = error_of(client.post("/v1/chat/completion", json={}), 404)
        assert CHAT in error["message"]
        refused = client.get(CHAT)
        assert refused.headers["allow"] == "POST"
        error = error_of(refused, 405)
        assert "POST" in error["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/v1/nothing", CHAT])
def test_nothing_but_health_answers_without_a_key(service: ServiceProcess, path: str) -> None:
    error = error_of(httpx.get(service.url + path), 401)
    assert error["code"] == "invalid_api_key"
    assert httpx.get(f"{service.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{service.url}/readyz").status_code == 200


def test_a_key_is_taken_from_either_header(service: ServiceProcess) -> None:
    url = f"{service.url}/v1/models"
    assert httpx.get(url, headers={"x-api-key": service.key}).status_code == 200
    assert httpx.get(url, headers={"authorization": f"bearer {service.key}"}).status_code == 200


def test_metrics_are_prometheus_text(service: ServiceProcess) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    with service.client() as client:
        client.post(CHAT, json={"messages": HELLO, "max_tokens": 1})
        text = client.get("/metrics").text
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"headrace_turns", "gen_ai_server_time_to_first_token_seconds"} <= names


def test_bytes_that_are_not_http_end_the_connection_and_nothing_else(
    service: ServiceProcess,
) -> None:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        assert b"400" in raw.recv(4096)
    assert httpx.get(f"{service.url}/healthz").status_code == 200


def test_an_unknown_field_goes_through_to_the_model(service: ServiceProcess) -> None:
    body = {"messages": HELLO, "max_tokens": 2, "repeat_penalty": 1.1, "user": "ada"}
    with service.client() as client:
        assert client.post(CHAT, json=body).status_code == 200


def test_an_answer_can_be_rated(service: ServiceProcess) -> None:
    with service.client() as client:
        answer = client.post(CHAT, json={"messages": HELLO, "max_tokens": 2})
        trace = answer.headers["x-headrace-trace"]
        given = client.post("/v1/feedback", json={"trace": trace, "score": -1, "comment": "no"})
        assert given.status_code == 201
        error_of(client.post("/v1/feedback", json={"trace": trace, "score": 5}), 400)
        error_of(client.post("/v1/feedback", json={"trace": "unknown", "score": 1}), 404)
