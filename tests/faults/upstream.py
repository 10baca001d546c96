"""A model server that can be told to misbehave, as a process of its own.

    python -m tests.faults.upstream --log FILE [--port N] [--certificate FILE --key FILE]

Speaks OpenAI's chat completions, whole and streamed, and answers `re: ` and the last message, so
that nobody's answer can pass for another's. Prints its port. Each line on stdin is a `Fault` as
JSON, answered with `ok` once it holds. Each request is a line in the log, written before anything
is answered: when (CLOCK_MONOTONIC, which all processes share), what was asked, and what the server
was told to do with it.
"""

import argparse
import asyncio
import os
import random
import socket
import ssl
import struct
import sys
import time
from typing import Literal, TypeAlias

import httptools
import msgspec
import uvloop

__all__ = ["Fault", "Logged", "Mode"]

PIECES = 8
KEY = b"Bearer sk-faults"

Mode: TypeAlias = Literal[
    "well",
    "slow",
    "slow_stream",
    "reset_first",
    "reset_mid",
    "garbage",
    "not_http",
    "error_500",
    "throttled",
    "wrong_key",
    "closes_idle",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What to do from now on."""

    mode: Mode = "well"
    seconds: float = 0.0
    """`slow`: before the first byte. `slow_stream`: before each later one."""
    retry_after_s: int | None = None
    """`throttled`: what is said of when to come back."""
    share: float = 1.0
    """So many of the requests are treated so."""


class Logged(msgspec.Struct, frozen=True):
    """One request that arrived."""

    at: float
    question: str
    mode: Mode
    stream: bool


class _Message(msgspec.Struct):
    content: str


class _Asked(msgspec.Struct):
    messages: list[_Message]
    stream: bool = False


_asked = msgspec.json.Decoder(_Asked).decode
_json = msgspec.json.encode


class State:
    """What all connections share."""

    def __init__(self, log: str) -> None:
        self.fault = Fault()
        # Unbuffered: what is told of a request is told before it is answered, whoever dies.
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def take(self, asked: _Asked) -> Fault:
        """What becomes of this request."""
        fault = self.fault
        if fault.share < 1.0 and random.random() >= fault.share:
            fault = Fault()
        question = asked.messages[-1].content
        logged = Logged(time.monotonic(), question, fault.mode, asked.stream)
        os.write(self._log, _json(logged) + b"\n")
        return fault


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._key = b""
        self._url = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._key = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, url = bytes(self._body), self._url
        self._body.clear()
        self._url = b""
        if url.endswith(b"/models"):
            self._whole(200, _json({"object": "list", "data": [{"id": "m", "object": "model"}]}))
        elif self._key != KEY:
            self._error(401, "invalid_api_key", "Incorrect API key provided")
        else:
            self._task = asyncio.ensure_future(self._answer(_asked(body)))

    async def _answer(self, asked: _Asked) -> None:
        fault = self._state.take(asked)
        text = f"re: {asked.messages[-1].content}"
        if fault.mode == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.mode == "reset_first":
            self._reset()
        elif fault.mode == "not_http":
            self._transport.write(b"\x00\xffwhat is this?\r\n\r\n")
        elif fault.mode == "garbage":
            self._garbage(asked)
        elif fault.mode == "error_500":
            self._error(500, "server_error", "The server had an error")
        elif fault.mode == "wrong_key":
            self._error(401, "invalid_api_key", "Incorrect API key provided")
        elif fault.mode == "throttled":
            wait = fault.retry_after_s
            more = b"" if wait is None else b"retry-after: %d\r\n" % wait
            self._error(429, "rate_limit_exceeded", "Too many requests", more)
        elif asked.stream:
            await self._stream(text, fault)
        else:
            self._whole(200, _whole(text), cut=fault.mode == "reset_mid")
        if fault.mode == "closes_idle":
            # Somewhere between at once and when the next request is on its way.
            task = self._task
            await asyncio.sleep(random.uniform(0.0, 0.03))
            if self._task is task:
                self._transport.close()

    async def _stream(self, text: str, fault: Fault) -> None:
        write = self._transport.write
        write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        size = -(-len(text) // PIECES)
        for at in range(0, len(text), size):
            write(_chunk(_event({"content": text[at : at + size]})))
            await asyncio.sleep(fault.seconds if fault.mode == "slow_stream" else 0.003)
            if fault.mode == "reset_mid" and at:
                self._reset()
                return
        usage = {"prompt_tokens": 9, "completion_tokens": PIECES, "total_tokens": 9 + PIECES}
        write(
            _chunk(_event({}, finish_reason="stop"))
            + _chunk(_event(None, usage=usage) + b"data: [DONE]\n\n")
            + b"0\r\n\r\n"
        )

    def _whole(self, status: int, body: bytes, more: bytes = b"", *, cut: bool = False) -> None:
        head = b"HTTP/1.1 %d x\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
        self._transport.write(
            head % (status, more, len(body)) + body[: len(body) // 2 if cut else None]
        )
        if cut:
            self._reset()

    def _error(self, status: int, code: str, message: str, more: bytes = b"") -> None:
        body = {"error": {"message": message, "type": "error", "code": code, "param": None}}
        self._whole(status, _json(body), more)

    def _garbage(self, asked: _Asked) -> None:
        nonsense = b'{"choices": [{"delta": \xff\xfe nonsense'
        if asked.stream:
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
                + _chunk(b"data: " + nonsense + b"\n\n")
                + b"0\r\n\r\n"
            )
        else:
            self._whole(200, nonsense)

    def _reset(self) -> None:
        """RST instead of FIN: what a killed process or a firewall's mood looks like."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(
    delta: dict[str, str] | None,
    *,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choices = []
    if delta is not None:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    event = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
    }
    return b"data: " + _json(event if usage is None else {**event, "usage": usage}) + b"\n\n"


def _whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return _json(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": PIECES, "total_tokens": 9 + PIECES},
        }
    )


async def serve(options: argparse.Namespace) -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    state = State(options.log)
    context: ssl.SSLContext | None = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    server = await loop.create_server(
        lambda: Connection(state), "127.0.0.1", options.port, ssl=context, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        state.fault = msgspec.json.decode(line, type=Fault)
        print("ok", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
