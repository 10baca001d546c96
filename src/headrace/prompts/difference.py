"""What changed from one version of a template to another: in its file, and in what a model reads."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headrace.types import Message

__all__ = ["Change", "Line", "rendered_text", "side_by_side", "unified"]

Change: TypeAlias = Literal["same", "changed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of two texts beside each other; a side without a line has None."""

    change: Change
    left_number: int | None
    left: str | None
    right_number: int | None
    right: str | None


def unified(left: str, right: str, *, names: tuple[str, str]) -> str:
    """The difference as `diff -u` writes it; empty when there is none."""
    lines = difflib.unified_diff(left.splitlines(), right.splitlines(), *names, lineterm="", n=3)
    return "\n".join(lines)


def side_by_side(left: str, right: str) -> list[Line]:
    """Every line of both, in rows."""
    return list(_rows(left.splitlines(), right.splitlines()))


def rendered_text(messages: Sequence[Message]) -> str:
    """Messages as a text whose lines can be compared: each role, then what it says."""
    return "\n".join(f"[{each.role}]\n{each.text()}\n" for each in messages)


def _rows(left: Sequence[str], right: Sequence[str]) -> Iterator[Line]:
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for at in range(max(b - a, d - c)):
            one, other = a + at, c + at
            has_left, has_right = one < b, other < d
            change: Change = "same" if kind == "equal" else "changed"
            if not has_left or not has_right:
                change = "removed" if has_left else "added"
            yield Line(
                change,
                one + 1 if has_left else None,
                left[one] if has_left else None,
                other + 1 if has_right else None,
                right[other] if has_right else None,
            )
