"""Two workers are one service: whichever of them is asked, the answer is the same."""

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.workers.conftest import (
    CHAT,
    WORKER,
    Upstream,
    ask,
    clients,
    pids,
)

pytestmark = pytest.mark.service

Shared = tuple[ServiceProcess, Upstream]


@pytest.fixture
def both(shared: Shared) -> Iterator[Sequence[httpx.Client]]:
    with clients(shared[0]) as found:
        yield found


def value(text: str, series: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0.0


def durations(text: str) -> float:
    """Of how many chats the duration was taken."""
    name = 'gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat"'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def owner_of(client: httpx.Client, conversation: str) -> str:
    return ask(client, "whose is it?", conversation).headers[WORKER]


def test_the_service_is_a_supervisor_and_its_workers(shared: Shared) -> None:
    service, _ = shared
    assert sorted(pids(service)) == [0, 1]
    found = json.loads((service.home / "service.json").read_text())
    assert found["pid"] == service.process.pid
    assert found["workers"] == 2
    assert service.url in service.run("doctor", check=False).stdout
    assert service.run("chat", "hello").stdout.strip() == "1 messages"


def test_turns_of_a_conversation_are_in_order_whichever_workers_they_reach(
    shared: Shared, both: Sequence[httpx.Client]
) -> None:
    _, upstream = shared
    before = len(upstream.shown())
    said = [
        ask(both[turn % 2], f"turn {turn}", "in-order", stream=turn % 3 == 0) for turn in range(12)
    ]
    assert [each.status_code for each in said] == [200] * 12
    assert len({each.headers[WORKER] for each in said}) == 1
    for turn, shown in enumerate(upstream.shown()[before:]):
        asked = [text for text in shown if text.startswith("turn")]
        assert asked == [f"turn {each}" for each in range(turn + 1)]


def test_turns_at_the_same_time_are_all_kept(shared: Shared, both: Sequence[httpx.Client]) -> None:
    service, upstream = shared

    def one(turn: int) -> int:
        with service.client(30) as client:
            return ask(client, f"at once {turn}", "at-once").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {200}
    ask(both[0], "what was said?", "at-once")
    shown = upstream.shown()[-1]
    assert {f"at once {turn}" for turn in range(24)} <= set(shown)


def test_a_response_goes_on_from_one_of_another_worker(
    shared: Shared, both: Sequence[httpx.Client]
) -> None:
    _, upstream = shared
    first = both[0].post("/v1/responses", json={"model": "chat", "input": "first"})
    assert first.headers[WORKER] == "0", "a new one need not be handed over"
    for client in (both[1], both[0]):
        # Not from the newest turn: a branch, which is a conversation of its own.
        body = {"model": "chat", "input": "next", "previous_response_id": first.json()["id"]}
        again = client.post("/v1/responses", json=body)
        assert again.status_code == 200, again.text
        assert upstream.shown()[-1][0] == "first"
        assert upstream.shown()[-1][-1] == "next"
    kept = both[1].get(f"/v1/responses/{first.json()['id']}")
    assert kept.status_code == 200


def test_a_name_in_any_script_belongs_to_one_worker(both: Sequence[httpx.Client]) -> None:
    headers = {b"x-headrace-conversation": "水车/轮 子".encode()}
    body = {"messages": [{"role": "user", "content": "你好"}]}
    said = [client.post(CHAT, json=body, headers=headers) for client in (*both, *both)]
    assert [each.json()["choices"][0]["message"]["content"] for each in said] == [
        f"{count} messages" for count in (1, 3, 5, 7)
    ]


def test_the_pages_show_a_conversation_at_either_worker(
    shared: Shared, both: Sequence[httpx.Client]
) -> None:
    service, _ = shared
    names = {owner_of(both[0], name): name for name in ("page-1", "page-2", "page-3", "page-4")}
    assert sorted(names) == ["0", "1"]
    for client in both:
        client.post("/sign-in", data={"key": service.key}, headers={"origin": service.url})
        for name in names.values():
            page = client.get(f"/c/{name}")
            assert page.status_code == 200
            assert "whose is it?" in page.text
    deleted = both[0].post(f"/conversations/{names['1']}/delete", headers={"origin": service.url})
    assert deleted.status_code == 204
    assert deleted.headers[WORKER] == "1"
    assert both[1].get(f"/c/{names['1']}").status_code == 404


def test_a_client_that_leaves_ends_what_it_asked_of_another_worker(
    shared: Shared, both: Sequence[httpx.Client]
) -> None:
    _, upstream = shared
    owner = owner_of(both[0], "left")
    stranger = both[1 - int(owner)]
    body = {
        "messages": [{"role": "user", "content": "hold on"}],
        "conversation": "left",
        "stream": True,
    }
    with stranger.stream("POST", CHAT, json=body) as response:
        next(response.iter_lines())
    (asked,) = [each for each in upstream.server.asked if b"hold on" in each.body]
    assert asked.hung_up.wait(10)
    wait_for(lambda: value(both[0].get("/metrics").text, "headrace_turns_active") == 0)


def test_feedback_finds_a_turn_that_another_worker_has_just_answered(
    both: Sequence[httpx.Client],
) -> None:
    for asked, told in ((both[0], both[1]), (both[1], both[0])):
        trace = ask(asked, "rate this").headers["x-headrace-trace"]
        body = {"trace": trace, "score": 1}
        assert told.post("/v1/feedback", json=body).status_code == 201


def test_metrics_are_the_sum_whichever_worker_is_asked(both: Sequence[httpx.Client]) -> None:
    turns = 'headrace_turns_total{model="chat",status="ok"}'
    before = both[0].get("/metrics").text
    for client in (both[0], both[1], both[1], both[1]):
        ask(client, "count me")
    pages = [client.get("/metrics").text for client in both]
    assert [value(page, turns) for page in pages] == [value(before, turns) + 4] * 2
    for page in pages:
        assert durations(page) == durations(before) + 4
        assert page.count("headrace_database_writable{") == 2
        assert page.count("# TYPE headrace_turns_total counter") == 1


def test_an_edit_reaches_both_workers_or_neither(
    shared: Shared, both: Sequence[httpx.Client]
) -> None:
    service, _ = shared
    file = service.log.parent / "headrace.yaml"
    text = file.read_text()

    def releases() -> list[str]:
        answers = [client.get("/v1/models") for client in both]
        return [each.headers["x-headrace-release"] for each in answers]

    (old, _) = releases()
    file.write_text(text.replace("[ground,", "[normalize, ground,"))
    wait_for(lambda: old not in releases())
    assert len(set(releases())) == 1
    new = releases()
    file.write_text(text.replace("[ground,", "[groud,"))
    wait_for(lambda: "cannot be used" in service.said())
    assert releases() == new
    assert service.said().count("cannot be used") == 1, "said once, not by each worker"
    file.write_text(text)
    wait_for(lambda: releases() == [old, old])


def test_a_key_made_beside_it_is_known_to_both(
    shared: Shared, both: Sequence[httpx.Client]
) -> None:
    service, _ = shared
    made = json.loads(service.run("keys", "create", "ci", "--json").stdout)
    headers = {"authorization": f"Bearer {made['secret']}"}

    def statuses() -> set[int]:
        return {each.get("/v1/models", headers=headers).status_code for each in both}

    wait_for(lambda: statuses() == {200})


def test_a_second_service_cannot_have_the_port(shared: Shared) -> None:
    service, _ = shared
    port = service.url.rsplit(":", 1)[1]
    second = subprocess.run(
        [*service.process.args[:2], "--port", port, "--workers", "2"],  # type: ignore[index]
        cwd=service.log.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode != 0
    assert f"port {port} on 127.0.0.1 is in use" in second.stderr


def test_threads_of_clients_at_both_get_their_own_answers(shared: Shared) -> None:
    service, _ = shared
    barrier = threading.Barrier(8)

    def talk(number: int) -> list[str]:
        with service.client(30) as client:
            barrier.wait()
            answers = [ask(client, f"{turn}", f"own-{number}") for turn in range(5)]
        return [each.json()["choices"][0]["message"]["content"] for each in answers]

    with ThreadPoolExecutor(8) as pool:
        for said in pool.map(talk, range(8)):
            assert said == [f"{count} messages" for count in (1, 3, 5, 7, 9)]


def test_a_start_that_cannot_be_says_why_once(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "models: {m: {deployments: [{backend: embedded, weights: 'file:gone.gguf'}]}}\n"
        "pipeline: [generate]\n"
    )
    service = ServiceProcess.launch(tmp_path, tmp_path / "home", args=("--workers", "2"))
    assert service.process.wait(30) != 0
    first, second = service.said().splitlines()
    assert first.startswith("error: file:gone.gguf")
    assert second.startswith("hint: check the path")
