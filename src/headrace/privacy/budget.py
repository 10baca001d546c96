"""A privacy budget: how much has been told of the same people, and how much may be.

Each publication with differential privacy costs ε and δ, and they add up (basic composition, which
holds whatever is asked and in whatever order). The ledger is one file, a line a publication; a
publication is written down, on the disk for good, *before* its figures exist. A process that dies
in between has spent without telling: never the other way round.
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

__all__ = ["Budget", "Charge", "Ledger", "Spent"]

_ROUNDING = 1e-9
"""Relative: ten times a tenth of the budget is the budget."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, tag="budget"):
    """The most that may be spent, ever. Set once: what was told cannot be taken back."""

    epsilon: float
    delta: float


class Charge(msgspec.Struct, frozen=True, kw_only=True, tag="charge"):
    """One publication."""

    epsilon: float
    delta: float
    what: str
    """What was published of which version."""
    at: float


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

    def charge(self, epsilon: float, delta: float, what: str, budget: Budget) -> Spent:
        """Write a publication down; its figures may be made once this has returned.

        Args:
            budget: set with the first one, and must be the same from then on.

        Raises:
            BudgetSpent: it is more than is left, or another budget than was set. Nothing is spent.
        """
        for name, amount, least in (("ε", epsilon, 0.0), ("δ", delta, -1.0)):
            if not (math.isfinite(amount) and amount > least):
                raise ValueError(f"{name} is {amount}")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked() as file:
            lines = _read(file)
            before = _sum(lines)
            if before is not None and before.budget != budget:
                raise BudgetSpent.fixed(before.budget, budget)
            new: list[Budget | Charge] = [] if before is not None else [budget]
            new.append(Charge(epsilon=epsilon, delta=delta, what=what, at=self._clock()))
            after = _sum([*lines, *new])
            assert after is not None
            most = 1 + _ROUNDING
            if after.epsilon > budget.epsilon * most or after.delta > budget.delta * most:
                raise BudgetSpent.asked(epsilon, delta, before, budget)
            file.write(b"".join(msgspec.json.encode(each) + b"\n" for each in new))
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self._path.parent)
        return after

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


def _sum(lines: list[Budget | Charge]) -> Spent | None:
    budget = next((each for each in lines if isinstance(each, Budget)), None)
    if budget is None:
        return None
    charges = [each for each in lines if isinstance(each, Charge)]
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
