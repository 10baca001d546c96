"""Holds an upstream's process: starts it, tells it what to do, harms it, reads its log."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.faults.upstream import Fault, Logged

__all__ = ["Upstream", "upstreams"]

REPOSITORY = Path(__file__).parents[2]


class Upstream:
    """One upstream's process, always on the same port."""

    def __init__(
        self, log: Path, *, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        self.log = log
        self.port = 0
        self._tls = (certificate, key)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        scheme = "https" if self._tls[0] else "http"
        return f"{scheme}://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it, anew on the port that it had."""
        certificate, key = self._tls
        tls = ["--certificate", str(certificate), "--key", str(key)] if certificate else []
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.upstream"),
                *("--log", str(self.log), "--port", str(self.port), *tls),
            ],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._answer()
        assert line, "the upstream did not start"
        self.port = int(line)

    def tell(self, fault: Fault) -> None:
        """From now on it does this."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(fault).decode() + "\n")
        self._process.stdin.flush()
        assert self._answer() == "ok"

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()

    def logged(self) -> list[Logged]:
        """Every request that ever arrived, in order."""
        if not self.log.exists():
            return []
        return [
            msgspec.json.decode(line, type=Logged) for line in self.log.read_bytes().splitlines()
        ]


@contextlib.contextmanager
def upstreams(folder: Path, count: int) -> Iterator[list[Upstream]]:
    """So many, for as long as the block runs."""
    started: list[Upstream] = []
    try:
        for position in range(count):
            started.append(Upstream(folder / f"upstream-{position}.log"))
        yield started
    finally:
        for each in started:
            each.kill()
