"""A model server that costs next to nothing: it answers chats at once, or in paced chunks.

    python bench/gateway/upstream.py PORT [PORT ...]

Speaks OpenAI's wire format, whole and streamed, over keep-alive connections, on every port given.
A request says itself how its stream should be: `max_tokens` chunks, one every `seed` milliseconds.
Not covered: chunked request bodies, and whatever else no gateway sends to a model server.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

__all__ = ["main"]

BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{'
    b'"index":0,"message":{"role":"assistant","content":"The capital of France is Paris, on the '
    b'banks of the Seine.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":20,"completion_tokens":14,"total_tokens":34}}'
)
MODELS = b'{"object":"list","data":[{"id":"m","object":"model","created":1700000000}]}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
WHOLE = HEAD % (len(BODY), BODY)
OTHER = HEAD % (len(MODELS), MODELS)
# nginx sends a stream on as it comes only if told so; the others do by themselves.
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-accel-buffering: no\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
CHUNKS = re.compile(rb'"max_(?:completion_)?tokens": ?(\d+)')
EVERY_MS = re.compile(rb'"seed": ?(\d+)')
CHAT = b"POST /v1/chat/completions "


def chunk(delta: bytes, finish: bytes = b"null") -> bytes:
    data = (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":'
        b'"m","choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]}\n\n'
    ) % (delta, finish)
    return b"%x\r\n%b\r\n" % (len(data), data)


FIRST = chunk(b'{"role":"assistant","content":""}')
PIECE = chunk(b'{"content":" word"}')
USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50}}\n\n'
)
LAST = chunk(b"{}", b'"stop"')
END = b"%x\r\n%b\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n" % (len(USAGE), USAGE)


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._held = b""
        self._left = 0
        self._every_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        while data:
            end = data.find(b"\r\n\r\n")
            found = LENGTH.search(data, 0, end) if end > 0 else None
            size = end + 4 + (int(found[1]) if found is not None else 0)
            if end < 0 or len(data) < size:
                self._held = data
                return
            self._answer(data, end)
            data = data[size:]

    def _answer(self, data: bytes, end: int) -> None:
        if not data.startswith(CHAT):
            self._transport.write(OTHER)
            return
        if data.find(b'"stream":true', end) < 0 and data.find(b'"stream": true', end) < 0:
            self._transport.write(WHOLE)
            return
        chunks, every_ms = CHUNKS.search(data, end), EVERY_MS.search(data, end)
        self._left = int(chunks[1]) if chunks is not None else 30
        self._every_s = int(every_ms[1]) / 1e3 if every_ms is not None else 0.02
        self._transport.write(STREAM + FIRST)
        self._loop.call_later(self._every_s, self._next)

    def _next(self) -> None:
        if self._transport.is_closing():
            return
        if self._left:
            self._left -= 1
            self._transport.write(PIECE)
            self._loop.call_later(self._every_s, self._next)
        else:
            self._transport.write(LAST + END)


async def main(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main([int(each) for each in sys.argv[1:]]))
