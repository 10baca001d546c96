"""Runs that are made because what is asked has changed: `drift:` of `triggers`."""

import os
from itertools import count

import pytest

from headrace.evaluation.drift.alert import AlertStore
from headrace.evaluation.drift.signal import by_category, by_number, judged
from headrace.workflows.occasion import Occasions
from headrace.workflows.step import Place
from headrace.workflows.store import RunStore
from tests.workflows.conftest import Bench

pytestmark = pytest.mark.engines


class Week:
    """What is asked in two windows of a week, one week after the other."""

    def __init__(self, bench: Bench) -> None:
        hours = count(1_777_636_800, 3600)
        self._alerts = AlertStore(bench.database, clock=lambda: float(next(hours)))

    def looked_at(self, *, zh: int = 10, tokens: float = 100.0, since: float = 0.0) -> list[str]:
        """Compare the windows, keep what has drifted; gives the signals of new alerts."""
        language = by_category(
            "language", ["en"] * 90 + ["zh"] * 10, ["en"] * (100 - zh) + ["zh"] * zh
        )
        length = by_number(
            "tokens", [100.0 + n % 7 for n in range(100)], [tokens + n % 7 for n in range(100)]
        )
        assert language is not None
        assert length is not None
        return [each.signal for each in self._alerts.keep(judged([language, length]), since=since)]


def looking(bench: Bench) -> Occasions:
    place = Place(root=bench.root, home=bench.home, environ=os.environ)
    return Occasions(RunStore(bench.database), place)


def test_an_alert_makes_one_run(bench: Bench) -> None:
    bench.write("triggers: [{drift: any}]\nsteps: {a: {operation: tally}}")
    week, occasions = Week(bench), looking(bench)
    assert occasions.look() == []
    assert week.looked_at() == []  # alike: no alert, and so no run
    assert occasions.look() == []
    assert week.looked_at(zh=60) == ["language"]
    [run] = occasions.look()
    assert run.workflow == "w"
    assert run.trigger.startswith("drift any ")
    assert occasions.look() == []
    # What drifts still is said once for a window; the run is not made again either.
    assert week.looked_at(zh=60) == []
    assert occasions.look() == []


def test_each_further_alert_makes_a_run_of_its_own(bench: Bench) -> None:
    bench.write("triggers: [{drift: any}]\nsteps: {a: {operation: tally}}")
    week, occasions = Week(bench), looking(bench)
    occasions.look()
    week.looked_at(zh=60)
    [first] = occasions.look()
    assert week.looked_at(zh=60, tokens=300.0) == ["tokens"]
    [second] = occasions.look()
    assert first.trigger != second.trigger


def test_only_the_signal_that_was_named_makes_a_run(bench: Bench) -> None:
    bench.write(
        "variables: {why: }\ntriggers: [{drift: tokens, variables: {why: longer}}]\n"
        "steps: {a: {operation: tally}}"
    )
    week, occasions = Week(bench), looking(bench)
    occasions.look()
    assert week.looked_at(zh=60) == ["language"]
    assert occasions.look() == []
    assert week.looked_at(tokens=300.0) == ["tokens"]
    [run] = occasions.look()
    assert run.trigger.startswith("drift tokens ")
    assert run.variables == {"why": "longer"}


def test_an_alert_from_before_is_no_news(bench: Bench) -> None:
    week = Week(bench)
    assert week.looked_at(zh=60) == ["language"]
    bench.write("triggers: [{drift: any}]\nsteps: {a: {operation: tally}}")
    occasions = looking(bench)
    assert occasions.look() == []
    assert week.looked_at(tokens=300.0) == ["tokens"]
    assert len(occasions.look()) == 1
