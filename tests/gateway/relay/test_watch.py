"""Calls that take their time: noted, and looked after; quick ones are left alone."""

import asyncio
import math
import time

from headrace.gateway.relay.watch import Watch


class Slow:
    """A call that ends when the test says so."""

    def __init__(self, *, patience_s: float = math.inf, others: bool = True) -> None:
        self.is_over = False
        self.is_hopeless = False
        self.may_go_elsewhere = others
        self.patience_until = time.monotonic() + patience_s
        self.noted = asyncio.Event()
        self.gone = asyncio.Event()

    def note(self) -> None:
        self.noted.set()

    def timed_out(self) -> None:
        self.is_over = True
        self.gone.set()


async def test_a_call_that_lasts_is_noted_and_a_quick_one_is_not() -> None:
    watch, slow, quick = Watch(), Slow(), Slow()
    watch.add(quick)
    watch.add(slow)
    quick.is_over = True
    await slow.noted.wait()
    assert not quick.noted.is_set()
    slow.is_over = True


async def test_out_of_patience_it_is_told_to_go_elsewhere() -> None:
    watch, call = Watch(), Slow(patience_s=0.0)
    watch.add(call)
    await call.gone.wait()
    assert call.noted.is_set()


async def test_one_at_a_frozen_deployment_need_not_wait_for_its_time() -> None:
    watch, call = Watch(), Slow()
    watch.add(call)
    await call.noted.wait()
    call.is_hopeless = True
    await call.gone.wait()


async def test_who_has_begun_to_answer_is_left_alone() -> None:
    watch, begun, waiting = Watch(), Slow(patience_s=0.0), Slow(patience_s=0.0)
    watch.add(begun)
    watch.add(waiting)
    await begun.noted.wait()
    watch.forget(begun)
    await waiting.gone.wait()
    assert not begun.gone.is_set()


async def test_where_nobody_else_could_answer_it_waits() -> None:
    watch, only, other = Watch(), Slow(patience_s=0.0, others=False), Slow(patience_s=0.0)
    watch.add(only)
    watch.add(other)
    await other.gone.wait()
    assert not only.gone.is_set()
