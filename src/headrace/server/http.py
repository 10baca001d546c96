"""The HTTP server: uvicorn, told when to stop by us, and waiting for answers that still run."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterator

import uvicorn

from headrace.gateway.app import App

__all__ = ["HttpServer"]

KEEP_ALIVE_S = 75
"""Longer than common load balancers keep an idle connection, so that they close it, not we."""
CANCEL_S = 3.0
"""How long answers that draining cut off get to record their traces."""


class HttpServer(uvicorn.Server):
    """Serves an application on a socket until `should_exit` is set, then drains."""

    def __init__(self, app: App, *, drain_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Who asks is known by the key; an address from a header would be anybody's word.
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=math.ceil(drain_s),
            )
        )
        self.answering = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours (server/run.py)."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers end, for `drain_s`; those cut off then still record their traces."""
        await super().shutdown(sockets)
        if tasks := self.server_state.tasks:
            await asyncio.wait(tasks, timeout=CANCEL_S)
