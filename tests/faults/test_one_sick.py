"""Two of three deployments fall ill under steady load: nobody notices, and they are soon back."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.conftest import Fleet
from tests.faults.load import Load, counted
from tests.faults.server import Upstream
from tests.faults.upstream import Fault
from tests.running import wait_for

WELL_S = 0.5
OUT_WITHIN_S = 2.0
SICK_S = 3.0
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
    "sends garbage": told(Fault(mode="garbage")),
    "does not speak HTTP": told(Fault(mode="not_http")),
    "answers 500": told(Fault(mode="error_500")),
    "answers 429 and when to come back": told(Fault(mode="throttled", retry_after_s=1)),
    "answers 429 and no more": told(Fault(mode="throttled")),
    "begins late": told(Fault(mode="slow", seconds=0.5), goes_out=False),
    "goes on slowly": told(Fault(mode="slow_stream", seconds=0.3), goes_out=False),
    "closes idle connections": told(Fault(mode="closes_idle"), goes_out=False),
}


PAIRS = [
    ("killed", "answers 429 and no more"),
    ("frozen", "begins late"),
    ("resets before answering", "answers 429 and when to come back"),
    ("resets in mid-answer", "closes idle connections"),
    ("does not speak HTTP", "answers 500"),
    ("sends garbage", "goes on slowly"),
]


def asked_of(upstream: Upstream, load: Load, since: float, until: float = float("inf")) -> int:
    """Requests that clients sent in this time and that reached this server, whenever that was.

    A frozen one writes its log when it thaws, so its own times say nothing.
    """
    sent = {each.question: each.started_at for each in load.since(since, until)}
    return len({each.question for each in upstream.logged()} & sent.keys())


def test_every_illness_is_tried() -> None:
    assert {name for pair in PAIRS for name in pair} == ILLNESSES.keys()


@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_sick_deployments_cost_nobody_an_answer(
    names: tuple[str, str], fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    sick = [(ILLNESSES[name], each) for name, each in zip(names, fleet.upstreams, strict=False)]
    with fleet.load(" and ".join(names)) as load:
        time.sleep(WELL_S)
        fell_ill = time.monotonic()
        for illness, each in sick:
            illness.begin(each)
        time.sleep(SICK_S)
        before_end = time.monotonic()
        for illness, each in sick:
            illness.end(each)
        recovered = time.monotonic()
        back_s = []
        for _, each in sick:
            wait_for(lambda each=each: asked_of(each, load, recovered) >= BACK_CALLS)  # type: ignore[misc]
            back_s.append(time.monotonic() - recovered)
    out = [asked_of(each, load, fell_ill + OUT_WITHIN_S, before_end) for each in fleet.upstreams]
    with capsys.disabled():
        slowest = max(each.seconds for each in load.said)
        print(f"\n{' and '.join(names)}: {counted(load.said)}; slowest {slowest:.1f} s")
        for name, calls, seconds in zip(names, out, back_s, strict=False):
            of = f"{calls} of {sum(out)} calls after {OUT_WITHIN_S:g} s"
            print(f"  {name}: {of}, back within {seconds:.1f} s")
    breaks = any(illness.breaks_streams for illness, _ in sick)
    failed = [each for each in load.said if each.kind not in ("ok", "broken" if breaks else "ok")]
    assert not failed, (counted(load.said), failed[:3])
    broken = [each for each in load.said if each.kind == "broken"]
    assert all(each.stream and each.text for each in broken), broken[:3]
    for (illness, _), calls in zip(sick, out, strict=False):
        assert not illness.goes_out or calls <= sum(out) / 10
    fleet.settle()


def test_one_that_stays_frozen_costs_nobody_an_answer(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes requests, as the kernel does for it, and never says a word again."""
    sick = fleet.upstreams[0]
    with fleet.load("frozen for good", streams=False) as whole:
        time.sleep(WELL_S)
        sick.freeze()
        time.sleep(WELL_S * 2)
    # All have ended: none waited for it to thaw.
    sick.thaw()
    slowest = max(each.seconds for each in whole.said)
    with capsys.disabled():
        print(f"\nfrozen for good: {counted(whole.said)}; slowest {slowest:.1f} s")
    assert {each.kind for each in whole.said} == {"ok"}, counted(whole.said)
    assert slowest > 1, "none was sent there"
    fleet.settle()
