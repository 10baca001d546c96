"""One of three deployments falls ill under steady load: nobody notices, and it is soon back."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.conftest import PER_S, Fleet
from tests.faults.load import Load, counted
from tests.faults.server import Upstream
from tests.faults.upstream import Fault
from tests.running import wait_for

WELL_S = 0.5
OUT_WITHIN_S = 2.0
SICK_S = 3.5
BACK_CALLS = 3
"""So many calls show that one is in use again: one may have been a probe."""


@dataclass(frozen=True)
class Illness:
    """How a deployment falls ill, and how it recovers."""

    begin: Callable[[Upstream], None]
    end: Callable[[Upstream], None]
    breaks_streams: bool = False
    """Whether answers that had begun may break off."""
    goes_out: bool = True
    """Whether it must not be asked any more."""


def told(fault: Fault, **more: bool) -> Illness:
    return Illness(lambda each: each.tell(fault), lambda each: each.tell(Fault()), **more)


ILLNESSES = {
    "killed": Illness(Upstream.kill, Upstream.start, breaks_streams=True),
    "frozen": Illness(Upstream.freeze, Upstream.thaw, breaks_streams=True),
    "resets before answering": told(Fault(mode="reset_first")),
    "resets in mid-answer": told(Fault(mode="reset_mid"), breaks_streams=True),
    "resets half of its answers": told(Fault(mode="reset_first", share=0.5), goes_out=False),
    "sends garbage": told(Fault(mode="garbage")),
    "does not speak HTTP": told(Fault(mode="not_http")),
    "answers 500": told(Fault(mode="error_500")),
    "answers 429 and when to come back": told(Fault(mode="throttled", retry_after_s=1)),
    "answers 429 and no more": told(Fault(mode="throttled")),
    "begins late": told(Fault(mode="slow", seconds=0.5), goes_out=False),
    "goes on slowly": told(Fault(mode="slow_stream", seconds=0.3), goes_out=False),
    "closes idle connections": told(Fault(mode="closes_idle"), goes_out=False),
}


def asked_of(upstream: Upstream, load: Load, since: float, until: float = float("inf")) -> int:
    """Requests that clients sent in this time and that reached this server, whenever that was.

    A frozen one writes its log when it thaws, so its own times say nothing.
    """
    sent = {each.question: each.started_at for each in load.since(since, until)}
    return len({each.question for each in upstream.logged()} & sent.keys())


@pytest.mark.parametrize("name", ILLNESSES)
def test_a_sick_deployment_costs_nobody_an_answer(
    name: str, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    illness, (sick, *well) = ILLNESSES[name], fleet.upstreams
    with fleet.load(name) as load:
        time.sleep(WELL_S)
        fell_ill = time.monotonic()
        illness.begin(sick)
        time.sleep(SICK_S)
        before_end = time.monotonic()
        illness.end(sick)
        recovered = time.monotonic()
        wait_for(lambda: asked_of(sick, load, recovered) >= BACK_CALLS)
        back_s = time.monotonic() - recovered
    out = asked_of(sick, load, fell_ill + OUT_WITHIN_S, before_end)
    others = sum(asked_of(each, load, fell_ill + OUT_WITHIN_S, before_end) for each in well)
    slowest = max(each.seconds for each in load.said)
    with capsys.disabled():
        print(
            f"\n{name}: {counted(load.said)}; after {OUT_WITHIN_S:g} s {out} of {out + others} calls"
            f" were sent there; back within {back_s:.1f} s; slowest {slowest:.1f} s"
        )
    allowed = {"ok", "broken"} if illness.breaks_streams else {"ok"}
    failed = [each for each in load.said if each.kind not in allowed]
    assert not failed, (counted(load.said), failed[:3])
    broken = [each for each in load.said if each.kind == "broken"]
    assert all(each.stream and each.text for each in broken), broken[:3]
    assert others >= PER_S * (SICK_S - OUT_WITHIN_S) / 3
    if illness.goes_out:
        assert out <= (out + others) / 10
    fleet.settle()


@pytest.mark.parametrize("streams", [True, False])
def test_one_that_stays_frozen_costs_nobody_an_answer(
    streams: bool, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes requests, as the kernel does for it, and never says a word again."""
    sick = fleet.upstreams[0]
    with fleet.load(f"frozen {streams}", streams=streams) as load:
        time.sleep(WELL_S)
        sick.freeze()
        time.sleep(WELL_S * 2)
    # All have ended: none waited for it to thaw.
    sick.thaw()
    slowest = max(load.said, key=lambda each: each.seconds)
    with capsys.disabled():
        kind = "streams" if streams else "whole answers"
        print(f"\nfrozen for good, {kind}: {counted(load.said)}; slowest {slowest.seconds:.1f} s")
    assert {each.kind for each in load.said} <= {"ok", "broken"}, counted(load.said)
    assert slowest.seconds > 1, "none was sent there"
    fleet.settle()
