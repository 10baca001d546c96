"""k-anonymity and l-diversity: how exactly attributes may be told, and which rows must be left out.

All rows are told alike (full-domain generalisation). The search goes up one rung at a time, each
time where it leaves the fewest rows in classes that are too small, until few enough are; then down
again wherever that costs nothing. What is left over is suppressed. People are counted, not rows: ten
rows of one person hide nobody.

Sources: Sweeney, "Achieving k-Anonymity Privacy Protection Using Generalization and Suppression",
2002 (Datafly); Machanavajjhala et al., "l-Diversity", 2007 (the distinct kind).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.datasets.errors import GuaranteeUnreachable
from headrace.datasets.guarantee import Told
from headrace.datasets.ladder import Ladder, Value

__all__ = ["Goal", "Recoding", "find_recoding"]

_Quasi: TypeAlias = tuple[Value, ...]
_Rungs: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be reached."""

    k: int
    l: int = 1  # noqa: E741 - the word of the field
    most_suppressed: float = 0.1
    """Share of the rows that may be left out for it."""


class _Class:
    """Rows that tell the same."""

    __slots__ = ("people", "rows", "said")

    def __init__(self, sensitive: int) -> None:
        self.people: set[str] = set()
        self.rows = 0
        self.said: list[set[Value]] = [set() for _ in range(sensitive)]

    def take(self, other: "_Class") -> None:
        self.people |= other.people
        self.rows += other.rows
        for mine, its in zip(self.said, other.said, strict=True):
            mine |= its

    def reaches(self, goal: Goal) -> bool:
        return len(self.people) >= goal.k and all(len(each) >= goal.l for each in self.said)


@dataclass(frozen=True, slots=True)
class Recoding:
    """How rows are told, and which classes are left out."""

    ladders: Sequence[Ladder]
    rungs: _Rungs
    refused: frozenset[_Quasi]
    """What the rows that are left out would tell."""
    classes: int

    def tell(self, quasi: _Quasi) -> _Quasi | None:
        """What a row tells now; None: it is left out."""
        told = _told(quasi, self.ladders, self.rungs)
        return None if told in self.refused else told


def find_recoding(rows: Iterable[Told], ladders: Sequence[Ladder], goal: Goal) -> Recoding:
    """The way to tell the rows that reaches the goal.

    Raises:
        GuaranteeUnreachable: not even by telling nothing of anybody, with so few rows left out.
    """
    exact = _exact(rows)
    total = sum(each.rows for each in exact.values())
    allowed = int(goal.most_suppressed * total)

    def lost(rungs: _Rungs) -> int:
        classes = _classes(exact, ladders, rungs)
        return sum(each.rows for each in classes.values() if not each.reaches(goal))

    rungs: _Rungs = (0,) * len(ladders)
    count = lost(rungs)
    while count > allowed:
        higher = [
            (lost(each), each[at] / ladders[at].top, at, each)
            for at, each in _steps(rungs, 1, ladders)
        ]
        if not higher:
            break
        count, _, _, rungs = min(higher)
    while lower := [each for _, each in _steps(rungs, -1, ladders) if lost(each) <= count]:
        rungs = lower[0]
        count = lost(rungs)
    classes = _classes(exact, ladders, rungs)
    refused = frozenset(told for told, each in classes.items() if not each.reaches(goal))
    if count > allowed or len(refused) == len(classes):
        raise _unreachable(exact, goal, count, total)
    return Recoding(ladders, rungs, refused, len(classes) - len(refused))


def _exact(rows: Iterable[Told]) -> dict[_Quasi, _Class]:
    """The rows by what they tell as it is."""
    found: dict[_Quasi, _Class] = {}
    for row in rows:
        one = found.get(row.quasi)
        if one is None:
            one = found[row.quasi] = _Class(len(row.sensitive))
        one.people.add(row.person)
        one.rows += 1
        for said, value in zip(one.said, row.sensitive, strict=True):
            if value is not None:  # what is absent adds nothing to doubt between
                said.add(value)
    return found


def _classes(
    exact: dict[_Quasi, _Class], ladders: Sequence[Ladder], rungs: _Rungs
) -> dict[_Quasi, _Class]:
    found: dict[_Quasi, _Class] = {}
    for quasi, each in exact.items():
        told = _told(quasi, ladders, rungs)
        one = found.get(told)
        if one is None:
            one = found[told] = _Class(len(each.said))
        one.take(each)
    return found


def _told(quasi: _Quasi, ladders: Sequence[Ladder], rungs: _Rungs) -> _Quasi:
    parts = zip(quasi, ladders, rungs, strict=True)
    return tuple(ladder.tell(value, rung) for value, ladder, rung in parts)


def _steps(rungs: _Rungs, by: int, ladders: Sequence[Ladder]) -> Iterator[tuple[int, _Rungs]]:
    """Each attribute told one rung higher or lower, where there is one."""
    for at, rung in enumerate(rungs):
        if 0 <= rung + by <= ladders[at].top:
            yield at, (*rungs[:at], rung + by, *rungs[at + 1 :])


def _unreachable(
    exact: dict[_Quasi, _Class], goal: Goal, lost: int, total: int
) -> GuaranteeUnreachable:
    people = len(set().union(*(each.people for each in exact.values())))
    wanted = f"k = {goal.k}" + (f" and l = {goal.l}" if goal.l > 1 else "")
    if people < goal.k:
        return GuaranteeUnreachable(
            f"{wanted} cannot be reached: the rows are of {people:,} people",
            hint="each person counts once; ask for a smaller k, or gather rows of more people",
        )
    return GuaranteeUnreachable(
        f"{wanted} cannot be reached: {lost:,} of {total:,} rows would have to be left out, and "
        f"{goal.most_suppressed:.0%} may be",
        hint="ask for less, allow more (--suppress), or name fewer sensitive attributes",
    )
