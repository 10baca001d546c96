"""Printing: tables as wide as the terminal, JSON as UTF-8, and no text that drives the terminal."""

import os
import re
import sys
from collections.abc import Sequence

import click
import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

__all__ = ["console", "is_unicode", "print_json", "print_table", "printable"]

PIPE_COLUMNS = 120
"""Width where nobody watches: a program that reads a table should find whole ids."""
NARROWEST = 6
"""Cells that a shortened column keeps."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_CONTROLS_AND_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def console(*, err: bool = False) -> Console:
    """The terminal. Honours NO_COLOR, COLUMNS and TERM; plain text in a pipe."""
    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def is_unicode(stream: Console) -> bool:
    """Whether bars and lines can be drawn; otherwise ASCII stands in."""
    return stream.encoding.lower().replace("-", "").startswith("utf")


def printable(text: str, *, lines: bool = False) -> str:
    """Text that users or models wrote, made harmless: escape sequences would drive the terminal.

    Args:
        lines: keep line breaks and tabs.
    """
    return (_CONTROLS if lines else _CONTROLS_AND_BREAKS).sub("�", text)


def print_json(value: object) -> None:
    """The value as indented JSON, in UTF-8 whatever the terminal speaks: that is what JSON is in."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table without lines.

    Args:
        columns: `>NAME` is set to the right; `~NAME` may be shortened where the terminal is
            narrow. Other columns are always whole: an id with its end cut off is no id.
    """
    terminal = console()
    names = [name.lstrip(">~") for name in columns]
    cells = [names, *([printable(cell) for cell in row] for row in rows)]
    elastic = {i for i, name in enumerate(columns) if name.startswith("~")}
    widths = _fitted(
        [max(map(cell_len, each)) for each in zip(*cells, strict=True)], elastic, terminal.width
    )
    for at, row in enumerate(cells):
        line = "  ".join(
            _cell(text, width, right=columns[i].startswith(">"))
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        text = Text(line.rstrip(), "" if at else "bold")
        # Not the terminal's wrapping: a line that is too long must stay one line in a pipe.
        terminal.print(text, no_wrap=True, overflow="ignore", crop=False)


def _fitted(widths: list[int], elastic: set[int], available: int) -> list[int]:
    """The widths, elastic ones shortened (the widest first) until the line fits."""
    widths = list(widths)
    over = sum(widths) + 2 * (len(widths) - 1) - available
    while over > 0 and (shrinkable := [i for i in elastic if widths[i] > NARROWEST]):
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
        over -= 1
    return widths


def _cell(text: str, width: int, *, right: bool) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding
