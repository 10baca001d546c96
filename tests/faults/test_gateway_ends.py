"""The service itself is killed, stopped or given another configuration, under steady load."""

import json
import signal
import time
from contextlib import closing

import pytest

from tests.faults.conftest import IDLE, Fleet, config_of
from tests.faults.kept import Kept
from tests.faults.load import Load, counted
from tests.faults.server import Upstream
from tests.faults.upstream import Fault
from tests.running import ServiceProcess, wait_for

LIMIT = "limits:\n  - {requests_per_minute: 100000}\n"


def kept(load: Load) -> list[str]:
    """The traces that the clients saw."""
    return [each.trace for each in load.said if each.trace]


def requests_used(service: ServiceProcess) -> float:
    """What the limits say has been asked within the last minute."""
    found = json.loads(service.run("limits", "show", "--used", "--json").stdout)
    return sum(float(row["used"]) for row in found if "requests" in row["limit"])


def test_nothing_that_was_answered_is_lost_by_a_kill(
    own_fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed by -9 in full flight, twice; each start finds what the one before had promised."""
    service = own_fleet.service
    (service.log.parent / "headrace.yaml").write_text(
        config_of([each.url for each in own_fleet.upstreams], IDLE, head=LIMIT)
    )
    wait_for(lambda: "in use now" in service.said())
    for each in own_fleet.upstreams:
        each.tell(Fault(mode="slow_stream", seconds=0.02))
    loads: list[Load] = []
    for turn in range(2):
        with Load(service.url, service.key, 80, name=f"killed {turn} ") as load:
            wait_for(lambda load=load: len(load.said) >= 80)  # type: ignore[misc]
            service.kill()
        loads.append(load)
        own_fleet.service = service = ServiceProcess.start(service.log.parent, service.home)
    said = [each for load in loads for each in load.said]
    seen = [each.trace for each in said if each.trace]
    store = Kept(service.home)
    statuses = store.statuses()
    with capsys.disabled():
        ends = sorted({statuses.get(each.trace, "none") for each in said if each.kind == "broken"})
        print(f"\nkilled twice: {counted(said)}; traces of broken streams: {ends}")
    assert not store.holds(seen)
    assert store.is_whole()
    assert not store.unfinished()
    assert {statuses[each.trace] for each in said if each.kind == "ok"} == {"ok"}
    cut = {statuses[each.trace] for each in said if each.kind == "broken"}
    assert cut <= {"interrupted", "ok"}, cut
    answered = sum(each.kind == "ok" for each in said)
    assert answered * 0.99 <= requests_used(service) <= sum(load.begun for load in loads)


def test_stopping_ends_what_was_taken_and_takes_no_more(
    own_fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    service = own_fleet.service
    for each in own_fleet.upstreams:
        each.tell(Fault(mode="slow_stream", seconds=0.05))
    with own_fleet.load("stopped") as load:
        wait_for(lambda: len(load.said) >= 60)
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: service.process.poll() is not None)
        time.sleep(0.2)
    reached = {each.question for server in own_fleet.upstreams for each in server.logged()}
    lost = [each for each in load.said if each.kind != "ok" and each.question in reached]
    with capsys.disabled():
        print(f"\nstopped: {counted(load.said)}; taken and not answered: {len(lost)}")
    assert not lost, lost[:3]
    assert service.process.returncode == 0
    refused = {each.status for each in load.said if each.kind == "refused"}
    assert refused <= {503}
    assert not Kept(service.home).holds(kept(load))


def test_another_configuration_costs_nobody_an_answer(
    own_fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """One deployment goes, one comes, and what they take changes, all under load."""
    service, (first, second, third) = own_fleet.service, own_fleet.upstreams
    file = service.log.parent / "headrace.yaml"
    fourth = Upstream(service.log.parent / "fourth.log")

    def becomes(text: str) -> None:
        seen = service.said().count("in use now")
        file.write_text(text)
        wait_for(lambda: service.said().count("in use now") > seen)
        time.sleep(0.5)

    with closing(_Killed(fourth)), own_fleet.load("another") as load:
        wait_for(lambda: len(load.said) >= 30)
        becomes(config_of([second.url, third.url, fourth.url], IDLE))
        since = time.monotonic()
        wait_for(lambda: asked(fourth, load, since) >= 5)
        becomes(config_of([second.url, fourth.url], f"{IDLE}, capacity: 2"))
        becomes(config_of([second.url, fourth.url], IDLE, balance="{prefer: order}"))
        ended = time.monotonic()
        time.sleep(0.5)
        becomes(config_of([each.url for each in (first, second, third)], IDLE))
        back = time.monotonic()
        wait_for(lambda: asked(first, load, back) >= 5)
    with capsys.disabled():
        print(f"\nfour other configurations: {counted(load.said)}")
    assert {each.kind for each in load.said} == {"ok"}, [e for e in load.said if e.kind != "ok"][:3]
    assert not asked(third, load, ended, ended + 0.4)
    assert service.stop() == 0
    assert not Kept(service.home).holds(kept(load))


def asked(upstream: Upstream, load: Load, since: float, until: float = float("inf")) -> int:
    """Requests of this load that arrived there in this time."""
    return sum(
        since <= each.at < until and each.question.startswith(load.name)
        for each in upstream.logged()
    )


class _Killed:
    """Kills an upstream on `close`."""

    def __init__(self, upstream: Upstream) -> None:
        self.close = upstream.kill
