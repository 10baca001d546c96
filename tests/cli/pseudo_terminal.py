"""A program on a terminal of its own, as a person would have it: keys go in, a screen comes out."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

__all__ = ["CTRL_C", "CTRL_D", "PseudoTerminal"]

CTRL_C = "\x03"
CTRL_D = "\x04"
WITHIN_S = 60.0

# The child makes the terminal its own, so that Ctrl-C becomes a signal; and heeds it, which who
# was started by a shell in the background (`make test &`) does not.
_CHILD = """
import fcntl, os, signal, sys, termios
os.setsid()
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
program = sys.argv.pop(1)
if program != "headrace":
    os.execvp(program, [program, *sys.argv[1:]])
from headrace.cli.main import main
main()
"""


class PseudoTerminal:
    """`headrace ARGS`, or another program, on a terminal."""

    def __init__(
        self,
        args: Sequence[str],
        cwd: Path,
        environ: Mapping[str, str],
        *,
        program: str = "headrace",
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.screen = ""
        """Everything printed so far."""
        self._seen = 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, program, *args],
            cwd=cwd,
            env={**os.environ, "TERM": "xterm", **environ},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def type(self, keys: str) -> None:
        """Press keys. Control keys reach the program only at its prompt: wait for that first."""
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str) -> str:
        """Wait until `text` is printed behind what was waited for before; gives what came by it."""
        until = time.monotonic() + WITHIN_S
        while (at := self.screen.find(text, self._seen)) < 0:
            if not self._read(until - time.monotonic()):
                raise AssertionError(f"{text!r} was never printed:\n{self.screen}")
        begin, self._seen = self._seen, at + len(text)
        return self.screen[begin : self._seen]

    def wait_end(self) -> int:
        """Wait until the program has ended; gives its exit status."""
        while self._read(WITHIN_S):
            pass
        return self.process.wait(timeout=WITHIN_S)

    def _read(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(timeout_s, 0))
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.screen += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)
