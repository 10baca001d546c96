"""A real Redis on a socket of its own, which tests may freeze, kill and start again."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.rule import Rule
from headrace.access.limits.shared.limiter import SharedLimiter


class RedisServer:
    """One redis-server, listening on a unix socket only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(unix_socket_path=str(self.socket))

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it, with what it had written when it was last killed."""
        self._process = subprocess.Popen(
            [
                "redis-server",
                *("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert self._process.poll() is None, "redis-server did not start"
                assert time.monotonic() < until, "redis-server does not answer"
            else:
                return

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


Make: TypeAlias = Callable[..., SharedLimiter]


@pytest.fixture(scope="session")
def has_redis() -> None:
    """Skips where there is no redis-server; continuous integration must have one."""
    if shutil.which("redis-server") is None:
        assert "CI" not in os.environ, "continuous integration must have redis-server: see .ci/run"
        pytest.skip("redis-server is not installed")


@pytest.fixture(scope="session")
def shared_redis(has_redis: None) -> Iterator[RedisServer]:
    """One for all tests that do not harm it."""
    del has_redis
    # Not pytest's folder: the path of a unix socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """The same, empty."""
    shared_redis.client.flushall()
    return shared_redis


@pytest.fixture
def own_redis(has_redis: None) -> Iterator[RedisServer]:
    """One that the test may harm."""
    del has_redis
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Limiters that are closed at the end. `await limiter.start()` them."""
    made: list[SharedLimiter] = []

    def make(
        server: RedisServer,
        *rules: Rule,
        on_error: str = "allow",
        timeout_s: float = 10.0,
        clock: Callable[[], float] | None = None,
    ) -> SharedLimiter:
        config = RedisConfig(url=server.url, on_error=on_error, timeout_s=timeout_s)  # type: ignore[arg-type]
        limiter = SharedLimiter(
            Limits(rules=rules, redis=config),
            config,
            clock=clock or time.time,
            redis_clock=clock is None,
        )
        made.append(limiter)
        return limiter

    yield make
    for limiter in made:
        await limiter.close()
