"""What the direct way of a chat costs without its sockets: the relay, called as a connection calls it.

    python bench/gateway/direct.py [--requests 2000] [--rounds 15] [--profile]

A whole service runs in this process, writer thread and all; only the two connections are left out:
an exchange hands over a request that is read already, and the deployment "answers" at once, whole
or in 30 chunks. Printed: microseconds of this thread per request, and per chunk beyond that, the least
of the rounds, which what else runs on the machine disturbs least. `--profile` prints where it goes.
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

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.gateway import upstream
from bench.gateway.gateways import HEADRACE

from headrace.gateway.http import Headers
from headrace.gateway.relay.relay import Relay
from headrace.models.http.client import HttpClient
from headrace.models.http.exchange import Sink
from headrace.models.http.head import Head
from headrace.server.boot import open_platform
from headrace.server.http1.body import Body
from headrace.server.http1.exchange import HttpExchange
from headrace.server.http1.request import Request

__all__ = ["main"]

WHOLE = b'{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}],"max_tokens":32}'
STREAMED = WHOLE[:-1] + b',"stream":true}'
CHUNKS = 30


def unframed(chunk: bytes) -> bytes:
    return chunk.partition(b"\r\n")[2][:-2]


EVENTS = [unframed(upstream.FIRST), *[unframed(upstream.PIECE)] * CHUNKS]
EVENTS += [unframed(upstream.LAST) + upstream.USAGE + b"data: [DONE]\n\n"]
HEAD = [(b"content-type", b"application/json")]


class Line:
    """A client's connection that takes everything."""

    scheme = "http"
    peer = ("127.0.0.1", 1)
    is_write_paused = False
    date = b"date: Tue, 01 Dec 2026 00:00:00 GMT\r\n"

    def __init__(self) -> None:
        self.sent = b""

    def keeps_alive(self, exchange: HttpExchange) -> bool:
        return True

    def send(self, data: bytes) -> None:
        self.sent = data

    async def writable(self) -> None:
        return

    def hand_over(self, exchange: HttpExchange) -> None:
        raise AssertionError("it did not go the direct way")

    def finished(self, exchange: HttpExchange) -> None:
        return

    def abort(self) -> None:
        raise AssertionError("it broke off")


class Answering:
    """Stands in for `HttpClient.exchange`: answers at once."""

    def __init__(self, events: list[bytes]) -> None:
        self.events = events

    def __call__(self, client: HttpClient, head: object, body: bytes, sink: Sink) -> None:
        sink.began(Head(200, HEAD))
        for each in self.events:
            sink.received(each)
        sink.ended()


def microseconds(act: Callable[[], None], requests: int) -> float:
    began = time.thread_time()
    for _ in range(requests):
        act()
    return (time.thread_time() - began) / requests * 1e6


async def measure(options: argparse.Namespace, root: Path) -> None:
    (root / "headrace.yaml").write_text(HEADRACE.format(a=1, b=2))
    environ = {**os.environ, "HEADRACE_HOME": str(root / "home")}
    async with open_platform(root, environ) as platform:
        relay = Relay(platform)
        key = platform.keys.create("bench", "user")[0].encode()
        headers = Headers(
            [(b"host", b"x"), (b"authorization", b"Bearer " + key), (b"content-length", b"104")]
        )
        request = Request("POST", "/v1/chat/completions", b"", headers)
        line = Line()

        def ask(body: Body | bytes, answering: Answering) -> Callable[[], None]:
            def act() -> None:
                HttpClient.exchange = answering  # type: ignore[method-assign, assignment]
                assert relay(HttpExchange(line, request, body))

            act()
            assert line.sent.endswith((upstream.BODY, b"0\r\n\r\n")), line.sent
            return act

        class Bound(Answering):
            def __get__(self, client: HttpClient, kind: type) -> Callable[..., None]:
                return lambda head, body, sink: self(client, head, body, sink)

        whole = ask(WHOLE, Bound([upstream.BODY]))
        short = ask(STREAMED, Bound([EVENTS[0], EVENTS[1], EVENTS[-1]]))
        streamed = ask(STREAMED, Bound(EVENTS))
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
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", action="store_true")
    with tempfile.TemporaryDirectory() as name:
        uvloop.run(measure(parser.parse_args(), Path(name)))


if __name__ == "__main__":
    main()
