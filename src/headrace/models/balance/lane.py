"""A lane: members of equal rank (tier and region), and which of them gets the next call."""

import heapq
import itertools
import math
from collections.abc import Sequence
from random import Random

from headrace.models.balance.health import HealthState
from headrace.models.balance.latency import Pool
from headrace.models.balance.member import Demand
from headrace.models.balance.ring import Ring
from headrace.models.balance.state import MemberState

__all__ = ["Lane", "permits"]

_COMPARE_ALL = 12
_SAMPLE = 8
"""bench/balancing, 80,000 requests: p99 is 30.9 s with two, 27.2 with four, 24.5 with eight, 25.5 with
sixteen."""
_BOUND = 1.25
"""A home takes this much more than its share (Mirrokni, Thorup and Zadimoghaddam: consistent
hashing with bounded loads)."""
_HOME_COST = 2.0
"""A cache hit saves the prompt's work, seldom more than half of a call."""
_HOME_RIVALS = 2


def permits(demand: Demand, state: MemberState) -> bool:
    """Whether the call may go there at all."""
    member = state.member
    return member.key not in demand.exclude and (
        demand.regions is None or member.region in demand.regions
    )


class Lane:
    """Members of equal rank. `free` holds those that may get a call now, in no order."""

    def __init__(
        self,
        states: Sequence[MemberState],
        *,
        pool: Pool,
        random: Random,
        by_weight: bool,
        affinity: bool,
    ) -> None:
        self.states = states
        self.free: list[MemberState] = []
        self.outstanding = 0
        """Calls at its members."""
        self.healthy = 0
        self.why = ""
        """Why the last pick was made, for the trace."""
        self._pool = pool
        self._random = random.random
        self._by_weight = by_weight
        self._affinity = affinity
        self._recheck: list[tuple[float, int, MemberState]] = []
        self._serial = itertools.count()
        self._probes: dict[str, MemberState] = {}
        self._doubted: dict[str, MemberState] = {}
        self._passed = 0.0
        self._ring: Ring | None = None
        known = [state.member.capacity for state in states if state.member.capacity]
        usual = sum(known) / len(known) if known else 1.0
        total = sum(state.member.capacity or usual for state in states)
        for state in states:
            state.leave_lane()
            state.share = (state.member.capacity or usual) / total
            self.outstanding += state.outstanding

    def settle(self, state: MemberState, now: float) -> None:
        """Put a member where it belongs after something about it has changed."""
        is_open = state.is_open(now)
        if is_open is not (state.slot >= 0):
            if is_open:
                state.slot = len(self.free)
                self.free.append(state)
                state.passed = max(state.passed, self._passed)
            else:
                last = self.free.pop()
                if last is not state:
                    self.free[state.slot] = last
                    last.slot = state.slot
                state.slot = -1
        is_healthy = state.health.state is HealthState.HEALTHY
        if is_healthy is not state.is_counted:
            state.is_counted = is_healthy
            self.healthy += 1 if is_healthy else -1
        if not is_open:
            self._await(state, now)

    def _await(self, state: MemberState, now: float) -> None:
        at = state.opens_at(now)
        if at is None:
            return
        if at <= now:
            self._probes[state.member.key] = state
        elif at != state.recheck_at:
            state.recheck_at = at
            heapq.heappush(self._recheck, (at, next(self._serial), state))

    def next_change(self) -> float:
        """When a member may open that is closed now; infinity when none will by itself."""
        return self._recheck[0][0] if self._recheck else math.inf

    def reopen(self, now: float) -> None:
        """Look again at those whose time has come."""
        recheck = self._recheck
        while recheck and recheck[0][0] <= now:
            _, _, state = heapq.heappop(recheck)
            if state.recheck_at <= now:
                state.recheck_at = math.inf
                self.settle(state, now)

    def pick(self, demand: Demand, size: float, now: float) -> MemberState | None:
        """The member that should get the call, or None when none that it may use is free."""
        if self._recheck and self._recheck[0][0] <= now:
            self.reopen(now)
        if self._probes and not demand.exclude:
            probe = self._probe(demand, now)
            if probe is not None:
                return probe
        if not self.free:
            return None
        if self._doubted and not demand.exclude:
            doubted = self._second_look(demand)
            if doubted is not None:
                return doubted
        if self._by_weight:
            return self._least_passed(demand, size)
        if demand.prefix is not None and self._affinity and len(self.states) > 1:
            home = self._home(demand, demand.prefix, size, now)
            if home is not None:
                return home
        return self._cheapest(demand, size, now)

    def _probe(self, demand: Demand, now: float) -> MemberState | None:
        for key, state in self._probes.items():
            if permits(demand, state):
                del self._probes[key]
                if (
                    state.health.state is not HealthState.EJECTED
                    or state.health.until > now
                    or state.paused_until > now
                ):
                    self.settle(state, now)
                    return None
                state.health.probe()
                self.why = "probe"
                return state
        return None

    def doubt(self, state: MemberState) -> None:
        """A call failed there. The next one goes there too: either it is out soon, or it is well.

        Where there is little to do it would not be chosen again for long, nobody would know how it
        is, and a later call would have to find out.
        """
        self._doubted[state.member.key] = state

    def _second_look(self, demand: Demand) -> MemberState | None:
        for key, state in self._doubted.items():
            if permits(demand, state):
                del self._doubted[key]
                if state.slot < 0:
                    return None
                self.why = "second look"
                return state
        return None

    def _cheapest(self, demand: Demand, size: float, now: float) -> MemberState | None:
        free, pool = self.free, self._pool
        candidates = self._sample(_SAMPLE) if len(free) > _COMPARE_ALL else free
        if demand.exclude or demand.regions is not None:
            candidates = [state for state in candidates if permits(demand, state)]
            if not candidates and len(free) > _COMPARE_ALL:
                candidates = [state for state in free if permits(demand, state)]
            if not candidates:
                return None
        self.why = "only" if len(candidates) == 1 else "cheapest"
        best = candidates[0]
        if len(candidates) == 1:
            return best
        least = math.inf
        for state in candidates:
            cost = state.cost(size, now, pool)
            if cost < least:
                if state.is_silent(now):
                    continue
                least = cost
                best = state
        return best

    def _sample(self, count: int) -> list[MemberState]:
        free, random = self.free, self._random
        length = len(free)
        return [free[int(random() * length)] for _ in range(count)]

    def _least_passed(self, demand: Demand, size: float) -> MemberState | None:
        able = [state for state in self.free if permits(demand, state)]
        if not able:
            return None
        best = min(able, key=_passed)
        self._passed = best.passed
        best.passed += size / best.member.weight
        self.why = "weights"
        return best

    def _home(self, demand: Demand, prefix: int, size: float, now: float) -> MemberState | None:
        if self._ring is None:
            self._ring = Ring(self.states)
        is_free = not demand.exclude and demand.regions is None
        for home in self._ring.homes(prefix):
            if home.slot < 0 or not (is_free or permits(demand, home)) or home.is_silent(now):
                continue
            if home.outstanding + 1 > _BOUND * (self.outstanding + 1) * home.share + 1:
                continue
            bearable = home.cost(size, now, self._pool) / _HOME_COST
            free = self.free
            for rival in free if len(free) <= _HOME_RIVALS else self._sample(_HOME_RIVALS):
                if rival is not home and rival.cost(size, now, self._pool) < bearable:
                    return None
            self.why = "prefix"
            return home
        return None


def _passed(state: MemberState) -> float:
    return state.passed
