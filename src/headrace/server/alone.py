"""Work that one gateway does for all that share a database server."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from headrace.storage.database import Database

__all__ = ["alone"]

_CLASS = 0x416C6F6E
"""Advisory locks of who does what."""
LOOK_EVERY_S = 2.0


async def alone(database: Database, what: str, work: Callable[[], Awaitable[object]]) -> object:
    """Do endless `work` while no other gateway does; where the database is a file, at once.

    The server drops the claim with the connection that holds it: then the work is cancelled here,
    and whoever claims it next goes on.
    """
    if not database.is_postgres:
        return await work()
    while True:
        claim = await asyncio.to_thread(_claimed, database, what)
        if claim is None:
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        task = asyncio.ensure_future(work())
        try:
            while not task.done() and await asyncio.to_thread(_is_held, claim):
                await asyncio.wait({task}, timeout=LOOK_EVERY_S)
            if task.done():
                return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.to_thread(_release, claim)


def _claimed(database: Database, what: str) -> Connection | None:
    connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    taken = False
    try:
        number = zlib.crc32(what.encode()) - 2**31
        lock = text("SELECT pg_try_advisory_lock(:class, :number)")
        taken = bool(connection.execute(lock, {"class": _CLASS, "number": number}).scalar())
    finally:
        if not taken:
            connection.close()
    return connection if taken else None


def _is_held(claim: Connection) -> bool:
    try:
        claim.execute(text("SELECT 1"))
    except DBAPIError:
        return False
    return True


def _release(claim: Connection) -> None:
    # Not back into the pool: the lock ends with its session.
    claim.invalidate()
    claim.close()
