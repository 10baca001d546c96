"""The simulated world: servers of unequal speed that fail, and requests of heavy-tailed length.

A server decodes up to `slots` sequences at once, each at its own speed; more wait there in order of
arrival, and beyond twice as many again it says 429. What can befall it: a crash (what runs there
fails, new calls are refused at once), a freeze (it accepts and stays silent, then goes on), a
slow-down (eight times), and errors (answers 500 at once, to half of the calls or all).

Not modelled: batches that slow each other down, prompts' caches, the network.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

__all__ = ["Attempt", "Request", "Server", "World", "WorldSettings"]

REFUSED_S = 0.001
ERROR_S = 0.005
SLOWER = 8.0


@dataclass(frozen=True)
class WorldSettings:
    """Sizes of the world. Times in seconds, lengths in tokens."""

    servers: int = 200
    requests: int = 1_000_000
    load: float = 0.75
    """Share of what all servers together can do, were they all well."""
    seed: int = 1
    healthy_s: float = 300.0
    """Mean time between two faults of a server."""
    fault_s: float = 20.0
    """Mean length of a fault."""
    deadline_s: float = 60.0
    first_byte_s: float = 10.0


class Request:
    """One request: what it asks, and what became of it."""

    __slots__ = ("arrived_at", "attempts", "completion", "prompt", "state")

    def __init__(self, arrived_at: float, prompt: int, completion: int) -> None:
        self.arrived_at = arrived_at
        self.prompt = prompt
        self.completion = completion
        self.attempts = 0
        self.state: object = None
        """The policy's own."""


class Attempt:
    """One call of a request to one server."""

    __slots__ = (
        "done_at",
        "first_at",
        "has_first",
        "is_open",
        "request",
        "sent_at",
        "server",
        "state",
        "version",
    )

    def __init__(self, request: Request, server: "Server", sent_at: float, state: object) -> None:
        self.request = request
        self.server = server
        self.sent_at = sent_at
        self.state = state
        self.is_open = True
        self.has_first = False
        self.version = 0
        """Counts reschedulings: an event of an older one is void."""
        self.first_at = self.done_at = math.inf


class Server:
    """One deployment."""

    __slots__ = (
        "backlog",
        "decode_s",
        "error_share",
        "index",
        "is_down",
        "is_frozen",
        "prefill_s",
        "running",
        "since",
        "slots",
        "slowness",
        "waiting",
    )

    def __init__(self, index: int, slots: int, decode_s: float, prefill_s: float) -> None:
        self.index = index
        self.slots = slots
        self.decode_s = decode_s
        self.prefill_s = prefill_s
        self.backlog = 2 * slots
        self.running: dict[Attempt, None] = {}
        self.waiting: deque[Attempt] = deque()
        self.is_down = self.is_frozen = False
        self.error_share = 0.0
        self.slowness = 1.0
        self.since = 0.0


class World:
    """Servers, faults and the clock. A gateway sends attempts and is told how they went."""

    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings
        self.now = 0.0
        # One source each: what a policy does must not change what befalls the others.
        self._random = Random(f"{settings.seed} servers")
        self._traffic = Random(f"{settings.seed} traffic")
        self._faults = Random(f"{settings.seed} faults")
        self._errors = Random(f"{settings.seed} errors")
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._serial = 0
        self.servers = [self._server(index) for index in range(settings.servers)]
        self.mean_prompt, self.mean_completion = 660.0, 250.0
        per_s = sum(
            each.slots / (self.mean_prompt * each.prefill_s + self.mean_completion * each.decode_s)
            for each in self.servers
        )
        self.rate = per_s * settings.load
        usual = sorted(each.decode_s for each in self.servers)
        self.usual_decode_s = usual[len(usual) // 2]
        self.on_first: Callable[[Attempt], None] = _unset
        self.on_done: Callable[[Attempt, str], None] = _unset
        """Told how an attempt ended: ok, failed or throttled. (Time-outs are the gateway's.)"""
        for server in self.servers:
            self._fault_later(server)

    def _server(self, index: int) -> Server:
        random = self._random
        slots = random.choice((2, 4, 8, 8, 16, 32))
        decode_s = 0.012 * math.exp(random.gauss(0.0, 0.6))
        return Server(index, slots, decode_s, decode_s / random.uniform(20.0, 60.0))

    def request(self) -> Request:
        """The next one, arriving now."""
        random = self._traffic
        prompt = int(min(32_000.0, 400.0 * math.exp(random.gauss(0.0, 1.0)))) + 1
        completion = int(min(8_000.0, 110.0 * math.exp(random.gauss(0.0, 1.3)))) + 1
        return Request(self.now, prompt, completion)

    def later(self, seconds: float, call: Callable[..., None], *args: object) -> None:
        """Call it so much later."""
        self._serial += 1
        heapq.heappush(self._events, (self.now + seconds, self._serial, call, args))

    def run(self, arrived: Callable[[Request], None]) -> None:
        """Let all requests arrive, and wait until the last one has ended."""
        random, events, rate = self._traffic, self._events, self.rate
        left = self.settings.requests
        next_at = random.expovariate(rate)
        stop_at = math.inf
        while events:
            if left and next_at <= events[0][0]:
                self.now = next_at
                arrived(self.request())
                left -= 1
                next_at = self.now + random.expovariate(rate)
                if not left:
                    stop_at = self.now + 2 * self.settings.deadline_s
                continue
            at, _, call, args = heapq.heappop(events)
            if at > stop_at:
                return
            self.now = at
            call(*args)

    # Calls

    def send(self, attempt: Attempt) -> None:
        """A gateway sends a call."""
        server = attempt.server
        if server.is_down:
            self.later(REFUSED_S, self._end, attempt, 0, "failed")
        elif not server.is_frozen and server.error_share > self._errors.random():
            self.later(ERROR_S, self._end, attempt, 0, "failed")
        elif len(server.running) < server.slots:
            self._start(server, attempt)
        elif server.is_frozen or len(server.waiting) < server.backlog:
            server.waiting.append(attempt)
        else:
            self.later(ERROR_S, self._end, attempt, 0, "throttled")

    def cancel(self, attempt: Attempt) -> None:
        """A gateway hangs up."""
        if attempt.is_open:
            attempt.is_open = False
            self._leave(attempt)

    def _start(self, server: Server, attempt: Attempt) -> None:
        server.running[attempt] = None
        request, slowness = attempt.request, server.slowness
        attempt.first_at = self.now + request.prompt * server.prefill_s * slowness
        attempt.done_at = attempt.first_at + request.completion * server.decode_s * slowness
        if not server.is_frozen:
            self._schedule(attempt)

    def _schedule(self, attempt: Attempt) -> None:
        version = attempt.version
        if not attempt.has_first:
            self.later(attempt.first_at - self.now, self._first, attempt, version)
        self.later(attempt.done_at - self.now, self._end, attempt, version, "ok")

    def _first(self, attempt: Attempt, version: int) -> None:
        if attempt.is_open and attempt.version == version:
            attempt.has_first = True
            self.on_first(attempt)

    def _end(self, attempt: Attempt, version: int, how: str) -> None:
        if attempt.is_open and attempt.version == version:
            attempt.is_open = False
            self._leave(attempt)
            self.on_done(attempt, how)

    def _leave(self, attempt: Attempt) -> None:
        server = attempt.server
        if attempt not in server.running:
            return  # those that wait are skipped when their turn comes
        del server.running[attempt]
        if not server.is_frozen and not server.is_down:
            self._fill(server)

    def _fill(self, server: Server) -> None:
        while server.waiting and len(server.running) < server.slots:
            following = server.waiting.popleft()
            if following.is_open:
                self._start(server, following)

    # Faults

    def _fault_later(self, server: Server) -> None:
        self.later(self._faults.expovariate(1.0 / self.settings.healthy_s), self._fault, server)

    def _fault(self, server: Server) -> None:
        kind = self._faults.choice(("crash", "crash", "freeze", "slow", "errors", "flaky"))
        if kind == "crash":
            server.is_down = True
            lost = [*server.running, *server.waiting]
            server.running.clear()
            server.waiting.clear()
            for attempt in lost:
                self._end(attempt, attempt.version, "failed")
        elif kind == "freeze":
            server.is_frozen = True
            for attempt in server.running:
                attempt.version += 1
        elif kind == "slow":
            self._stretch(server, SLOWER)
        else:
            server.error_share = 1.0 if kind == "errors" else 0.5
        server.since = self.now
        self.later(self._faults.expovariate(1.0 / self.settings.fault_s), self._recover, server)

    def _recover(self, server: Server) -> None:
        server.is_down = False
        server.error_share = 0.0
        if server.is_frozen:
            server.is_frozen = False
            for attempt in server.running:
                held_s = self.now - max(server.since, attempt.sent_at)
                attempt.first_at += held_s
                attempt.done_at += held_s
                self._schedule(attempt)
            self._fill(server)
        if server.slowness != 1.0:
            self._stretch(server, 1.0 / SLOWER)
        self._fault_later(server)

    def _stretch(self, server: Server, factor: float) -> None:
        server.slowness *= factor
        for attempt in server.running:
            attempt.version += 1
            attempt.first_at = self.now + (attempt.first_at - self.now) * factor
            attempt.done_at = self.now + (attempt.done_at - self.now) * factor
            self._schedule(attempt)


def _unset(*_: object) -> None:
    raise AssertionError("no gateway listens")
