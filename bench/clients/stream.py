"""The client of bench/answer_path.py: streams what it is told to on standard input.

    python bench/clients/stream.py unix:/path/of/socket | host:port  [key]

A line of JSON in is `[number, body]`; a line out is `[number, ttft, total, tokens]`, in seconds. It
is a process of its own, so that its work counts for nobody, and reads bytes with as little ado as
can be, so that on a small machine it takes little from who is measured.
"""

import asyncio
import json
import sys
import time

END = b"data: [DONE]"
PIECE = b'"content":"'
NO_PIECE = b'"content":""'
TOKENS = b'"completion_tokens":'


async def ask(address: str, key: str, number: int, body: object) -> None:
    data = json.dumps(body).encode()
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address[5:])
    else:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    began = time.perf_counter()
    writer.write(head.encode() + data)
    first = last = 0.0
    tail = b""
    while packet := await reader.read(65536):
        if packet.count(PIECE) > packet.count(NO_PIECE):
            last = time.perf_counter()
            first = first or last
        tail = (tail + packet)[-2048:]
        if END in tail:
            break
    writer.close()
    assert END in tail, tail
    at = tail.rfind(TOKENS) + len(TOKENS)
    tokens = int(tail[at : at + 8].split(b",")[0].split(b"}")[0])
    print(json.dumps([number, first - began, last - began, tokens]), flush=True)


async def main(address: str, key: str) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as running:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            number, body = json.loads(line)
            running.create_task(ask(address, key, number, body))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
