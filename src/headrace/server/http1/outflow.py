"""What a client has yet to take: whether it is too slow, and whether it is there at all.

The kernel is asked, through the connection's socket; what a kernel other than Linux does not tell
counts as nothing waiting, and as a client that is there.
"""

import array
import asyncio
import contextlib
import fcntl
import math
import socket
import termios

__all__ = ["Outflow", "is_closed"]

_TCP_CLOSE = 7
"""`TCP_CLOSE` of the kernel's include/net/tcp_states.h."""


class Outflow:
    """Watches that a client takes what is sent to it, however slowly."""

    __slots__ = ("_deadline", "_timeout_s", "_transport", "_unsent", "_writable", "is_paused")

    def __init__(self, transport: asyncio.Transport, timeout_s: float) -> None:
        self.is_paused = False
        """Whether so much waits that no more should be sent for now."""
        self._transport = transport
        self._timeout_s = timeout_s
        self._unsent = 0
        self._deadline = math.inf
        self._writable = asyncio.Event()

    def pause(self, now: float) -> None:
        self.is_paused = True
        self._writable.clear()
        self._unsent = self._count()
        self._deadline = now + self._timeout_s

    def resume(self) -> None:
        self.is_paused = False
        self._deadline = math.inf
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._writable.set()

    async def wait(self) -> None:
        """Until `resume` or `wake`."""
        await self._writable.wait()

    def is_stuck(self, now: float) -> bool:
        """Whether the client has taken nothing for the whole time that it may."""
        if now < self._deadline:
            return False
        unsent = self._count()
        is_stuck = unsent >= self._unsent
        self._unsent = unsent
        self._deadline = now + self._timeout_s
        return is_stuck

    def _count(self) -> int:
        """Bytes that the client's machine has not taken: ours, and those in the kernel's queue.

        That queue takes more only after a megabyte or so has gone, which may take a slow client
        minutes.
        """
        waiting = array.array("i", [0])
        connected = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, waiting)
        return waiting[0] + self._transport.get_write_buffer_size()


def is_closed(transport: asyncio.Transport) -> bool:
    """Whether the client's machine has said that nobody is there any more (RST)."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    connected = transport.get_extra_info("socket")
    return bool(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE)
