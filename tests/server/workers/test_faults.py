"""Workers, and all of them with their supervisor, are killed; what was answered is still there."""

import json
import os
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.workers.conftest import (
    CHAT,
    WORKER,
    StartWorkers,
    Upstream,
    ask,
    client_of,
    clients,
    pids,
)

pytestmark = pytest.mark.service

HOLD = {"messages": [{"role": "user", "content": "hold on"}], "stream": True}


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_all(service: ServiceProcess) -> None:
    """`kill -9` of the supervisor and of its workers."""
    workers = pids(service).values()
    service.kill()
    # They end by themselves when the supervisor is gone.
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def traces(service: ServiceProcess, status: str) -> list[str]:
    with closing(sqlite3.connect(service.home / "state.db")) as database:
        rows = database.execute("SELECT id FROM traces WHERE status = ?", [status]).fetchall()
    return [str(trace) for (trace,) in rows]


class Load:
    """Asks without a pause on connections of its own, each of which stays at one worker."""

    def __init__(self, service: ServiceProcess, connections: int) -> None:
        self._service = service
        self._pool = ThreadPoolExecutor(connections)
        self._stop = threading.Event()
        self.answered: list[str] = []
        self.failed: list[str] = []
        """By the worker that the connection was at."""
        self.traces: list[str] = []
        self._runs = [self._pool.submit(self._run) for _ in range(connections)]

    def _run(self) -> None:
        while not self._stop.is_set():
            with client_of(self._service) as client:
                worker = ""
                try:
                    worker = client.get("/healthz").headers[WORKER]
                    while not self._stop.is_set():
                        answer = ask(client, "hello")
                        assert answer.status_code == 200, answer.text
                        self.answered.append(worker)
                        self.traces.append(answer.headers["x-headrace-trace"])
                except httpx.TransportError:
                    self.failed.append(worker)

    def end(self) -> None:
        self._stop.set()
        for each in self._runs:
            each.result()
        self._pool.shutdown()


def test_a_worker_killed_under_load_takes_only_its_own_connections_along(
    start: StartWorkers,
) -> None:
    service = start()
    load = Load(service, 8)
    try:
        wait_for(lambda: load.answered.count("0") > 20 and load.answered.count("1") > 20)
        victim = pids(service)[1]
        kill(victim)
        wait_for(lambda: pids(service).get(1) not in (None, victim))
        others = load.answered.count("0")
        wait_for(lambda: load.answered.count("0") > others + 20)
        wait_for(lambda: "worker 1 answers again" in service.said())
        with clients(service) as both:
            assert [ask(each, "still here?").status_code for each in both] == [200, 200]
            shown = both[0].get("/metrics").text
    finally:
        load.end()
    assert "0" not in load.failed
    assert 'headrace_database_writable{worker="1"} 1.0' in shown
    assert service.stop() == 0
    missing = set(load.traces) - set(traces(service, "ok"))
    assert not missing, "what was answered by the killed one is in its journal"


def test_only_turns_of_the_killed_worker_are_interrupted(
    start: StartWorkers, upstream: Upstream
) -> None:
    service = start()
    with clients(service) as both:
        # Streams end in the middle of a line, so each client is read in a thread.
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(stream, client) for client in both]
            wait_for(lambda: len(upstream.holds) == 2)
            kill(pids(service)[0])
            with pytest.raises(httpx.TransportError):
                runs[0].result()
            wait_for(lambda: "worker 0 answers again" in service.said())
            assert len(traces(service, "interrupted")) == 1
            for hold in upstream.holds:
                hold.go_on.set()
            assert runs[1].result() == "[DONE]"
        with clients(service) as again:
            again[0].get("/metrics")
    assert service.stop() == 0
    assert len(traces(service, "ok")) == 1
    assert len(traces(service, "interrupted")) == 1


def stream(client: httpx.Client) -> str:
    with client.stream("POST", CHAT, json=HOLD) as response:
        return [line for line in response.iter_lines() if line][-1].removeprefix("data: ")


def test_a_conversation_waits_for_its_worker_and_has_lost_nothing(start: StartWorkers) -> None:
    service = start()
    with clients(service) as both:
        owner = int(ask(both[0], "one", "kept").headers[WORKER])
        stranger = both[1 - owner]
        for turn in (3, 5, 7):
            kill(pids(service)[owner])
            said = ask(stranger, "next", "kept")
            assert said.status_code == 200, said.text
            assert said.headers[WORKER] == str(owner)
            assert said.json()["choices"][0]["message"]["content"] == f"{turn} messages"
        # The worker that was killed thrice counts on from where it was.
        page = stranger.get("/metrics").text
        assert 'headrace_turns_total{model="chat",status="ok"}' in page


