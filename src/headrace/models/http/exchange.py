"""One request with its response, handed on as it arrives: calls instead of awaits.

This is the way of the gateway's fast path: a packet of the body costs one call, without a future,
a generator or a task. `HttpClient.request` is built on it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from headrace.errors import ModelUnavailable
from headrace.models.http.head import Head, RequestHead

__all__ = ["Carrier", "Exchange", "OnChunks", "Sink", "Spans"]

Spans: TypeAlias = Sequence[tuple[int, int]]
"""Where in a packet the data of its chunks begin and end."""
OnChunks: TypeAlias = Callable[[bytes, Spans], bool]


class Sink(Protocol):
    """Takes a response as it arrives, on the event loop: must be quick, and must not raise.

    `began` once, `received` any number of times, then `ended`; or `failed` at any point, after
    which nothing follows. After `Exchange.abort` nothing is called any more.
    """

    def began(self, head: Head) -> None:
        """Status and headers are here (interim responses are passed over)."""
        ...

    def received(self, data: bytes) -> None:
        """More of the body, without transfer or content coding; never empty."""
        ...

    def ended(self) -> None:
        """The response is whole. Its connection already serves others."""
        ...

    def failed(self, error: ModelUnavailable) -> None:
        """It will not become whole: what was received is all there is."""
        ...


class Carrier(Protocol):
    """What an exchange is at: a queue for connections, or a connection."""

    def set_paused(self, *, paused: bool) -> None: ...

    def drop(self, exchange: "Exchange") -> None: ...


class Exchange:
    """The caller's hold on a request under way."""

    __slots__ = (
        "carrier",
        "data",
        "deadline",
        "is_paused",
        "keep_alive",
        "on_chunks",
        "resend",
        "sink",
    )

    def __init__(
        self, head: RequestHead, body: bytes, sink: Sink, *, deadline: float | None
    ) -> None:
        self.sink = sink
        self.data = head.with_body(body)
        self.keep_alive = head.keep_alive
        self.resend = head.resend
        self.deadline = deadline
        self.is_paused = False
        self.on_chunks: OnChunks | None = None
        """Asked first where a packet is nothing but whole chunks of the body, framing and all: who
        passes them on need not frame them anew. It says whether it has taken the packet."""
        self.carrier: Carrier | None = None
        """None before it is submitted and once it is over."""

    @property
    def is_over(self) -> bool:
        """Whether the response has ended, failed or been given up."""
        return self.carrier is None

    def pause(self) -> None:
        """Stop reading from the server: it will have to wait once the kernel's buffers are full.

        What the current packet still holds is delivered. No idle time-out runs meanwhile.
        """
        self._set_paused(paused=True)

    def resume(self) -> None:
        """Read on."""
        self._set_paused(paused=False)

    def _set_paused(self, *, paused: bool) -> None:
        if paused != self.is_paused:
            self.is_paused = paused
            if self.carrier is not None:
                self.carrier.set_paused(paused=paused)

    def abort(self) -> None:
        """Give up: the connection is closed, which tells the server to stop. Nothing if over."""
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.drop(self)
