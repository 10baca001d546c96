"""The example of routes, with a server behind each of its addresses."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess
from tests.upstreams.openai import error_answer
from tests.upstreams.server import Answer, Asked, Handler, Server, json_answer, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "routes"
PLACES = ("SMALL_EU", "LARGE_EU", "LARGE_US")


def answers_as(name: str) -> Handler:
    """What a server of that name says."""

    def answer(asked: Asked) -> Answer:
        del asked
        message = {"role": "assistant", "content": name}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 2}
        return json_answer({"id": "c", "model": "m", "choices": [choice], "usage": usage})

    return answer


@pytest.fixture
def servers() -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        found = {name: stack.enter_context(serving()) for name in PLACES}
        for name, server in found.items():
            server.on("POST", "/v1/*", answers_as(name))
        yield found


@pytest.fixture
def service(tmp_path: Path, servers: dict[str, Server]) -> Iterator[ServiceProcess]:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(EXAMPLE / "headrace.yaml", root)
    urls = {name: server.url("/v1") for name, server in servers.items()}
    running = ServiceProcess.start(root, tmp_path / "home", environ=urls)
    yield running
    running.kill()


def stop(server: Server) -> None:
    server.on("POST", "/v1/*", lambda _: error_answer(500, "out of order", "server_error", None))


def ask(service: ServiceProcess, route: str) -> httpx.Response:
    body = {"model": route, "messages": [{"role": "user", "content": "Who answers?"}]}
    with service.client() as client:
        return client.post("/v1/chat/completions", json=body)


def who(service: ServiceProcess, route: str) -> str:
    reply = ask(service, route)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["choices"][0]["message"]["content"])


def test_each_route_asks_whom_it_says(service: ServiceProcess) -> None:
    assert who(service, "assistant") == "SMALL_EU"
    assert who(service, "cheapest") == "SMALL_EU"
    assert who(service, "long") in ("LARGE_EU", "LARGE_US")
    assert who(service, "european") == "LARGE_EU"


def test_a_fall_back_answers_and_the_trace_says_so(
    service: ServiceProcess, servers: dict[str, Server]
) -> None:
    stop(servers["SMALL_EU"])
    reply = ask(service, "assistant")
    assert reply.json()["choices"][0]["message"]["content"] in ("LARGE_EU", "LARGE_US")
    shown = service.run("trace", "show", reply.headers["x-headrace-trace"], "--json")
    (span,) = [each for each in json.loads(shown.stdout)["spans"] if each["name"] == "generate"]
    assert span["attributes"]["headrace.routing.model"] == "large"
    assert span["attributes"]["headrace.routing.reason"].startswith("fall-back")
    assert span["attributes"]["headrace.routing.tried"] == ["small-0: failed"]


def test_no_fall_back_leaves_europe(service: ServiceProcess, servers: dict[str, Server]) -> None:
    stop(servers["LARGE_EU"])
    assert who(service, "european") == "SMALL_EU"
    stop(servers["SMALL_EU"])
    reply = ask(service, "european")
    assert reply.status_code == 503
    assert not [each for each in servers["LARGE_US"].asked if each.method == "POST"]
