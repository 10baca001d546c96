"""A model server that costs next to nothing: it answers chats at once, or in paced chunks.

    python bench/gateway/upstream.py PORT [--chunks 30] [--every-ms 20]

Speaks OpenAI's wire format, whole and streamed, over keep-alive connections.
"""

import argparse
import asyncio

import httptools
import uvloop

BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{'
    b'"index":0,"message":{"role":"assistant","content":"The capital of France is Paris, on the '
    b'banks of the Seine.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":20,"completion_tokens":14,"total_tokens":34}}'
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


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

    def __init__(self, chunks: int, every_s: float) -> None:
        self._chunks = chunks
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(WHOLE)
            return
        self._transport.write(STREAM + FIRST)
        self._left = self._chunks
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


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--chunks", type=int, default=30)
    parser.add_argument("--every-ms", type=float, default=20)
    options = parser.parse_args()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Upstream(options.chunks, options.every_ms / 1e3),
        "127.0.0.1",
        options.port,
        backlog=4096,
        reuse_port=True,
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
