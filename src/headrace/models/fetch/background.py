"""Fetching weights beside a running event loop."""

import asyncio
import threading
from contextlib import suppress

from headrace.models.progress import Progress
from headrace.models.store import Kept, ModelStore

__all__ = ["fetch_in_background"]


class _Abandoned(Exception):
    """Nobody waits for the weights any more."""


async def fetch_in_background(
    store: ModelStore, reference: str, sha256: str | None, progress: Progress | None = None
) -> Kept:
    """The same as `store.fetch`; `progress` is called from another thread.

    Cancelling stops the download; what has arrived is kept. The thread is a daemon, so Ctrl-C
    ends the program at once even while a server keeps it waiting.

    Raises:
        WeightsUnavailable: they cannot be had, or are not the expected ones.
        ConfigError: the reference cannot be read.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Kept] = loop.create_future()
    abandoned = threading.Event()

    def report(what: str, so_far: int, total: int | None) -> None:
        if abandoned.is_set():
            raise _Abandoned
        if progress is not None:
            progress(what, so_far, total)

    def tell(kept: Kept | None, error: Exception | None) -> None:
        if done.done():
            return
        if kept is not None:
            done.set_result(kept)
        elif error is not None:
            done.set_exception(error)

    def fetch() -> None:
        kept, failure = None, None
        try:
            kept = store.fetch(reference, sha256, report)
        except Exception as error:  # noqa: BLE001 - carried over to the one who waits
            failure = error
        # The loop may be gone by now: then nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, kept, failure)

    threading.Thread(target=fetch, name="headrace-fetch", daemon=True).start()
    try:
        return await done
    finally:
        abandoned.set()
