"""What is killed comes back, and what was accepted is still there."""

import json
import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.conftest import BARE, Start

pytestmark = [pytest.mark.service, pytest.mark.model]

CHAT = "/v1/chat/completions"
LONG = {
    "messages": [{"role": "user", "content": "Write a very long story about a river."}],
    "max_tokens": 1500,
    "stream": True,
}
SHORT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


def kill_worker(service: ServiceProcess) -> None:
    (pid,) = service.worker_pids()
    os.kill(pid, signal.SIGKILL)


def trace_of(service: ServiceProcess, trace: str) -> dict[str, object]:
    kept: dict[str, object] = service.trace(trace)
    return kept


def test_a_model_killed_in_mid_stream_ends_it_with_an_error_event(start: Start) -> None:
    service = start()
    with service.client() as client:
        with client.stream("POST", CHAT, json=LONG) as response:
            trace = response.headers["x-headrace-trace"]
            lines = (line for line in response.iter_lines() if line)
            next(lines)
            kill_worker(service)
            rest = list(lines)
        error = json.loads(rest[-1].removeprefix("data: "))["error"]
        assert error["code"] == "model_unavailable"
        assert "[DONE]" not in rest[-1]
        # Nothing was sent of this one yet, so it waits for the model to come back.
        assert client.post(CHAT, json=SHORT).status_code == 200
    assert trace_of(service, trace)["status"] == "error"


def test_a_model_killed_before_the_client_has_anything_is_asked_again(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "headrace.yaml").write_text(BARE)
    service = start()
    whole = {**LONG, "stream": False, "max_tokens": 300, "ignore_eos": True}
    with service.client() as client, ThreadPoolExecutor(1) as elsewhere:
        asking = elsewhere.submit(client.post, CHAT, json=whole)
        wait_for(lambda: b"headrace_turns_active 1.0" in client.get("/metrics").content)
        # Long enough for the model to have begun, not to end: it writes some 100 tokens a second.
        time.sleep(0.6)
        kill_worker(service)
        answer = asking.result()
    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] == 300
    kept = trace_of(service, answer.headers["x-headrace-trace"])
    assert kept["status"] == "ok"
    assert kept["completion_tokens"] == 300


def test_a_client_that_leaves_ends_its_turn_as_cancelled(service: ServiceProcess) -> None:
    with service.client() as client, client.stream("POST", CHAT, json=LONG) as response:
        trace = response.headers["x-headrace-trace"]
        next(response.iter_lines())

    def ended() -> bool:
        shown = service.called("trace", "show", trace, "--json", check=False)
        return shown.returncode == 0 and json.loads(shown.stdout)["status"] == "cancelled"

    wait_for(ended)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Dead and not yet buried: its new parent has not looked at it.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_killed_service_takes_its_model_along_and_what_was_answered_is_there_after_it(
    start: Start,
) -> None:
    service = start()
    traces: list[str] = []
    with service.client() as client:
        for _ in range(5):
            answer = client.post(CHAT, json={**SHORT, "conversation": "kept"})
            traces.append(answer.headers["x-headrace-trace"])
        with client.stream("POST", CHAT, json=LONG) as response:
            unfinished = response.headers["x-headrace-trace"]
            # Held: one that nobody holds is closed, and the client is gone before the kill.
            lines = response.iter_lines()
            next(lines)
            (model,) = service.worker_pids()
            service.kill()
    wait_for(lambda: is_gone(model))
    again = start()
    for trace in traces:
        assert trace_of(again, trace)["status"] == "ok"
    assert trace_of(again, unfinished)["status"] == "interrupted"
    with closing(sqlite3.connect(again.home / "state.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with again.client() as client:
        grounded = client.post(CHAT, json={**SHORT, "conversation": "kept"}).json()["usage"]
        alone = client.post(CHAT, json=SHORT).json()["usage"]
    assert grounded["prompt_tokens"] > alone["prompt_tokens"]


def test_readiness_follows_the_model(start: Start) -> None:
    service = start()
    ready = f"{service.url}/readyz"
    weights = service.home / "models"
    there = weights.readlink()
    # Without its weights the model cannot come back before the test has looked.
    weights.unlink()
    kill_worker(service)
    wait_for(lambda: httpx.get(ready, verify=service.verify).status_code == 503)
    assert httpx.get(ready).json() == {"status": "not ready", "missing": ["model"]}
    assert httpx.get(f"{service.url}/healthz").status_code == 200
    weights.symlink_to(there)
    wait_for(lambda: httpx.get(ready, verify=service.verify).status_code == 200)
    assert service.worker_pids()
    assert httpx.get(f"{service.url}/healthz").status_code == 200
