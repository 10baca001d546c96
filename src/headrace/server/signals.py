"""SIGTERM and SIGINT ask a service to stop; a second one asks it to stop at once."""

import asyncio
import signal
from collections.abc import Callable
from typing import Self

__all__ = ["Signals"]


class Signals:
    """Listens within its block, on the event loop."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.on_second: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        if self.stopping.is_set():
            self.on_second()
        self.stopping.set()
