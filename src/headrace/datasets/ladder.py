"""Ladders: how an attribute of a person is told less and less exactly, until nothing is told.

An age becomes an interval, a date its month, a postal code its beginning, a place the country that
it is in. Every rung holds whole rungs below it, so that going up never takes two people apart.
"""

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from headrace.datasets.errors import DatasetInvalid

__all__ = ["NOTHING", "Ladder", "Value", "ladder_from_file", "ladder_of"]

NOTHING = "*"
"""What the top of every ladder tells."""
Value: TypeAlias = str | int | float | bool | None

_DATE = re.compile(r"(\d{4})-(\d{2})-\d{2}(?:[T ].*)?", re.ASCII)
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)
_CODE = re.compile(r"\d{3,12}", re.ASCII)
_MOST_INTERVALS = 20
"""Narrower ones than a twentieth of the whole range hide nobody."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to tell an attribute."""

    name: str
    """For people, as in `age: in steps of 10`."""
    tell: Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ways to tell one attribute, the most exact first; nothing is told at the last."""

    rungs: Sequence[Rung]

    @property
    def top(self) -> int:
        return len(self.rungs) - 1

    def name(self, rung: int) -> str:
        return self.rungs[rung].name

    def tell(self, value: Value, rung: int) -> Value:
        return self.rungs[rung].tell(value)


def ladder_of(values: Iterable[Value]) -> Ladder:
    """The ladder that fits what an attribute's values look like; absent ones fit every one."""
    known = [each for each in values if each is not None]
    return Ladder((_AS_IS, *_between(known), _TOP))


def ladder_from_file(path: Path) -> Ladder:
    """A ladder that somebody has written: CSV, each line a value and what it becomes, rung by rung.

    `Berlin,Germany,Europe`. Values that are not listed are told at the top alone, as nothing.

    Raises:
        DatasetInvalid: lines of different lengths, or one rung that is two on the next.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetInvalid(f"the ladder {path} cannot be read: {error}") from error
    if not lines or len(lines[0]) < 2:
        raise DatasetInvalid(
            f"the ladder {path} has no rung", hint="lines as Berlin,Germany,Europe"
        )
    rungs: list[Rung] = []
    for at in range(1, len(lines[0])):
        becomes: dict[str, str] = {}
        above: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if len(line) != len(lines[0]):
                raise DatasetInvalid(
                    f"{path}:{number}: {len(line)} columns, and the first line has {len(lines[0])}"
                )
            if above.setdefault(line[at - 1], line[at]) != line[at]:
                raise DatasetInvalid(
                    f"{path}:{number}: {line[at - 1]!r} becomes {line[at]!r}, and "
                    f"{above[line[at - 1]]!r} further up",
                    hint="what is told alike must be told alike on every rung above",
                )
            becomes[line[0]] = line[at]
        rungs.append(_listed(f"{path.name}, column {at + 1}", becomes))
    return Ladder((_AS_IS, *rungs, _TOP))


def _listed(name: str, becomes: dict[str, str]) -> Rung:
    return Rung(name, lambda value: NOTHING if value is None else becomes.get(str(value), NOTHING))


def _between(values: Sequence[Value]) -> Sequence[Rung]:
    """The rungs between the exact one and the top."""
    numbers = [each for each in values if _is_number(each)]
    if values and len(numbers) == len(values):
        return _intervals([float(each) for each in numbers if each is not None])
    texts = [each for each in values if isinstance(each, str)]
    if not texts or len(texts) < len(values):
        return ()
    if all(_DATE.fullmatch(each) for each in texts):
        return _DATES
    if all(_CODE.fullmatch(each) for each in texts) and len({len(each) for each in texts}) == 1:
        return [_beginning(len(texts[0]), kept) for kept in range(len(texts[0]) - 1, 0, -1)]
    if any("/" in each for each in texts):
        return _parents(texts, "/")
    if all(_TAG.fullmatch(each) for each in texts):
        return _parents(texts, "-")
    return ()


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _intervals(values: Sequence[float]) -> Sequence[Rung]:
    span = max(values) - min(values)
    are_whole = all(each.is_integer() for each in values)
    exponent = math.floor(math.log10(span / _MOST_INTERVALS)) if span else 0
    # 1, 5, 10, 50, 100, …: each is whole numbers of the one before.
    widths = [
        width
        for power in range(exponent, exponent + 4)
        for width in (10.0**power, 5 * 10.0**power)
        if span / _MOST_INTERVALS <= width < span and (width > 1 or not are_whole)
    ]
    return [_interval(widths[0], round(each / widths[0]), whole=are_whole) for each in widths]


def _interval(finest: float, count: int, *, whole: bool) -> Rung:
    """Intervals of so many of the finest ones."""
    width = finest * count

    def tell(value: Value) -> Value:
        if value is None:
            return None
        # From the finest, and not by `//`: 0.3 // 0.1 is 2.
        at = math.floor(round(float(value) / finest, 9)) // count
        if whole:
            return f"{round(at * width)}-{round((at + 1) * width) - 1}"
        return f"[{at * width:.12g},{(at + 1) * width:.12g})"

    return Rung(f"in steps of {width:.12g}", tell)


def _month(value: Value) -> Value:
    return None if value is None else str(value)[:7]


def _year(value: Value) -> Value:
    return None if value is None else str(value)[:4]


def _decade(value: Value) -> Value:
    return None if value is None else f"{str(value)[:3]}0s"


def _beginning(length: int, kept: int) -> Rung:
    def tell(value: Value) -> Value:
        return None if value is None else str(value)[:kept] + "*" * (length - kept)

    return Rung(f"the first {kept} digits" if kept > 1 else "the first digit", tell)


def _parents(texts: Sequence[str], mark: str) -> Sequence[Rung]:
    deepest = max(each.count(mark) for each in texts)
    return [_parent(mark, depth) for depth in range(deepest, 0, -1)]


def _parent(mark: str, depth: int) -> Rung:
    def tell(value: Value) -> Value:
        return None if value is None else mark.join(str(value).split(mark)[:depth])

    return Rung(f"the first {depth} parts" if depth > 1 else "the first part", tell)


_AS_IS = Rung("as it is", lambda value: value)
_TOP = Rung("not at all", lambda value: NOTHING)
_DATES = (Rung("by month", _month), Rung("by year", _year), Rung("by decade", _decade))
