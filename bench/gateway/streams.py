"""A client that keeps so many streams open and counts their chunks: one process, as cheap as can be.

    python bench/gateway/streams.py PORT KEY [--streams 16] [--seconds 4] [--every-ms 20] [...]

Each stream runs on a connection of its own; when it has ended the next one begins there, until the
seconds are over; those under way then run to their end. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import time
from typing import cast

import uvloop

__all__ = ["main"]

PIECE = b'" word"'
"""Stands once in every chunk, however a gateway writes its JSON."""
END = b"0\r\n\r\n"
OVERLAP = len(PIECE) - 1
GRACE_S = 15.0


class Load:
    """All streams of one run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.port: int = options.port
        body = json.dumps(
            {
                "model": "m",
                "messages": [{"role": "user", "content": "What is the capital of France?"}],
                "stream": True,
                "max_tokens": options.chunks,
                "seed": options.every_ms,
            },
            separators=(",", ":"),
        ).encode()
        self.request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{options.port}\r\n"
            f"Authorization: Bearer {options.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.chunks = 0
        self.whole = 0
        """Streams that came to their end."""
        self.failed = 0
        self.why = ""
        self.is_over = False
        self.running = 0
        self.peak = 0
        self.done = asyncio.Event()

    def fail(self, why: bytes | str) -> None:
        self.failed += 1
        self.why = self.why or (why if isinstance(why, str) else why[:300].decode("latin-1"))


class Stream(asyncio.Protocol):
    """One connection and the streams on it, one after the other."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._tail = b""
        self._is_running = False
        self._has_begun = False
        self._is_ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._begin()

    def _begin(self) -> None:
        load = self._load
        if load.is_over:
            self._transport.close()
            return
        self._tail = b""
        self._is_running, self._has_begun, self._is_ending = True, False, False
        load.running += 1
        load.peak = max(load.peak, load.running)
        self._transport.write(load.request)

    def data_received(self, data: bytes) -> None:
        load = self._load
        if not self._has_begun:
            self._has_begun = True
            if not data.startswith(b"HTTP/1.1 200"):
                load.fail(data)
                self._ended()
                self._transport.close()
                return
        joint = self._tail + data
        load.chunks += joint.count(PIECE)
        # What is kept is shorter than a piece, so that none counts twice.
        self._tail = joint[-OVERLAP:]
        if not self._is_ending and b"[DONE]" in joint:
            self._is_ending = True
        if self._is_ending and joint.endswith(END):
            load.whole += 1
            self._ended()
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_running:
            self._load.fail(f"connection lost: {exc}")
            self._ended()

    def _ended(self) -> None:
        self._is_running = False
        self._load.running -= 1
        if self._load.is_over and self._load.running == 0:
            self._load.done.set()


async def run(options: argparse.Namespace) -> dict[str, float | int | str]:
    loop = asyncio.get_running_loop()
    load = Load(options)
    began = time.monotonic()
    gap_s = options.stagger_s / options.streams
    for number in range(options.streams):
        # Streams that all began at once would bring their chunks at once, too.
        if (ahead_s := began + number * gap_s - time.monotonic()) > 0:
            await asyncio.sleep(ahead_s)
        try:
            await loop.create_connection(lambda: Stream(load), "127.0.0.1", load.port)
        except OSError as error:
            load.fail(str(error))
    await asyncio.sleep(max(0.0, began + options.seconds - time.monotonic()))
    load.is_over = True
    unfinished = 0
    if load.running:
        try:
            await asyncio.wait_for(
                load.done.wait(), options.chunks * options.every_ms / 1e3 + GRACE_S
            )
        except TimeoutError:
            unfinished = load.running
    return {
        "chunks": load.chunks,
        "streams": load.whole,
        "failed": load.failed,
        "unfinished": unfinished,
        "peak": load.peak,
        "seconds": time.monotonic() - began,
        "why": load.why,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--chunks", type=int, default=30)
    parser.add_argument("--every-ms", type=int, default=20)
    parser.add_argument("--stagger-s", type=float, default=0.5)
    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
