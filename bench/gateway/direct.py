"""What the direct way of a chat costs without its sockets: all Python between two transports.

    python bench/gateway/direct.py [--requests 1500] [--rounds 12] [--profile]

A whole service runs in this process, writer thread and all, with the server's connection to a client
and the client's connection to a deployment. Only their transports are stand-ins: the bytes of a
request are handed to the one, and as soon as the other is given something to send, the bytes of the
answer to it, whole or in 30 chunks. Printed: microseconds of this thread per request, and per chunk
beyond that, the least of the rounds, which what else runs on the machine disturbs least. `--profile`
prints where it goes.

Not covered: what the event loop, the kernel and the writer's thread take (measure.py has all of it).
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.gateway import upstream
from bench.gateway.gateways import HEADRACE

from headrace.gateway.http import Exchange
from headrace.gateway.relay.relay import Relay
from headrace.models.http.connection import Connection as UpstreamConnection
from headrace.models.http.exchange import Exchange as UpstreamExchange
from headrace.models.http.peer import Peer
from headrace.models.http.pool import Pool
from headrace.models.http.resolve import Resolver
from headrace.models.http.settings import PoolSettings
from headrace.pipeline.service import Platform
from headrace.server.boot import open_platform
from headrace.server.http1.connection import Connection
from headrace.server.http1.limits import Limits
from headrace.server.http1.server import HttpServer

__all__ = ["main"]

WHOLE = b'{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}],"max_tokens":32}'
STREAMED = WHOLE[:-1] + b',"stream":true}'
CHUNKS = 30
STREAM = (
    upstream.STREAM + upstream.FIRST,
    *[upstream.PIECE] * CHUNKS,
    upstream.LAST + upstream.END,
)


class Wire(asyncio.Transport):
    """Takes everything at once, and remembers the last of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent = bytes(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return

    def abort(self) -> None:
        return

    def close(self) -> None:
        return


class Deployment:
    """A pool whose only connection is no connection: it hands over what it was given to send."""

    asked: UpstreamConnection

    def __init__(self, peer: Peer) -> None:
        self.pool = Pool(peer, PoolSettings(), Resolver())
        self.connection = UpstreamConnection(self.pool, peer)
        self.connection.connection_made(Wire())

    def submit(self, exchange: UpstreamExchange) -> None:
        Deployment.asked = self.connection
        self.connection.start(exchange)


def stand_in(platform: Platform) -> None:
    """Let nothing that this service asks of its deployments leave the process."""
    deployments: dict[int, Deployment] = {}

    def submit(pool: Pool, exchange: UpstreamExchange) -> None:
        found = deployments.get(id(pool))
        if found is None:
            found = deployments[id(pool)] = Deployment(pool._peer)  # noqa: SLF001
        found.submit(exchange)

    Pool.submit = submit  # type: ignore[method-assign, assignment]
    assert platform.service.models.models()


def microseconds(act: Callable[[], None], requests: int) -> float:
    began = time.thread_time()
    for _ in range(requests):
        act()
    return (time.thread_time() - began) / requests * 1e6


async def ordinary(exchange: Exchange) -> None:
    raise AssertionError(f"{exchange.path} did not go the direct way")


async def measure(options: argparse.Namespace, root: Path) -> None:
    (root / "headrace.yaml").write_text(HEADRACE.format(a=1, b=2))
    environ = {**os.environ, "HEADRACE_HOME": str(root / "home")}
    async with open_platform(root, environ) as platform:
        relay = Relay(platform)
        stand_in(platform)
        server = HttpServer(ordinary, Limits(), relay=relay, relay_wants_body=relay.wants_body)
        client = Connection(server, "http")
        wire = Wire()
        client.connection_made(cast(asyncio.BaseTransport, wire))
        key = platform.keys.create("bench", "user")[0].encode()

        def ask(body: bytes, packets: tuple[bytes, ...]) -> Callable[[], None]:
            head = (
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: "
                b"Bearer %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            ) % (key, len(body))
            request = head + body

            def act() -> None:
                client.data_received(request)
                asked = Deployment.asked
                for packet in packets:
                    asked.data_received(packet)

            act()
            assert wire.sent.endswith((upstream.BODY, b"0\r\n\r\n")), wire.sent
            return act

        whole = ask(WHOLE, (upstream.WHOLE,))
        short = ask(STREAMED, (STREAM[0], STREAM[1], STREAM[-1]))
        streamed = ask(STREAMED, STREAM)
        if options.profile:
            with cProfile.Profile() as profile:
                microseconds(whole, options.requests)
                microseconds(streamed, options.requests // 10)
            pstats.Stats(profile).sort_stats("tottime").print_stats(50)
            return
        costs: dict[str, list[float]] = {"whole": [], "short": [], "streamed": []}
        for _ in range(options.rounds):
            costs["whole"].append(microseconds(whole, options.requests))
            costs["short"].append(microseconds(short, options.requests // 2))
            costs["streamed"].append(microseconds(streamed, options.requests // 8))
            await asyncio.sleep(0.3)
        best = {name: min(seen) for name, seen in costs.items()}
        each = (best["streamed"] - best["short"]) / (CHUNKS - 1)
        print(
            f"whole {best['whole']:.1f} µs   streamed {best['short']:.1f} µs + {each:.2f} µs a chunk"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--profile", action="store_true")
    with tempfile.TemporaryDirectory() as name:
        uvloop.run(measure(parser.parse_args(), Path(name)))


if __name__ == "__main__":
    main()
