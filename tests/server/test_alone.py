"""Work of one gateway for all: one at a time, and another goes on when the first is cut off."""

import asyncio

from headrace.server import alone as module
from headrace.server.alone import alone
from headrace.storage.database import Database
from tests.postgres import PostgresServer


async def test_one_works_at_a_time_and_the_other_goes_on_when_it_is_cut_off(
    postgres_database: str, postgres: PostgresServer
) -> None:
    database = Database.open(postgres_database)
    begun: asyncio.Queue[str] = asyncio.Queue()
    cancelled = asyncio.Event()

    async def work(name: str) -> None:
        begun.put_nowait(name)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    module.LOOK_EVERY_S = 0.05
    gateways = {
        name: asyncio.create_task(alone(database, "evals", lambda name=name: work(name)))  # type: ignore[misc]
        for name in ("first", "second")
    }
    first = await begun.get()
    gateways.pop(first).cancel()
    (second,) = gateways
    assert await begun.get() == second
    cancelled.clear()
    assert begun.empty()
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        " AND classid = 1097625454"
    )
    await asyncio.wait_for(cancelled.wait(), 30)
    assert await asyncio.wait_for(begun.get(), 30) == second
    gateways[second].cancel()
    await asyncio.gather(*gateways.values(), return_exceptions=True)
    database.close()
