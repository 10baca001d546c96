"""Energy, where the machine tells: Intel's and AMD's counters of the processor (RAPL).

It is that of the whole package, other programs included; so it is an upper bound of what the
training took. Nothing is estimated: where there is no counter, there is no figure. Not covered: GPUs.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["EnergyMeter"]

_COUNTERS = Path("/sys/class/powercap")
_JOULES_PER_WH = 3600.0


class EnergyMeter:
    """Counts from where it is entered."""

    def __init__(self, counters: Path = _COUNTERS) -> None:
        # intel-rapl:0 is a package; intel-rapl:0:1 a part of it, counted in it already.
        self._files = [
            each / "energy_uj"
            for each in sorted(counters.glob("intel-rapl:*"))
            if each.name.count(":") == 1
        ]
        self._last: list[int] | None = None
        self._joules = 0.0

    def __enter__(self) -> Self:
        self._last = self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del kind, error, traceback

    def used_wh(self) -> float | None:
        """Watt-hours so far; None where nobody counts. Counters wrap, so look now and then."""
        now = self._read()
        if now is None or self._last is None:
            return None
        for before, after, file in zip(self._last, now, self._files, strict=True):
            self._joules += (after - before if after >= before else after + _range(file)) / 1e6
        self._last = now
        return self._joules / _JOULES_PER_WH

    def _read(self) -> list[int] | None:
        try:
            return [int(each.read_text("ascii")) for each in self._files] or None
        except (OSError, ValueError):
            return None  # the counters are root's to read on most machines


def _range(file: Path) -> int:
    try:
        return int((file.parent / "max_energy_range_uj").read_text("ascii"))
    except (OSError, ValueError):
        return 0
