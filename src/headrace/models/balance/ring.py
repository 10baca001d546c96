"""A consistent-hash ring: which member a conversation is at home with."""

import bisect
import hashlib
from collections.abc import Iterator, Sequence

from headrace.models.balance.state import MemberState

__all__ = ["Ring"]

_POINTS = 40
"""Points of an average member: shares differ by some 15 %, which the bound on load evens out."""
_NEIGHBOURS = 3
_MASK = 2**64 - 1
_SPREAD = 0x9E3779B97F4A7C15
"""Golden ratio of 2^64: callers' hashes may be small or alike in their upper bits."""


class Ring:
    """Members by the hash of a prefix; the same in every gateway, whatever it has seen."""

    def __init__(self, states: Sequence[MemberState]) -> None:
        self._states = states
        self._points: list[int] = []
        self._owners: list[int] = []
        points = sorted(
            (_hash(f"{state.member.key}\0{number}"), index)
            for index, state in enumerate(states)
            for number in range(max(1, round(_POINTS * state.share * len(states))))
        )
        for point, index in points:
            self._points.append(point)
            self._owners.append(index)

    def homes(self, prefix: int) -> Iterator[MemberState]:
        """The member that the prefix belongs to, then those that stand in for it."""
        at = bisect.bisect_left(self._points, (prefix * _SPREAD) & _MASK)
        seen: list[int] = []
        for step in range(len(self._points)):
            owner = self._owners[(at + step) % len(self._owners)]
            if owner not in seen:
                seen.append(owner)
                yield self._states[owner]
                if len(seen) == _NEIGHBOURS:
                    return


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
