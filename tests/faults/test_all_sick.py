"""Every deployment is down: the client is told soon, and told what was tried."""

import time
from collections.abc import Callable

import httpx
import pytest

from tests.faults.conftest import Fleet
from tests.faults.load import counted
from tests.faults.server import Upstream
from tests.faults.upstream import Fault
from tests.running import wait_for

WITHIN_S = 30.0
"""What a call may take that finds nobody (docs/faults.md)."""
NAMES = ("chat-0", "chat-1", "chat-2")


def ask(fleet: Fleet, *, stream: bool) -> tuple[httpx.Response, dict[str, str], float]:
    """The answer, its error, and how long it took."""
    began = time.monotonic()
    with fleet.service.client() as client:
        body = {"messages": [{"role": "user", "content": "Who is there?"}], "stream": stream}
        answer = client.post("/v1/chat/completions", json=body)
    return answer, answer.json()["error"], time.monotonic() - began


def all_of(fleet: Fleet, do: Callable[[Upstream], None]) -> None:
    for each in fleet.upstreams:
        do(each)


@pytest.mark.parametrize("stream", [True, False])
def test_when_all_are_gone_the_error_says_who_was_tried(fleet: Fleet, stream: bool) -> None:
    fleet.settle()
    all_of(fleet, Upstream.kill)
    answer, error, seconds = ask(fleet, stream=stream)
    all_of(fleet, Upstream.start)
    assert answer.status_code == 503
    assert error["code"] == "model_unavailable"
    assert all(f"{name}: failed" in error["message"] for name in NAMES), error
    assert "Connection refused" in error["message"]
    assert seconds < WITHIN_S


def test_when_all_are_throttled_the_client_is_told_when_to_come_back(own_fleet: Fleet) -> None:
    all_of(own_fleet, lambda each: each.tell(Fault(mode="throttled", retry_after_s=90)))
    answer, error, seconds = ask(own_fleet, stream=False)
    assert answer.status_code == 429
    assert error["code"] == "rate_limit_exceeded"
    assert all(f"{name}: throttled" in error["message"] for name in NAMES), error
    assert 80 <= int(answer.headers["retry-after"]) <= 90
    assert seconds < WITHIN_S


def test_when_all_refuse_the_key_each_is_asked_once(own_fleet: Fleet) -> None:
    all_of(own_fleet, lambda each: each.tell(Fault(mode="wrong_key")))
    before = sum(len(each.logged()) for each in own_fleet.upstreams)
    answer, error, _ = ask(own_fleet, stream=False)
    assert answer.status_code == 503
    assert error["code"] == "deployment_misconfigured"
    assert "key" in error["message"]
    asked = sum(len(each.logged()) for each in own_fleet.upstreams) - before
    assert asked <= len(NAMES) + 1  # the direct way leaves it to the ordinary one to find out why


def test_when_all_come_back_so_does_the_service(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.settle()
    with fleet.load("all gone", per_s=20) as load:
        time.sleep(0.5)
        all_of(fleet, Upstream.kill)
        time.sleep(1.0)
        all_of(fleet, Upstream.start)
        back = time.monotonic()
        wait_for(lambda: sum(each.kind == "ok" for each in load.since(back)) >= 20)
    first_ok = min(each.ended_at for each in load.since(back) if each.kind == "ok")
    with capsys.disabled():
        print(f"\nall gone for 1 s: {counted(load.said)}; back within {first_ok - back:.1f} s")
    refused = [each for each in load.said if each.kind == "refused"]
    assert refused
    assert all(each.status == 503 and "chat-0: failed" in each.detail for each in refused)
    assert {each.kind for each in load.said} <= {"ok", "refused", "broken"}
    assert all(each.seconds < WITHIN_S for each in load.said)
