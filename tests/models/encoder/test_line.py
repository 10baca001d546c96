"""Who is computed next: short calls before long ones, and nobody forever last."""

import asyncio
from collections.abc import Callable
from threading import Event

import pytest

from headrace.models.encoder.line import PATIENCE_S, Line


class Computing:
    """Batches that end when the test says so, and what was computed in which order."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = Event()
        self.order: list[str] = []
        self._loop = asyncio.get_running_loop()

    def batch(self, name: str) -> Callable[[], str]:
        def compute() -> str:
            self.order.append(name)
            self._loop.call_soon_threadsafe(self.begun.set)
            assert self.may_end.wait(30)
            return name

        return compute

    def many(self, name: str, count: int) -> list[Callable[[], str]]:
        return [self.batch(f"{name} {at}") for at in range(count)]


async def test_a_question_waits_for_one_batch_of_an_import_and_not_for_all_of_it() -> None:
    computing = Computing()
    line: Line[str] = Line(clock=lambda: 0.0)
    long = asyncio.create_task(line.run(computing.many("import", 5), [100] * 5))
    await computing.begun.wait()
    question = asyncio.create_task(line.run(computing.many("question", 1), [10]))
    await asyncio.sleep(0)
    computing.may_end.set()
    assert await question == ["question 0"]
    assert await long == [f"import {at}" for at in range(5)]
    assert computing.order[:2] == ["import 0", "question 0"]
    await line.close()


async def test_one_that_waits_long_goes_before_shorter_ones() -> None:
    computing = Computing()
    now = 0.0
    line: Line[str] = Line(clock=lambda: now)
    first = asyncio.create_task(line.run(computing.many("first", 1), [1]))
    await computing.begun.wait()
    long = asyncio.create_task(line.run(computing.many("long", 2), [100] * 2))
    await asyncio.sleep(0)
    now = PATIENCE_S + 1
    shorts = [
        asyncio.create_task(line.run(computing.many(f"short{at}", 1), [1])) for at in range(3)
    ]
    await asyncio.sleep(0)
    computing.may_end.set()
    await asyncio.gather(first, long, *shorts)
    assert computing.order[1] == "long 0"
    assert computing.order[2:5] == ["short0 0", "short1 0", "short2 0"]
    await line.close()


async def test_a_caller_that_leaves_leaves_the_line() -> None:
    computing = Computing()
    line: Line[str] = Line(clock=lambda: 0.0)
    long = asyncio.create_task(line.run(computing.many("import", 50), [100] * 50))
    await computing.begun.wait()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    computing.may_end.set()
    assert await line.run(computing.many("question", 1), [10]) == ["question 0"]
    assert computing.order == ["import 0", "question 0"]
    await line.close()


async def test_a_batch_that_fails_fails_its_own_call_alone() -> None:
    line: Line[str] = Line(clock=lambda: 0.0)

    def fail() -> str:
        raise ValueError("no")

    failed, done = await asyncio.gather(
        line.run([fail], [1]), line.run([lambda: "done"], [1]), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert done == ["done"]
    await line.close()
