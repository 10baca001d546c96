"""Who gets the next request: the rivals as they are usually built, and Headrace's balancer.

All retry alike: a call that has given nothing yet goes to another server at once, five attempts in
all. With `ejects` a rival has the very same health rules as Headrace (three failures in a row or
half of some ten put a server out; probes after 0.5 to 4 s; one that says 429 is left alone for a
second). With `weighted` it knows every server's capacity.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from bench.balancing.world import Attempt, Request, World

from headrace.errors import HeadraceError
from headrace.models.balance.balancer import Balancer
from headrace.models.balance.health import Health, HealthState
from headrace.models.balance.line import Waiter
from headrace.models.balance.member import Demand, Member, Outcome
from headrace.models.balance.settings import BalanceSettings, HealthSettings, RetrySettings
from headrace.models.balance.ticket import Ticket

__all__ = ["ATTEMPTS", "Gateway", "Ours", "Policy", "Rival"]

ATTEMPTS = 5
FAR = 10**9
PAUSE_S = 1.0

OUTCOMES = {
    "ok": Outcome.OK,
    "failed": Outcome.FAILED,
    "throttled": Outcome.THROTTLED,
    "timed_out": Outcome.TIMED_OUT,
}


class Gateway(Protocol):
    """What a policy may do."""

    world: World

    def send(self, request: Request, server: int, state: object, patience_s: float) -> None: ...

    def give_up(self, request: Request) -> None: ...


class Policy(Protocol):
    """Places requests, and is told what became of their attempts."""

    def place(self, request: Request) -> None: ...

    def first(self, attempt: Attempt) -> None: ...

    def done(self, attempt: Attempt, how: str) -> bool:
        """An attempt has ended; True when the request is to be placed again."""
        ...


class Rival:
    """Round robin, least outstanding or power of two choices."""

    def __init__(
        self, gateway: Gateway, rule: str, *, ejects: bool, weighted: bool, seed: int = 7
    ) -> None:
        self._gateway = gateway
        self._random = Random(seed)
        count = len(gateway.world.servers)
        self._count = count
        self._outstanding = [0] * count
        slots = [each.slots for each in gateway.world.servers]
        self._weights = [1.0 / each if weighted else 1.0 for each in slots]
        self._keys = [0.0] * count
        """Outstanding (by capacity), or far too many for one that is out."""
        self._turns = [i for i in range(count) for _ in range(slots[i] if weighted else 1)]
        if weighted:
            self._random.shuffle(self._turns)
        self._paused: set[int] = set()
        self._health = [Health(HealthSettings()) for _ in range(count)] if ejects else None
        self._out: dict[int, None] = {}
        self._next = 0
        self._rule: Callable[[frozenset[int]], int] = {
            "round robin": self._round_robin,
            "least outstanding": self._least_outstanding,
            "power of two": self._power_of_two,
        }[rule]

    def place(self, request: Request) -> None:
        tried = request.state if isinstance(request.state, frozenset) else frozenset()
        server = self._probe() if self._out and not tried else None
        if server is None:
            server = self._rule(tried)
        self._add(server, 1)
        self._gateway.send(request, server, None, self._gateway.world.settings.first_byte_s)

    def _probe(self) -> int | None:
        assert self._health is not None
        now = self._gateway.world.now
        for server in self._out:
            health = self._health[server]
            if health.state is HealthState.EJECTED and health.until <= now:
                health.probe()
                return server
        return None

    def _round_robin(self, tried: frozenset[int]) -> int:
        server = 0
        for _ in self._turns:
            self._next = (self._next + 1) % len(self._turns)
            server = self._turns[self._next]
            if server not in tried and self._keys[server] < FAR:
                return server
        return server

    def _least_outstanding(self, tried: frozenset[int]) -> int:
        keys = self._keys
        if tried:
            keys = [FAR + FAR if i in tried else key for i, key in enumerate(keys)]
        least, start = min(keys), int(self._random.random() * self._count)
        try:
            return keys.index(least, start)
        except ValueError:
            return keys.index(least)

    def _power_of_two(self, tried: frozenset[int]) -> int:
        keys, random, count = self._keys, self._random.random, self._count
        a = b = 0
        for _ in range(20):
            a, b = int(random() * count), int(random() * count)
            if a not in tried and b not in tried and (keys[a] < FAR or keys[b] < FAR):
                break
        return a if keys[a] <= keys[b] else b

    def _add(self, server: int, calls: int) -> None:
        self._outstanding[server] += calls
        key = self._outstanding[server] * self._weights[server]
        self._keys[server] = key + (FAR if server in self._out or server in self._paused else 0)

    def _unpause(self, server: int) -> None:
        self._paused.discard(server)
        self._add(server, 0)

    def first(self, attempt: Attempt) -> None:
        pass

    def done(self, attempt: Attempt, how: str) -> bool:
        server = attempt.server.index
        if self._health is not None:
            health, now = self._health[server], self._gateway.world.now
            if how == "throttled" and server not in self._paused:
                self._paused.add(server)
                self._gateway.world.later(PAUSE_S, self._unpause, server)
            if how in ("ok", "throttled"):
                health.saw_ok(attempt.sent_at, now)
            else:
                health.saw_failure(OUTCOMES[how], how, now, conclusive=False)
            if health.state is HealthState.HEALTHY:
                self._out.pop(server, None)
            else:
                self._out[server] = None
        self._add(server, -1)
        if how == "ok" or attempt.has_first:
            return False
        tried = attempt.request.state
        before: frozenset[int] = tried if isinstance(tried, frozenset) else frozenset()
        attempt.request.state = before | {server}
        return True


class Ours:
    """Headrace's balancer, as the model box uses it."""

    def __init__(self, gateway: Gateway, *, declared: float, hinted: bool, seed: int = 7) -> None:
        """
        Args:
            declared: share of servers whose capacity the operator has declared.
            hinted: whether the length of the answer is known roughly, as from `max_tokens`.
        """
        self._gateway = gateway
        world = gateway.world
        self._random = Random(seed)
        self._hinted = hinted
        members = [
            Member(
                key=str(each.index),
                capacity=each.slots if self._random.random() < declared else None,
            )
            for each in world.servers
        ]
        settings = BalanceSettings(
            first_byte_s=world.settings.first_byte_s,
            retry=RetrySettings(attempts=ATTEMPTS, budget_floor_per_s=100.0),
        )
        self.balancer = Balancer(
            members,
            settings,
            clock=lambda: world.now,
            random=Random(seed + 1),
            call_later=self._call_later,
        )

    def _call_later(self, seconds: float, call: Callable[[], None]) -> "_Timer":
        timer = _Timer(call)
        self._gateway.world.later(seconds, timer.fire)
        return timer

    def place(self, request: Request) -> None:
        demand = request.state
        if not isinstance(demand, Demand):
            completion = self._gateway.world.mean_completion
            if self._hinted:
                completion = request.completion * self._random.uniform(1.0, 3.0)
            demand = Demand(size=request.prompt / 40 + completion)
            request.state = demand
        ticket = self.balancer.try_acquire(demand)
        if ticket is not None:
            self._send(request, ticket)
            return

        def granted(ticket: Ticket) -> None:
            self._send(request, ticket)

        def refused(error: HeadraceError) -> None:
            self._gateway.give_up(request)

        deadline = request.arrived_at + self._gateway.world.settings.deadline_s
        self.balancer.enqueue(Waiter(demand, deadline, granted, refused))

    def _send(self, request: Request, ticket: Ticket) -> None:
        self._gateway.send(request, int(ticket.member.key), ticket, ticket.patience_s)

    def first(self, attempt: Attempt) -> None:
        assert isinstance(attempt.state, Ticket)
        attempt.state.first_byte()

    def done(self, attempt: Attempt, how: str) -> bool:
        ticket, request = attempt.state, attempt.request
        assert isinstance(ticket, Ticket)
        ticket.done(OUTCOMES[how], tokens=request.completion)
        if how == "ok" or attempt.has_first:
            return False
        demand = request.state
        assert isinstance(demand, Demand)
        request.state = Demand(size=demand.size, exclude=demand.exclude | {ticket.member.key})
        return True


class _Timer:
    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def fire(self) -> None:
        if self._call is not None:
            self._call()

    def cancel(self) -> None:
        self._call = None
