"""A consistent-hash ring: which member a conversation is at home with."""

import bisect
import hashlib
from collections.abc import Sequence

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
        points = sorted(
            (_hash(f"{state.member.key}\0{number}"), index)
            for index, state in enumerate(states)
            for number in range(max(1, round(_POINTS * state.share * len(states))))
        )
        owners = [index for _, index in points]
        self._points = [point for point, _ in points]
        self._homes = [
            tuple(states[owner] for owner in _successors(owners, at, len(states)))
            for at in range(len(owners))
        ]

    def homes(self, prefix: int) -> Sequence[MemberState]:
        """The member that the prefix belongs to, then those that stand in for it."""
        at = bisect.bisect_left(self._points, (prefix * _SPREAD) & _MASK)
        return self._homes[at if at < len(self._homes) else 0]


def _successors(owners: Sequence[int], at: int, members: int) -> list[int]:
    """The first few distinct owners from there on, around the ring."""
    found: list[int] = []
    step = at
    while len(found) < min(_NEIGHBOURS, members):
        owner = owners[step % len(owners)]
        if owner not in found:
            found.append(owner)
        step += 1
    return found


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
