"""A training while it runs: a bar with the losses on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Group as Lines
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from headrace.cli.terminal import console, is_unicode, printable
from headrace.training.folder import current_events, read_events, read_state
from headrace.training.job import Event, JobState

__all__ = ["sparkline", "watch"]

LOOK_EVERY_S = 0.25
LINE_EVERY_S = 2.0
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.-=+*#@"
_MOST_CELLS = 48
_SAID = ("message", "estimate", "phase")


def sparkline(values: Sequence[float], cells: int, *, unicode: bool = True) -> str:
    """The values as a row of bars, each the mean of its share of them."""
    if not values:
        return ""
    cells = min(cells, len(values))
    means = []
    for cell in range(cells):
        part = values[cell * len(values) // cells : (cell + 1) * len(values) // cells]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    marks = _BARS if unicode else _PLAIN
    span = high - low or 1.0
    return "".join(marks[round((each - low) / span * (len(marks) - 1))] for each in means)


def watch(
    folder: Path,
    *,
    silent: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> JobState:
    """Show a job until its process has ended; gives its state then.

    Args:
        silent: only wait.
    """
    shown = _Shown(folder, silent=silent, clock=clock)
    try:
        while True:
            state = read_state(folder)
            shown.look(state)
            if state.status != "running":
                return state
            time.sleep(LOOK_EVERY_S)
    finally:
        shown.close()


class _Shown:
    """What is on the screen."""

    def __init__(self, folder: Path, *, silent: bool, clock: Callable[[], float]) -> None:
        self._folder, self._silent, self._clock = folder, silent, clock
        self._console = console(err=True)
        self._said = -1
        self._line_at = float("-inf")
        self._step = 0
        self._live: Live | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("training", total=None)

    def look(self, state: JobState) -> None:
        """Show what is new."""
        if self._silent:
            return
        events = current_events(read_events(self._folder))
        for event in events:
            if event.sequence > self._said and event.type in _SAID:
                self._say(event)
        self._said = max(self._said, max((each.sequence for each in events), default=-1))
        if state.total_steps is None:
            return
        if self._console.is_terminal:
            self._draw(state, events)
        elif state.step > self._step and (
            self._clock() - self._line_at >= LINE_EVERY_S or state.status != "running"
        ):
            self._line_at, self._step = self._clock(), state.step
            click.echo(_line(state), err=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _say(self, event: Event) -> None:
        mark = {"warn": "warning: ", "error": "error: "}.get(event.level, "")
        if event.level == "error":
            return  # the command's own failure says it
        self._console.print(Text(printable(mark + event.message)), soft_wrap=True)

    def _draw(self, state: JobState, events: Sequence[Event]) -> None:
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.start()
        self._bar.update(self._task, completed=state.step, total=state.total_steps)
        unicode = is_unicode(self._console)
        rows: list[Text] = []
        for name, field in (("loss", "train_loss"), ("held-out", "valid_loss")):
            values = [
                float(value)
                for each in events
                if each.type == "metrics" and isinstance(value := each.data.get(field), float)
            ]
            if values:
                bars = sparkline(values, _MOST_CELLS, unicode=unicode)
                rows.append(Text(f"{name:>9} {bars} {values[-1]:.4f}"))
        pace = "" if state.tokens_per_s is None else f"{state.tokens_per_s:,.0f} tokens/s"
        rows.append(Text(f"{'':>9} {pace}"))
        self._live.update(Lines(self._bar, *rows))


def _line(state: JobState) -> str:
    parts = [f"step {state.step}/{state.total_steps}"]
    if state.train_loss is not None:
        parts.append(f"loss {state.train_loss:.4f}")
    if state.valid_loss is not None:
        parts.append(f"held-out {state.valid_loss:.4f}")
    if state.tokens_per_s is not None:
        parts.append(f"{state.tokens_per_s:,.0f} tokens/s")
    if state.remaining_s is not None:
        parts.append(f"{state.remaining_s:,.0f} s left")
    return ", ".join(parts)
