"""What a service does by itself goes on when it fails once."""

import asyncio

import pytest

from headrace.server.upkeep import kept_up


async def test_work_that_fails_is_said_and_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    begun: list[int] = []
    going = asyncio.Event()

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise RuntimeError("the disk said no")
        going.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(kept_up("watching", work, pause_s=0.001))
    await asyncio.wait_for(going.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert begun == [0, 1, 2]
    assert caplog.text.count("watching failed") == 2
    assert "the disk said no" in caplog.text
