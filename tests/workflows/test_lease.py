"""Processes that are taken for dead and are not: they are noted again, and known once they do die."""

import pytest

from headrace.workflows import lease
from headrace.workflows.lease import Lease
from tests.running import wait_for
from tests.workflows.conftest import Bench


@pytest.mark.engines
def test_a_process_that_was_wrongly_forgotten_is_noted_again_and_locked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with (
        Lease(bench.database, bench.home) as third,
        Lease(bench.database, bench.home, lease_s=0.0) as hasty,
    ):
        with Lease(bench.database, bench.home) as here:
            file = bench.home / "workflows" / "executors" / here.id
            hasty.forget(here.id)
            wait_for(lambda: file.exists() and here.id in third.living())
        # At once, by the lock of the new file, although the beat before was just now.
        assert third.dead() == [here.id]
        third.forget(here.id)
        assert here.id not in [each.id for each in third.all()]


def test_one_that_comes_back_before_it_is_forgotten_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 3600.0)
    now = [1000.0]
    with (
        Lease(bench.database, bench.home, clock=lambda: now[0]) as here,
        Lease(bench.database, bench.home, clock=lambda: now[0]) as other,
    ):
        now[0] += 2 * lease.LEASE_S
        assert other.dead() == [here.id]
        here.renew()
        other.forget(here.id)
        assert here.id in other.living()


def test_one_that_forgets_itself_is_not_noted_again(bench: Bench) -> None:
    with Lease(bench.database, bench.home) as here:
        here.forget(here.id)
        here.renew()
        assert here.all() == []
