"""What a connection and its server know of each other, so that neither imports the other's file."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.server.http1.exchange import HttpExchange
from headrace.server.http1.limits import Limits

__all__ = ["Guest", "Host"]


class Guest(Protocol):
    """What the server needs of a connection."""

    def tick(self, now: float) -> None:
        """Look whether the client is over its time."""
        ...

    def drain(self) -> None:
        """The server stops: end the connection if nothing is under way on it."""
        ...

    def cut(self) -> None:
        """What is relayed here ends now."""
        ...

    def abort(self) -> None:
        """Break off at once."""
        ...


class Host(Protocol):
    """What a connection needs of the server."""

    limits: Limits
    date: bytes
    is_draining: bool
    connections: set[Guest]
    now: Callable[[], float]
    """The event loop's clock."""

    def start(self, exchange: HttpExchange) -> "asyncio.Task[None] | None":
        """Let the handler answer; None: it is relayed, without a task."""
        ...

    def run(self, exchange: HttpExchange) -> "asyncio.Task[None]":
        """Let the handler answer, in a task."""
        ...

    def render(self, error: HeadraceError) -> tuple[int, bytes]:
        """An error as status and JSON."""
        ...

    def forget(self, task: "asyncio.Task[None]") -> None:
        """The task has been cancelled before it ran."""
        ...

    def left(self) -> None:
        """A connection is no more."""
        ...
