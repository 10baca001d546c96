"""The HTTP server of one process: accepts clients, watches their times, and stops without haste."""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

from headrace.errors import HeadraceError
from headrace.gateway.errors import (
    ServiceStopping,
    error_body,
    internal_error,
    status_of,
)
from headrace.gateway.http import ClientGone, Exchange
from headrace.ids import new_id
from headrace.server.http1.connection import Connection
from headrace.server.http1.exchange import HttpExchange
from headrace.server.http1.host import Guest
from headrace.server.http1.limits import Limits
from headrace.server.http1.response import date_header

__all__ = ["Handler", "HttpServer"]

Handler: TypeAlias = Callable[[Exchange], Awaitable[None]]
Relay: TypeAlias = Callable[[HttpExchange], bool]

BACKLOG = 2048
HANDSHAKE_S = 10.0
RELAY_BODY_BYTES = 256 * 1024
"""Longer bodies go the ordinary way, which reads them as they come."""
CANCEL_S = 3.0
"""How long answers that draining cut off get to record their traces."""
FLUSH_S = 1.0
"""And then their last words, to reach the client."""

_log = logging.getLogger(__name__)


class HttpServer:
    """Serves a handler on a listening socket until `stop` is called, then drains."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        *,
        drain_s: float = 20.0,
        tls: ssl.SSLContext | None = None,
        relay: Relay | None = None,
        relay_wants_body: Callable[[HttpExchange], bool] | None = None,
    ) -> None:
        """
        Args:
            relay: is asked first, and says at once whether it takes an exchange.
            relay_wants_body: whether it might take an exchange once its body is here.
        """
        self.limits = limits
        self.date = date_header(time.time())
        self.is_draining = False
        self.connections: set[Guest] = set()
        self.answering = asyncio.Event()
        """Set once clients are accepted."""
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._handler = handler
        self._drain_s = drain_s
        self._tls = tls
        self._relay = relay
        self._relay_wants_body = relay_wants_body
        self._timer: asyncio.TimerHandle | None = None
        self.running: set[asyncio.Task[None]] = set()
        """Handlers that have not ended."""
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()
        self._all_left = asyncio.Event()

    def stop(self) -> None:
        """Accept nobody any more and let what runs end, for `drain_s`."""
        self._stopping.set()

    def stop_at_once(self) -> None:
        """Do not wait for what runs."""
        self._stopping.set()
        self._at_once.set()

    async def serve(self, listener: socket.socket) -> None:
        """Answer until told to stop.

        Args:
            listener: bound and listening; several processes may share one address (SO_REUSEPORT).
        """
        # Kept open a moment longer than the event loop's own, for who is still in its queue.
        with listener.dup() as queue:
            server = await self._loop.create_server(
                self._connection,
                sock=listener,
                ssl=self._tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
            )
            try:
                with self._ticking():
                    self.answering.set()
                    await self._stopping.wait()
                    self.is_draining = True
                    server.close()
                    await self._accept_the_last(queue)
                    queue.close()
                    await self._drain()
            finally:
                server.close()
                for connection in tuple(self.connections):
                    connection.abort()

    # What a connection calls.

    def start(self, exchange: HttpExchange) -> "asyncio.Task[None] | None":
        """Let the handler answer; None: it is relayed, without a task."""
        if self._relay is not None:
            if not exchange.has_whole_body and self._waits_for_body(exchange):
                return None
            if self._relay(exchange):
                return None
        return self.run(exchange)

    def _waits_for_body(self, exchange: HttpExchange) -> bool:
        """Most clients send head and body apart: a short one is waited for before the relay is asked."""
        wants = self._relay_wants_body
        if wants is None or exchange.expects_continue:
            return False
        if not wants(exchange):
            return False
        start = functools.partial(self._start_late, exchange)
        return exchange.call_with_body(start, RELAY_BODY_BYTES)

    def _start_late(self, exchange: HttpExchange) -> None:
        if not exchange.is_client_gone and not (self._relay is not None and self._relay(exchange)):
            exchange.task = self.run(exchange)

    def run(self, exchange: HttpExchange) -> "asyncio.Task[None]":
        """Let the handler answer, in a task."""
        task = self._loop.create_task(self._answer(exchange))
        self.running.add(task)
        return task

    def render(self, error: HeadraceError) -> tuple[int, bytes]:
        """An error as status and OpenAI's error object."""
        return status_of(error), error_body(error)

    def forget(self, task: "asyncio.Task[None]") -> None:
        """The task has been cancelled before it ran."""
        self.running.discard(task)

    def left(self) -> None:
        """A connection is no more."""
        self._look_if_all_left()

    def _connection(self) -> Connection:
        return Connection(self, "http" if self._tls is None else "https")

    async def _answer(self, exchange: HttpExchange) -> None:
        """The handler, and what becomes of an exchange that it leaves unanswered."""
        exchange.has_started = True
        try:
            await self._handler(exchange)
            if not exchange.has_ended and not exchange.is_client_gone:
                raise RuntimeError("the handler has not answered")  # noqa: TRY301
        except asyncio.CancelledError:
            self._fail(
                exchange, ServiceStopping("the service is stopping", hint="try again in a moment")
            )
            raise
        except ClientGone:
            pass
        except HeadraceError as error:
            self._fail(exchange, error)
        except Exception:  # noqa: BLE001  logged; a client that has left is no reason for noise
            if not exchange.is_client_gone:
                request_id = new_id()
                _log.exception("%s %s failed (%s)", exchange.method, exchange.path, request_id)
                self._fail(exchange, internal_error(request_id))
        finally:
            task = exchange.task
            if task is not None:
                self.running.discard(task)
            if self.is_draining:
                self._look_if_all_left()

    def _fail(self, exchange: HttpExchange, error: HeadraceError) -> None:
        """Answer with an error, or, where an answer has begun, break the connection off."""
        if exchange.has_begun:
            exchange.abort()
            return
        status, body = self.render(error)
        exchange.respond(status, [(b"content-type", b"application/json")], body)

    @contextlib.contextmanager
    def _ticking(self) -> Iterator[None]:
        """One timer for all connections: one each would cost every request two timers."""
        self._schedule_tick()
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _schedule_tick(self) -> None:
        self._timer = self._loop.call_later(self.limits.tick_s, self._tick)

    def _tick(self) -> None:
        now = self.now()
        self.date = date_header(time.time())
        for connection in tuple(self.connections):
            connection.tick(now)
        self._schedule_tick()

    async def _accept_the_last(self, queue: socket.socket) -> None:
        """Take those whom the kernel has connected already: closing would reset them."""
        queue.setblocking(False)
        with contextlib.suppress(OSError):  # BlockingIOError: nobody is left
            while True:
                client, _ = queue.accept()
                client.setblocking(False)
                await self._loop.connect_accepted_socket(
                    self._connection,
                    client,
                    ssl=self._tls,
                    ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
                )

    async def _drain(self) -> None:
        for connection in tuple(self.connections):
            connection.drain()
        await self._until_all_left(self._drain_s)
        if self.running:
            _log.info("%d answers are cut off", len(self.running))
        for task in tuple(self.running):
            task.cancel()
        for connection in tuple(self.connections):
            connection.cut()
        if self.running:
            await asyncio.wait(tuple(self.running), timeout=CANCEL_S)
        self.running = {task for task in self.running if not task.done()}
        await self._until_all_left(0 if self._at_once.is_set() else FLUSH_S)

    async def _until_all_left(self, timeout_s: float) -> None:
        self._look_if_all_left()
        left = asyncio.ensure_future(self._all_left.wait())
        hurried = asyncio.ensure_future(self._at_once.wait())
        await asyncio.wait((left, hurried), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        hurried.cancel()

    def _look_if_all_left(self) -> None:
        if self.is_draining and not self.connections and not self.running:
            self._all_left.set()