def test_sums_that_were_seen_never_get_smaller(start: StartWorkers) -> None:
    service = start()
    series = 'headrace_turns_total{model="chat",status="ok"} '

    def turns(client: httpx.Client) -> float:
        page = client.get("/metrics").text
        return float(next(x for x in page.splitlines() if x.startswith(series)).split()[-1])

    with clients(service) as both:
        for client in both:
            ask(client, "hello")
        assert turns(both[1]) == 2
        kill(pids(service)[0])
        assert turns(both[1]) == 2
        wait_for(lambda: "worker 0 answers again" in service.said())
        assert turns(both[1]) == 2
        with clients(service) as again:
            ask(again[0], "hello")
            assert [turns(each) for each in again] == [3, 3]


def test_sigterm_lets_the_answers_of_all_workers_end(
    start: StartWorkers, upstream: Upstream
) -> None:
    service = start()
    with clients(service) as both, ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(stream, client) for client in both]
        wait_for(lambda: len(upstream.holds) == 2 or any(run.done() for run in runs))
        assert len(upstream.holds) == 2, [run.result() for run in runs if run.done()]
        stopping = pool.submit(service.stop)
        wait_for(lambda: "stopping" in service.said())
        wait_for(lambda: is_refused(service))
        for hold in upstream.holds:
            hold.go_on.set()
        assert [run.result() for run in runs] == ["[DONE]", "[DONE]"]
        assert stopping.result() == 0
    left = {each.name for each in service.home.iterdir()}
    assert sorted(left - {".gitignore"}) == [
        "admin.key",
        "journal.lock",
        "master.key",
        "session.key",
        "state.db",
    ]
    assert len(traces(service, "ok")) == 2


def is_refused(service: ServiceProcess) -> bool:
    try:
        httpx.get(f"{service.url}/healthz", verify=service.verify)
    except httpx.TransportError:
        return True
    return False


def test_a_worker_told_to_leave_drains_and_is_replaced(
    start: StartWorkers, upstream: Upstream
) -> None:
    service = start()
    with clients(service) as both, ThreadPoolExecutor(1) as pool:
        run = pool.submit(stream, both[0])
        wait_for(lambda: len(upstream.holds) == 1)
        leaving = pids(service)[0]
        os.kill(leaving, signal.SIGTERM)
        assert ask(both[1], "still here?").status_code == 200
        upstream.holds[0].go_on.set()
        assert run.result() == "[DONE]"
    wait_for(lambda: "worker 0 answers again" in service.said())
    assert pids(service)[0] != leaving


def test_everything_killed_loses_nothing_even_if_fewer_start_again(
    start: StartWorkers, upstream: Upstream
) -> None:
    limits = "  - {requests_per_minute: 10}"
    service = start(workers=3, limits=limits)
    with clients(service, 3) as all_three, ThreadPoolExecutor(1) as pool:
        kept = [
            ask(client, f"turn {turn}", "all-killed").headers["x-headrace-trace"]
            for turn, client in enumerate((*all_three, *all_three))
        ]
        run = pool.submit(stream, all_three[2])
        wait_for(lambda: len(upstream.holds) == 1)
        kill_all(service)
        with pytest.raises(httpx.TransportError):
            run.result()
    single = start(workers=1, limits=limits)
    assert set(kept) <= set(traces(single, "ok"))
    assert len(traces(single, "interrupted")) == 1
    with single.client() as client:
        said = ask(client, "what was said?", "all-killed")
        assert said.json()["choices"][0]["message"]["content"] == "13 messages"
        # Seven were counted by the three, and one just now.
        assert said.headers["x-ratelimit-remaining-requests"] == "2"
    assert not list(single.home.glob("journal-*"))
    assert not (single.home / "limits.map").exists()


def test_one_worker_is_a_single_process(start: StartWorkers) -> None:
    service = start(workers=1)
    pid = service.process.pid
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""
    with service.client() as client:
        assert WORKER not in ask(client, "hello").headers
    assert not (service.home / "limits.map").exists()
    assert json.loads((service.home / "service.json").read_text())["workers"] == 1
