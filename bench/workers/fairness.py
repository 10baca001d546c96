"""How fairly workers share connections: a listener each (SO_REUSEPORT), or one for all.

Each trial opens some connections, one after the other or all at once, and asks each which process
took it. Printed: the share of the worker that got most (1/N would be fair), mean over the trials,
and how often one worker got them all.

    python bench/workers/fairness.py --workers 2
"""

import argparse
import asyncio
import os
import socket
from collections import Counter

import uvloop

TRIALS = 150


def serve(listener: socket.socket, number: int) -> None:
    """Tell every client one's number, and do a millisecond's work for it."""

    class Greeter(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.write(bytes([number]))  # type: ignore[attr-defined]  # uvloop

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            Greeter, sock=listener, backlog=2048
        )
        await server.serve_forever()

    uvloop.run(run())


def listeners(workers: int, *, reuse: bool) -> list[socket.socket]:
    """What each worker listens on."""
    if not reuse:
        one = socket.create_server(("127.0.0.1", 0), backlog=2048)
        return [one] * workers
    first = socket.create_server(("127.0.0.1", 0), backlog=2048, reuse_port=True)
    port = first.getsockname()[1]
    more = [
        socket.create_server(("127.0.0.1", port), backlog=2048, reuse_port=True)
        for _ in range(workers - 1)
    ]
    return [first, *more]


async def ask(port: int) -> tuple[int, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return (await reader.readexactly(1))[0], writer


async def trial(port: int, count: int, *, burst: bool) -> Counter[int]:
    if burst:
        found = await asyncio.gather(*(ask(port) for _ in range(count)))
    else:
        found = [await ask(port) for _ in range(count)]
    for _, writer in found:
        writer.close()
    return Counter(number for number, _ in found)


async def measure(port: int, workers: int, kind: str) -> None:
    for burst in (False, True):
        for count in (4, 16, 64):
            trials = [await trial(port, count, burst=burst) for _ in range(TRIALS)]
            most = sum(max(each.values()) for each in trials) / TRIALS / count
            alone = sum(len(each) == 1 for each in trials) / TRIALS
            how = "at once" if burst else "in turn"
            print(
                f"{kind:12} {count:3} connections {how}: most {most:4.0%} (fair {1 / workers:.0%}), "
                f"all at one in {alone:4.0%} of trials"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    for reuse in (True, False):
        mine = listeners(workers, reuse=reuse)
        children = []
        for number, listener in enumerate(mine):
            pid = os.fork()
            if pid == 0:
                serve(listener, number)
            children.append(pid)
        port = mine[0].getsockname()[1]
        asyncio.run(measure(port, workers, "reuseport" if reuse else "one socket"))
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        for each in set(mine):
            each.close()


if __name__ == "__main__":
    main()
