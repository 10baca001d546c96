"""One call that was let in: what it has reserved is settled once and given back at the end."""

from types import TracebackType
from typing import Protocol, Self

from headrace.access.limits.plan import Entry

__all__ = ["FREE", "Admission", "Settler"]


class Settler(Protocol):
    """Who has admitted a call, and counts what becomes of it. Never waits for anything."""

    def settle(self, entry: Entry, tokens: int, usd: float) -> None: ...

    def leave(self, entry: Entry) -> None: ...


class Admission:
    """Hold it while the call runs: `with admission:`, and `settle` as soon as usage is known.

    Calling either method again changes nothing. A call that ends without having been settled
    gives back all its tokens and money; its request counts.
    """

    __slots__ = ("_entry", "_settler")

    def __init__(self, entry: Entry | None, settler: Settler | None) -> None:
        """Both None: no limit concerns this call."""
        self._entry = entry
        self._settler = settler

    @property
    def entry(self) -> Entry | None:
        """What is counted of it; None: no limit concerns this call."""
        return self._entry

    def settle(self, usage_tokens: int, cost_usd: float = 0.0) -> None:
        """Count what the call has really used: prompt and completion tokens, and their price."""
        if self._settler is not None and self._entry is not None:
            self._settler.settle(self._entry, usage_tokens, cost_usd)

    def release(self) -> None:
        """The call is over, however it ended."""
        if self._settler is not None and self._entry is not None:
            self._settler.settle(self._entry, 0, 0.0)
            self._settler.leave(self._entry)

    def end(self, usage_tokens: int, cost_usd: float) -> None:
        """`settle` and `release` in one."""
        entry, settler = self._entry, self._settler
        if entry is not None and settler is not None:
            settler.settle(entry, usage_tokens, cost_usd)
            settler.leave(entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


FREE = Admission(None, None)
"""For calls that no limit concerns."""
