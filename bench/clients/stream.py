"""The client of bench/answer_path.py: streams what it is told to on standard input.

A line of JSON in is a request's body; a line out is `[seed, ttft, total, completion_tokens]`, in
seconds. A process of its own, so that its work is not counted as the service's.
"""

import asyncio
import json
import sys
import time

import httpx

KEY = b'"completion_tokens":'


async def ask(client: httpx.AsyncClient, line: str) -> None:
    body = json.loads(line)
    began = time.perf_counter()
    first = last = 0.0
    tokens = 0
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for data in response.aiter_raw():
            if b'"content":"' in data.replace(b'"content":""', b""):
                last = time.perf_counter()
                first = first or last
            if (at := data.rfind(KEY)) >= 0:
                tokens = int(data[at + len(KEY) :].split(b",")[0])
    print(json.dumps([body["seed"], first - began, last - began, tokens]), flush=True)


async def main(url: str, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    loop = asyncio.get_running_loop()
    async with (
        httpx.AsyncClient(base_url=url, timeout=120, headers=headers) as client,
        asyncio.TaskGroup() as running,
    ):
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            running.create_task(ask(client, line))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
