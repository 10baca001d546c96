"""A client that asks at a constant rate, whether or not answers come: what a gateway adds to the time.

    python bench/gateway/pace.py PORT KEY [--rate 500] [--seconds 4]

A latency counts from the moment the request was due, so that a gateway which stops for a while is
charged for all that waited meanwhile. `select` waits in microseconds where an event loop counts in
milliseconds, and a loop of our own adds little. Prints one line of JSON; times in milliseconds.
"""

import argparse
import json
import select
import socket
import statistics
import time
from collections import deque
from collections.abc import Iterable

__all__ = ["main"]

BODY = json.dumps(
    {
        "model": "m",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 32,
    },
    separators=(",", ":"),
).encode()
CONNECTIONS = 64
GRACE_S = 3.0


class Connection:
    """A connection, and the answer that is coming in on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._held = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self) -> bool:
        """Whether the answer is whole now."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the gateway closed the connection")
        data = self._held + data
        head, separator, body = data.partition(b"\r\n\r\n")
        if separator:
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(data[:300].decode("latin-1"))
            lines = head.lower().split(b"\r\n")
            length = next((each for each in lines if each.startswith(b"content-length:")), None)
            whole = (
                len(body) >= int(length[15:]) if length is not None else body.endswith(b"0\r\n\r\n")
            )
            if whole:
                self._held = b""
                return True
        self._held = data
        return False


def run(port: int, key: str, rate: float, seconds: float) -> list[float]:
    """Latencies in seconds; fewer than `rate * seconds` where the gateway does not keep up."""
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    idle = deque(Connection(port) for _ in range(CONNECTIONS))
    busy: set[Connection] = set()
    latencies: list[float] = []
    now = time.perf_counter()
    began = now + 0.05
    total = int(rate * seconds)
    sent = 0
    while len(latencies) < total and now < began + seconds + GRACE_S:
        due = began + sent / rate
        if sent < total and idle and now >= due:
            # The one used last: as a pool does, and as a real client has few connections open.
            connection = idle.pop()
            connection.due = due
            connection.socket.sendall(request)
            busy.add(connection)
            sent += 1
        wait_s = max(0.0, due - time.perf_counter()) if sent < total and idle else 0.1
        ready: Iterable[Connection] = select.select(busy, (), (), wait_s)[0]
        now = time.perf_counter()
        for each in ready:
            if each.read():
                latencies.append(now - each.due)
                busy.discard(each)
                idle.append(each)
    return latencies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    run(options.port, options.key, options.rate, 0.5)
    seen = run(options.port, options.key, options.rate, options.seconds)
    cuts = statistics.quantiles(seen, n=1000) if len(seen) > 1 else [float("nan")] * 999
    print(
        json.dumps(
            {
                "due": int(options.rate * options.seconds),
                "answered": len(seen),
                "p50": cuts[499] * 1e3,
                "p99": cuts[989] * 1e3,
                "p999": cuts[998] * 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
