"""A service's life: its first start, its keys, and how it ends."""

import json
import signal
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.conftest import BARE, Start

pytestmark = [pytest.mark.service, pytest.mark.model]

HELLO = [{"role": "user", "content": "hello"}]
CHAT = "/v1/chat/completions"


def test_the_first_start_shows_the_admin_key_once(start: Start) -> None:
    first = start()
    assert first.said().count(first.key) == 1
    assert "headrace init" in first.said()
    assert stat.S_IMODE((first.home / "admin.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(first.home.stat().st_mode) == 0o700
    assert first.stop() == 0
    before = first.said()
    second = start()
    assert second.key == first.key
    assert second.key not in second.said().removeprefix(before)


def test_state_is_private_to_its_owner(service: ServiceProcess) -> None:
    with service.client() as client:
        client.post(CHAT, json={"messages": HELLO, "max_tokens": 1})
    for path in service.home.iterdir():
        if path.is_file() and path.name != ".gitignore":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_keys_made_and_revoked_beside_a_running_service_take_effect(
    service: ServiceProcess,
) -> None:
    made = json.loads(service.run("keys", "create", "ci", "--json").stdout)
    headers = {"authorization": f"Bearer {made['secret']}"}

    def status() -> int:
        return httpx.get(
            f"{service.url}/v1/models", headers=headers, verify=service.verify
        ).status_code

    wait_for(lambda: status() == 200)
    service.run("keys", "revoke", made["id"])
    wait_for(lambda: status() == 401)


def test_sigterm_lets_a_running_answer_end(start: Start) -> None:
    service = start()
    body = {
        "messages": [{"role": "user", "content": "Write a story about a mill."}],
        "max_tokens": 60,
        "stream": True,
    }
    with (
        service.client() as client,
        client.stream("POST", CHAT, json=body) as response,
    ):
        trace = response.headers["x-headrace-trace"]
        lines = response.iter_lines()
        next(lines)
        stopping = threading.Thread(target=service.stop)
        stopping.start()
        rest = [line for line in lines if line]
    stopping.join()
    assert rest[-1] == "data: [DONE]"
    assert service.process.returncode == 0
    kept = service.told("trace", "show", trace)
    assert kept["status"] == "ok"
    assert not (service.home / "service.json").exists()
    assert not service.worker_pids()


def test_an_answer_that_draining_cuts_off_says_so_and_leaves_its_trace(
    start: Start, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "headrace.yaml").write_text(BARE)
    service = start()
    body = {"messages": HELLO, "max_tokens": 3000, "ignore_eos": True, "stream": True}
    with (
        service.client() as client,
        client.stream("POST", CHAT, json=body) as response,
    ):
        trace = response.headers["x-headrace-trace"]
        lines = response.iter_lines()
        next(lines)
        service.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "service_stopping"
    assert "data: [DONE]" not in rest
    assert service.process.wait(timeout=30) == 0
    kept = service.told("trace", "show", trace)
    assert kept["status"] == "cancelled"
    assert kept["ttft_s"] is not None


def test_an_answer_that_draining_cuts_off_before_it_began_is_a_503(
    start: Start, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "headrace.yaml").write_text(BARE)
    service = start()
    body = {"messages": HELLO, "max_tokens": 3000, "ignore_eos": True}
    with service.client() as client, ThreadPoolExecutor(1) as elsewhere:
        asking = elsewhere.submit(client.post, CHAT, json=body)
        wait_for(lambda: b"headrace_turns_active 1.0" in client.get("/metrics").content)
        service.process.send_signal(signal.SIGTERM)
        answer = asking.result()
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_stopping"
    assert service.process.wait(timeout=30) == 0
    trace = answer.headers["x-headrace-trace"]
    assert service.told("trace", "show", trace)["status"] == "cancelled"


def test_a_taken_port_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        service = ServiceProcess.launch(tmp_path, tmp_path / "home", args=("--port", port))
        assert service.process.wait(timeout=30) == 1
    assert f"port {port} on 127.0.0.1 is in use" in service.said()
    assert "--port" in service.said()
    assert not (tmp_path / "home" / "models").exists()


def test_a_second_service_on_the_same_home_is_refused(start: Start) -> None:
    first = start()
    second = start(wait=False)
    assert second.process.wait(timeout=30) == 1
    assert f"pid {first.process.pid}" in second.said()
    with first.client() as client:
        assert client.post(CHAT, json={"messages": HELLO, "max_tokens": 1}).status_code == 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: {}\npipelin: [generate]\n", "headrace.yaml:2: pipelin: unknown field"),
        ("name: ${NO_SUCH_NAME}\n", "headrace.yaml:1: name: the environment variable NO_SUCH_NAME"),
        ("pipeline: [generate\n", "headrace.yaml:"),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "headrace.yaml").write_text(text)
    service = ServiceProcess.launch(tmp_path, tmp_path / "home")
    assert service.process.wait(timeout=30) == 1
    assert says in service.said()
    assert "Traceback" not in service.said()
