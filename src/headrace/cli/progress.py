"""What is being fetched and how far it is: a bar on a terminal, a line now and then elsewhere."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from headrace.cli.terminal import console

__all__ = ["FetchProgress", "RowProgress"]

LINE_EVERY_S = 2.0
"""In a log, a line each step would bury everything else."""


class FetchProgress:
    """Shows `report(what, done, total)` on stderr, so that standard output stays the command's.

    Called from the threads that fetch. Nothing is drawn before the first report.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console(err=True)
        self._clock = clock
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._lines: dict[str, float] = {}
        """When each thing last had a line."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal to others."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None
                self._tasks.clear()

    def report(self, what: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes; total is None where nobody knows it."""
        with self._lock:
            if self._console.is_terminal:
                self._draw(what, done, total)
            else:
                self._write(what, done, total)

    def _draw(self, what: str, done: int, total: int | None) -> None:
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)

    def _write(self, what: str, done: int, total: int | None) -> None:
        now = self._clock()
        last = self._lines.get(what)
        is_whole = done == total
        if last is not None and now - last < LINE_EVERY_S and not is_whole:
            return
        if last is not None and is_whole and last == float("inf"):
            return
        self._lines[what] = float("inf") if is_whole else now
        click.echo(f"{what}: {_megabytes(done)}{_of(total)} MB", err=True)


class RowProgress:
    """Shows how many of some rows are done, on stderr."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._console = console(err=True)
        self._clock = clock
        self._bar: Progress | None = None
        self._said_at = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def report(self, done: int, total: int | None) -> None:
        """`done` of `total` rows; None while nobody knows."""
        if self._console.is_terminal:
            if self._bar is None:
                self._bar = Progress(
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeRemainingColumn(),
                    console=self._console,
                )
                self._bar.start()
                self._bar.add_task(self._what, total=total)
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        elif self._clock() - self._said_at >= LINE_EVERY_S:
            self._said_at = self._clock()
            of = "" if total is None else f" of {total:,}"
            click.echo(f"{self._what}: {done:,}{of} rows", err=True)


def _of(total: int | None) -> str:
    return "" if total is None else f" of {_megabytes(total)}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"
