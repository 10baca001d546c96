"""A privacy budget: how much has been told of the same people, and how much may be.

Each publication with differential privacy costs ε and δ, and they add up (basic composition, which
holds whatever is asked and in whatever order). The ledger is one file, a line a publication; a
publication is written down, on the disk for good, *before* its figures exist. A process that dies
in between has spent without telling: never the other way round.

What takes long, such as a training, has a key: it is charged in full before it begins, a second
charge under the key only raises what stands under it, and `settle` lowers that to what was spent.
"""

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from headrace.privacy.errors import BudgetSpent

__all__ = ["DEFAULT_BUDGET", "Budget", "Charge", "Ledger", "Spent"]

_ROUNDING = 1e-9
"""Relative: ten times a tenth of the budget is the budget."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, tag="budget"):
    """The most that may be spent, ever. Set once: what was told cannot be taken back."""

    epsilon: float
    delta: float


DEFAULT_BUDGET = Budget(epsilon=1.0, delta=1e-6)
"""Of people for whom nobody says another."""


class Charge(msgspec.Struct, frozen=True, kw_only=True, tag="charge"):
    """One publication."""

    epsilon: float
    delta: float
    what: str
    """What was published of which version."""
    at: float
    key: str = ""
    """The last line of a key counts in place of those before it; empty: it stands alone."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What all publications so far come to."""

    epsilon: float
    delta: float
    publications: int
    budget: Budget


_lines = msgspec.json.Decoder(Budget | Charge).decode


class Ledger:
    """See the module. Safe with several processes at once; waits for the one that writes."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def spent(self) -> Spent | None:
        """Until now; None: no budget was ever set."""
        if not self._path.exists():
            return None
        with self._locked() as file:
            return _sum(_read(file))

    def budget(self, epsilon: float | None, delta: float | None) -> Budget:
        """The budget that is set, or will be with the first charge; of it what is not None is said."""
        spent = self.spent()
        known = spent.budget if spent is not None else DEFAULT_BUDGET
        return Budget(
            epsilon=known.epsilon if epsilon is None else epsilon,
            delta=known.delta if delta is None else delta,
        )

    def check(self, epsilon: float, delta: float, budget: Budget) -> None:
        """Whether `charge` would take it now; nothing is written down.

        Raises:
            BudgetSpent: it would not.
        """
        lines: list[Budget | Charge] = []
        if self._path.exists():
            with self._locked() as file:
                lines = _read(file)
        _added(lines, Charge(epsilon=epsilon, delta=delta, what="", at=0.0), budget)

    def charge(
        self, epsilon: float, delta: float, what: str, budget: Budget, *, key: str = ""
    ) -> Spent:
        """Write a publication down; its figures may be made once this has returned.

        Args:
            budget: set with the first one, and must be the same from then on.
            key: of what may be charged again, since it goes on: what stands under it counts once.

        Raises:
            BudgetSpent: it is more than is left, or another budget than was set. Nothing is spent.
        """
        for name, amount, least in (("ε", epsilon, 0.0), ("δ", delta, -1.0)):
            if not (math.isfinite(amount) and amount > least):
                raise ValueError(f"{name} is {amount}")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked() as file:
            lines = _read(file)
            before = _charged(lines, key)
            if before is not None:
                epsilon, delta = max(epsilon, before.epsilon), max(delta, before.delta)
            made = Charge(epsilon=epsilon, delta=delta, what=what, at=self._clock(), key=key)
            new = _added(lines, made, budget)
            if before is None or (before.epsilon, before.delta) != (epsilon, delta):
                _append(file, new)
            after = _sum([*lines, *new])
            assert after is not None
        _sync_folder(self._path.parent)
        return after

    def settle(self, key: str, epsilon: float, delta: float) -> None:
        """What was charged under a key came to less. More than stands there is not written down."""
        if not self._path.exists():
            return
        with self._locked() as file:
            before = _charged(_read(file), key)
            if before is None:
                return
            made = Charge(
                epsilon=min(max(epsilon, 0.0), before.epsilon),
                delta=min(max(delta, 0.0), before.delta),
                what=before.what,
                at=self._clock(),
                key=key,
            )
            if (made.epsilon, made.delta) != (before.epsilon, before.delta):
                _append(file, [made])

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        with self._path.open("ab+") as file:
            self._path.chmod(0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file  # closing it lets the lock go


def _read(file: IO[bytes]) -> list[Budget | Charge]:
    """The whole lines. Half a one is of a charge that never returned, so nothing was told of it.

    Raises:
        BudgetSpent: a line was changed: nobody knows what is left.
    """
    file.seek(0)
    data = file.read()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        file.truncate(end)
    try:
        return [_lines(line) for line in data[:end].splitlines()]
    except msgspec.MsgspecError as error:
        raise BudgetSpent.unknown(file.name, str(error)) from error


def _added(lines: list[Budget | Charge], made: Charge, budget: Budget) -> list[Budget | Charge]:
    """The lines that write a charge down.

    Raises:
        BudgetSpent: it is more than is left, or the budget is not the one that was set.
    """
    others = [each for each in lines if not (made.key and _key(each) == made.key)]
    before = _sum(others)
    if before is not None and before.budget != budget:
        raise BudgetSpent.fixed(before.budget, budget)
    new: list[Budget | Charge] = [made] if before is not None else [budget, made]
    after = _sum([*others, *new])
    assert after is not None
    most = 1 + _ROUNDING
    if after.epsilon > budget.epsilon * most or after.delta > budget.delta * most:
        raise BudgetSpent.asked(made.epsilon, made.delta, before, budget)
    return new


def _append(file: IO[bytes], lines: list[Budget | Charge]) -> None:
    file.write(b"".join(msgspec.json.encode(each) + b"\n" for each in lines))
    file.flush()
    os.fsync(file.fileno())


def _key(line: Budget | Charge) -> str:
    return line.key if isinstance(line, Charge) else ""


def _charged(lines: list[Budget | Charge], key: str) -> Charge | None:
    """What stands under a key."""
    if not key:
        return None
    found = [each for each in lines if isinstance(each, Charge) and each.key == key]
    return found[-1] if found else None


def _sum(lines: list[Budget | Charge]) -> Spent | None:
    budget = next((each for each in lines if isinstance(each, Budget)), None)
    if budget is None:
        return None
    # The last of each key, and each that has none; what came to nothing is no publication.
    counted = {_key(each) or at: each for at, each in enumerate(lines) if isinstance(each, Charge)}
    charges = [each for each in counted.values() if each.epsilon or each.delta]
    return Spent(
        epsilon=math.fsum(each.epsilon for each in charges),
        delta=math.fsum(each.delta for each in charges),
        publications=len(charges),
        budget=budget,
    )


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
