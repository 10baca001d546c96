"""All members of a model, in lanes: who is asked first, and who when the first have no room."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from random import Random

from headrace.models.balance.health import HealthState
from headrace.models.balance.lane import Lane, permits
from headrace.models.balance.latency import Pool
from headrace.models.balance.member import Demand, Member
from headrace.models.balance.region import Regions
from headrace.models.balance.settings import BalanceSettings
from headrace.models.balance.state import MemberState

__all__ = ["Lanes"]

_RERANK_S = 10.0


class Lanes:
    """Members by rank: tier, then what the settings prefer, then nearness."""

    def __init__(
        self, settings: BalanceSettings, *, here: str | None, pool: Pool, random: Random
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._random = random
        self._regions = Regions(here)
        self._ranks: dict[str | None, int] = {}
        self._reranked_at = -math.inf
        self._lanes: list[Lane] = []
        self._lane_of: dict[str, Lane] = {}
        self.states: Mapping[str, MemberState] = {}
        self.why = ""
        """Why the last pick was made, for the trace."""

    def take_over(self, members: Iterable[Member], now: float) -> None:
        """These are the members now; what is known of those that were there before is kept."""
        states: dict[str, MemberState] = {}
        for member in members:
            state = self.states.get(member.key)
            if state is None or state.member.identity != member.identity:
                state = MemberState(member, self._settings.health)
            else:
                if state.member.capacity != member.capacity:
                    state.limit.redeclare(member.capacity)
                state.member = member
            states[member.key] = state
        self.states = states
        self._build(now)

    def permitted(self, demand: Demand) -> list[MemberState]:
        """All that the call may use, in whatever state they are."""
        return [state for state in self.states.values() if permits(demand, state)]

    def pick(self, demand: Demand, size: float, now: float) -> MemberState | None:
        """Who gets the call; None when nobody has room for it."""
        silent: MemberState | None = None
        for lane in self._lanes:
            state = lane.pick(demand, size, now)
            if state is None:
                continue
            if not state.is_silent(now):
                self.why = lane.why if lane is self._lanes[0] else f"{lane.why}, spilled over"
                return state
            silent = silent or state
        if silent is not None:
            self.why = "silent"
            return silent
        return self._desperate(demand, now)

    def _desperate(self, demand: Demand, now: float) -> MemberState | None:
        """All that the call may use are out: better try one than fail for certain."""
        is_free = not demand.exclude and demand.regions is None
        if is_free and any(lane.healthy for lane in self._lanes):
            return None
        able = self.permitted(demand)
        if any(state.health.state is HealthState.HEALTHY for state in able):
            return None
        able = [s for s in able if s.outstanding < s.limit.value and s.paused_until <= now]
        if not able:
            return None
        self.why = "all are out"
        return min(able, key=lambda s: (s.health.is_misconfigured, s.health.last_failure_at))

    def opened(self, state: MemberState, now: float) -> None:
        """A call went to a member."""
        lane = self._lane_of[state.member.key]
        lane.outstanding += 1
        if state.outstanding >= state.limit.value or state.paused_until > now:
            lane.settle(state, now)

    def closed(self, state: MemberState, now: float, *, doubtful: bool) -> None:
        """A call to a member has ended; `doubtful`: in a way that asks for a second look."""
        if self.states.get(state.member.key) is not state:
            return  # no longer a member
        lane = self._lane_of[state.member.key]
        lane.outstanding -= 1
        if not state.is_at_ease(now):
            lane.settle(state, now)
        if doubtful and state.slot >= 0:
            lane.doubt(state)

    def settle(self, state: MemberState, now: float) -> None:
        """Something about a member has changed."""
        if self.states.get(state.member.key) is state:
            self._lane_of[state.member.key].settle(state, now)

    def reopen(self, now: float) -> None:
        """Look again at those whose pause is over."""
        for lane in self._lanes:
            lane.reopen(now)

    def next_change(self) -> float:
        """When a member may open that is closed now; infinity when none will by itself."""
        return min((lane.next_change() for lane in self._lanes), default=math.inf)

    def saw_rtt(self, key: str, rtt_s: float, now: float) -> bool:
        """A round trip to a member; True when the order of regions has changed by it."""
        state = self.states.get(key)
        if state is None or state.member.region is None:
            return False
        self._regions.saw_rtt(state.member.region, rtt_s)
        if now - self._reranked_at < _RERANK_S:
            return False
        self._reranked_at = now
        if self._ranks_now() == self._ranks:
            return False
        self._build(now)
        return True

    def _ranks_now(self) -> dict[str | None, int]:
        return self._regions.ranks({state.member.region for state in self.states.values()})

    def _build(self, now: float) -> None:
        settings = self._settings
        self._ranks = self._ranks_now()
        by_rank: defaultdict[tuple[int, float, int], list[MemberState]] = defaultdict(list)
        for order, state in enumerate(self.states.values()):
            member = state.member
            preferred = 0.0
            if settings.prefer == "cost":
                preferred = member.usd_per_million
            elif settings.prefer == "order":
                preferred = float(order)
            by_rank[member.tier, preferred, self._ranks[member.region]].append(state)
        self._lanes = []
        self._lane_of = {}
        for _, states in sorted(by_rank.items()):
            lane = Lane(
                states,
                pool=self._pool,
                random=self._random,
                by_weight=settings.prefer == "weights",
                affinity=settings.affinity,
            )
            self._lanes.append(lane)
            for state in states:
                self._lane_of[state.member.key] = lane
                lane.settle(state, now)
