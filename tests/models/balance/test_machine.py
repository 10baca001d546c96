"""Whatever happens in whatever order: nothing is lost, nothing exceeded, no rule broken."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headrace.errors import HeadraceError
from headrace.models.balance import (
    BalanceSettings,
    Demand,
    Member,
    NoDeploymentLeft,
    Outcome,
    Overloaded,
    Ticket,
)
from headrace.models.balance.line import Waiter
from headrace.models.balance.settings import QueueSettings
from tests.models.balance.fleet import Clock, balancer

REGIONS = ("eu", "us", None)
LENGTH = 6

members_lists = st.lists(
    st.builds(
        Member,
        key=st.sampled_from("abcdef"),
        capacity=st.sampled_from([None, 1, 2, 3]),
        region=st.sampled_from(REGIONS),
        tier=st.integers(0, 1),
        weight=st.sampled_from([0.5, 1.0, 4.0]),
        usd_per_million=st.sampled_from([0.0, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda member: member.key,
)
demands = st.builds(
    Demand,
    size=st.sampled_from([0.0, 1.0, 500.0]),
    prefix=st.sampled_from([None, 1, 2, 2**64 - 1]),
    exclude=st.frozensets(st.sampled_from("ab"), max_size=2),
    regions=st.sampled_from([None, None, frozenset({"eu"}), frozenset({"eu", "us"})]),
    priority=st.integers(0, 3),
    streamed=st.booleans(),
)


class Told:
    """What a waiting call has been told."""

    def __init__(self, demand: Demand, deadline: float) -> None:
        self.tickets: list[Ticket] = []
        self.errors: list[HeadraceError] = []
        self.left = False
        self.waiter = Waiter(demand, deadline, self.tickets.append, self.errors.append)

    @property
    def is_waiting(self) -> bool:
        return not self.tickets and not self.errors and not self.left


class BalancerMachine(RuleBasedStateMachine):
    @initialize(members=members_lists, prefer=st.sampled_from(["latency", "cost", "weights"]))
    def begin(self, members: list[Member], prefer: str) -> None:
        self.clock = Clock()
        self.members = members
        self.balancer = balancer(
            self.clock,
            members,
            BalanceSettings(prefer=prefer, queue=QueueSettings(length=LENGTH)),  # type: ignore[arg-type]
            here="eu",
        )
        self.open: list[Ticket] = []
        self.calls: list[Told] = []

    @rule(demand=demands)
    def take(self, demand: Demand) -> None:
        ticket = self.balancer.try_acquire(demand)
        if ticket is not None:
            self.check(ticket)

    @rule(demand=demands, within_s=st.sampled_from([0.0, 0.5, 5.0, 60.0]))
    def wait(self, demand: Demand, within_s: float) -> None:
        told = Told(demand, self.clock.now + within_s)
        self.calls.append(told)
        self.balancer.enqueue(told.waiter)
        self.collect()

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiting = [told for told in self.calls if told.is_waiting]
        if waiting:
            told = data.draw(st.sampled_from(waiting))
            told.left = True
            self.balancer.leave(told.waiter)

    @rule(data=st.data())
    def begin_answer(self, data: st.DataObject) -> None:
        if self.open:
            data.draw(st.sampled_from(self.open)).first_byte()
            self.collect()

    @rule(
        data=st.data(),
        outcome=st.sampled_from(Outcome),
        retry_after_s=st.sampled_from([None, 0.0, 3.0]),
    )
    def end(self, data: st.DataObject, outcome: Outcome, retry_after_s: float | None) -> None:
        if self.open:
            ticket = data.draw(st.sampled_from(self.open))
            self.open.remove(ticket)
            ticket.done(outcome, retry_after_s=retry_after_s)
            self.collect()

    @rule(seconds=st.sampled_from([0.01, 0.6, 4.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.collect()

    @rule(members=members_lists)
    def configure(self, members: list[Member]) -> None:
        self.members = members
        self.balancer.update_members(members)
        self.collect()

    @rule(key=st.sampled_from("abcdef"), rtt_s=st.sampled_from([0.001, 0.1]))
    def measure(self, key: str, rtt_s: float) -> None:
        self.balancer.saw_rtt(key, rtt_s)
        self.collect()

    def collect(self) -> None:
        for told in self.calls:
            assert len(told.tickets) + len(told.errors) <= 1, "a call was told twice"
            assert not (told.left and told.tickets), "a call that had left got a ticket"
            for ticket in told.tickets:
                self.check(ticket)
            for error in told.errors:
                assert isinstance(error, Overloaded | NoDeploymentLeft)
        self.calls = [told for told in self.calls if told.is_waiting]

    def check(self, ticket: Ticket) -> None:
        """A new ticket keeps to the rules."""
        demand = ticket.demand
        assert ticket.member.key not in demand.exclude
        if demand.regions is not None:
            assert ticket.member.region in demand.regions
        assert ticket.member in self.members
        self.open.append(ticket)

    @invariant()
    def every_ticket_is_counted_once(self) -> None:
        for member in self.balancer.snapshot():
            mine = [
                ticket
                for ticket in self.open
                if ticket.state.member.key == member.key and ticket.state in self.states()
            ]
            assert member.outstanding == len(mine)

    @invariant()
    def those_in_line_are_those_who_wait(self) -> None:
        assert self.balancer.waiting == sum(told.is_waiting for told in self.calls) <= LENGTH

    @invariant()
    def nobody_waits_beyond_a_deadline(self) -> None:
        assert all(told.waiter.deadline >= self.clock.now for told in self.calls)

    @invariant()
    def nobody_waits_while_there_is_room(self) -> None:
        if not self.calls or self.balancer.waiting == 0:
            return
        room = {
            member.key
            for member in self.balancer.snapshot()
            if member.health.value == "healthy"
            and member.paused_for_s == 0.0
            and (member.capacity is None or member.outstanding < member.capacity)
        }
        for told in self.calls:
            demand = told.waiter.demand
            able = {
                member.key
                for member in self.members
                if member.key not in demand.exclude
                and (demand.regions is None or member.region in demand.regions)
            }
            assert not able & room, f"{demand} waits although {able & room} have room"

    def states(self) -> list[object]:
        return list(self.balancer._lanes.states.values())


TestBalancerMachine = BalancerMachine.TestCase
TestBalancerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
