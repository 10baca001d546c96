"""A whole service as a user starts it: `headrace up` in a process of its own, real model and all."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest import mock

import httpx

from headrace.cli import main as command_line

__all__ = ["HEADRACE", "ServiceProcess", "wait_for"]

HEADRACE = str(Path(sys.executable).with_name("headrace"))
START_S = 60.0


def wait_for(condition: Callable[[], object], timeout_s: float = 50.0) -> None:
    """Wait until the condition holds; fail with its name when it never does."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > timeout_s:
            raise AssertionError(f"never true within {timeout_s} s: {condition}")
        # What takes long is asked after more rarely: asking takes time from what is waited for.
        time.sleep(min(max(0.02, waited / 20), 0.25))


@dataclass
class ServiceProcess:
    """A running service: where it listens, its admin key, its home, and the process itself."""

    process: subprocess.Popen[bytes]
    home: Path
    log: Path
    url: str = ""
    key: str = ""

    @classmethod
    def start(
        cls,
        root: Path,
        home: Path,
        *,
        args: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Start it on a free port and wait until it answers."""
        started = cls.launch(root, home, args=args, environ=environ)
        started.wait_ready()
        return started

    @classmethod
    def launch(
        cls,
        root: Path,
        home: Path,
        *,
        args: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Start it and do not wait."""
        root.mkdir(parents=True, exist_ok=True)
        log = root / "service.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [HEADRACE, "up", "--port", "0", *args],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "HEADRACE_HOME": str(home), **(environ or {})},
            )
        return cls(process, home, log)

    def wait_ready(self) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended: {self.log.read_text()}")
            if self._is_ready():
                self.key = (self.home / "admin.key").read_text().strip()
                return
            time.sleep(0.02)
        raise AssertionError(f"the service did not answer: {self.log.read_text()}")

    def _is_ready(self) -> bool:
        try:
            found = json.loads((self.home / "service.json").read_text())
            if found["pid"] != self.process.pid:
                return False
            self.url = found["url"]
            return httpx.get(f"{self.url}/readyz", verify=self.verify).status_code == 200
        except (OSError, ValueError, httpx.HTTPError):
            return False

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def verify(self) -> bool:
        """Whether there is a certificate to verify: to read the authorities' takes 22 ms a client."""
        return self.url.startswith("https:")

    def client(self, timeout_s: float = 60.0) -> httpx.Client:
        """A plain HTTP client that shows the admin key."""
        return httpx.Client(
            base_url=self.url, headers=self.headers, timeout=timeout_s, verify=self.verify
        )

    def said(self) -> str:
        """Everything the service has printed."""
        return self.log.read_text()

    def worker_pids(self) -> list[int]:
        """The processes that hold the models' weights."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "headrace.models.embedded.worker"],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(line) for line in found.stdout.split()]

    def run(
        self, *args: str, check: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run another `headrace` command on the same home."""
        return subprocess.run(
            [HEADRACE, *args],
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
            env={**os.environ, "HEADRACE_HOME": str(self.home), **environ},
        )

    def told(self, *args: str) -> Any:
        """What a command says in JSON, called in this process: no start of its own.

        For what is only looked up, above all while something is waited for.
        """
        return json.loads(self.called(*args, "--json").stdout)

    def called(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As `run`, called in this process: half a second of imports less."""
        out, err = io.BytesIO(), io.BytesIO()
        with (
            contextlib.chdir(self.log.parent),
            mock.patch.dict(os.environ, HEADRACE_HOME=str(self.home)),
            contextlib.redirect_stdout(io.TextIOWrapper(out, encoding="utf-8")) as output,
            contextlib.redirect_stderr(io.TextIOWrapper(err, encoding="utf-8")) as errors,
        ):
            status = command_line.run(args)
            output.flush()
            errors.flush()
            done = subprocess.CompletedProcess(
                args, status, out.getvalue().decode(), err.getvalue().decode()
            )
        if check and status:
            raise AssertionError(f"{args} ended with {status}: {done.stderr}")
        return done

    def trace(self, name: str, *args: str) -> Any:
        """What is kept of an answer, which gets to the database a moment after it was given."""
        found: list[str] = []

        def is_kept() -> bool:
            shown = self.called("trace", "show", name, *args, "--json", check=False)
            found.append(shown.stdout)
            return shown.returncode == 0

        wait_for(is_kept)
        return json.loads(found[-1])

    def stop(self) -> int:
        """SIGTERM, and wait until it has drained; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the service did not stop: {self.said()}") from None

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(timeout=10)
