"""The connections to one server: kept, handed out, opened and given up."""

import asyncio
from dataclasses import dataclass

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentThrottled, DeploymentTimeout
from headrace.models.http.connection import Connection
from headrace.models.http.dial import Dialer
from headrace.models.http.exchange import Exchange
from headrace.models.http.peer import Peer
from headrace.models.http.resolve import Resolver
from headrace.models.http.settings import PoolSettings

__all__ = ["Pool", "PoolState"]

SPARE_PAUSE_S = 5.0
"""After a spare connection could not be opened, none is tried for this long without a request."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """How many of each there are."""

    open: int
    """Connections, idle ones included."""
    idle: int
    connecting: int
    waiting: int
    """Requests without a connection."""


class Pool:
    """Hands each exchange to a connection: the one used last, else the next to become free.

    A connection that is being opened belongs to nobody: whoever has waited longest gets whatever
    is there first. So a request that is given up leaves an idle connection, not a leak.
    """

    def __init__(self, peer: Peer, settings: PoolSettings, resolver: Resolver) -> None:
        self._peer = peer
        self._settings = settings
        self._dialer = Dialer(peer, resolver)
        self._idle: list[Connection] = []
        """Used last at the end, so the others grow old enough to be closed."""
        self._waiting: dict[Exchange, asyncio.TimerHandle | None] = {}
        """Oldest first."""
        self._open = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._spare = 0
        self._spare_after = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def rtt_s(self) -> float | None:
        """The latest round trip to the server; None as long as it is not known."""
        return self._dialer.rtt_s

    @property
    def state(self) -> PoolState:
        return PoolState(self._open, len(self._idle), len(self._dials), len(self._waiting))

    def submit(self, exchange: Exchange) -> None:
        """Send it as soon as there is a connection.

        Raises:
            ModelUnavailable: the pool is closed.
        """
        if self._closed:
            raise ModelUnavailable(f"the connections to {self._peer} are closed")
        connection = self._take()
        if connection is not None:
            connection.start(exchange)
            if self._spare:
                self._dial_more()
            return
        self._enqueue(exchange)

    def warm(self, spare: int) -> None:
        """Keep this many connections open in advance, beside those in use."""
        self._spare = spare
        self._dial_more()

    def close(self) -> None:
        """Close idle connections and give up waiting; what runs ends on its own."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._dials:
            task.cancel()
        while self._idle:
            self._idle.pop().close()
        for exchange in list(self._waiting):
            self._give_up(exchange, ModelUnavailable(f"the connections to {self._peer} are closed"))

    # What an exchange calls while it waits here.

    def set_paused(self, *, paused: bool) -> None:
        """Nothing to do: its connection will ask it."""

    def drop(self, exchange: Exchange) -> None:
        self._unqueue(exchange)

    # What connections call.

    def opened(self, connection: Connection) -> None:
        del connection
        self._open += 1

    def lost(self, connection: Connection) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting or self._spare:
            self._dial_more()

    def released(self, connection: Connection) -> None:
        now = connection.now()
        if now - connection.opened_at > self._settings.max_age_s:
            connection.close()
        else:
            self._offer(connection, now)

    def again(self, exchange: Exchange) -> None:
        if self._closed:
            self._give_up(exchange, ModelUnavailable(f"the connections to {self._peer} are closed"))
        else:
            # Other idle ones are likely to be as stale, so none of them is taken.
            self._enqueue(exchange)

    # Handing out.

    def _take(self) -> Connection | None:
        if not self._idle:
            return None
        # Asked of a connection: in Python 3.11 finding the running loop is a system call.
        limit = self._idle[-1].now() - self._settings.idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > limit:
                return connection
            connection.close()
        return None

    def _offer(self, connection: Connection, now: float) -> None:
        if self._waiting:
            exchange = next(iter(self._waiting))
            self._unqueue(exchange)
            connection.start(exchange)
        elif self._closed or len(self._idle) >= max(self._settings.max_idle, self._spare):
            connection.close()
        else:
            connection.idle_since = now
            self._idle.append(connection)
            if self._timer is None:
                self._set_timer(now + self._settings.idle_s)

    def _enqueue(self, exchange: Exchange) -> None:
        exchange.carrier = self
        self._waiting[exchange] = None
        self._dial_more()
        loop = asyncio.get_running_loop()
        due = exchange.deadline
        if len(self._dials) < len(self._waiting):
            # No connection is on its way to it, so no dial's time-out ends its wait.
            patience = loop.time() + self._peer.timeouts.connect_s
            due = patience if due is None else min(due, patience)
        if due is not None:
            self._waiting[exchange] = loop.call_at(due, self._waited, exchange)

    def _unqueue(self, exchange: Exchange) -> None:
        timer = self._waiting.pop(exchange, None)
        if timer is not None:
            timer.cancel()

    def _waited(self, exchange: Exchange) -> None:
        error: ModelUnavailable
        if exchange.deadline is not None and exchange.deadline <= asyncio.get_running_loop().time():
            error = DeploymentTimeout(f"no connection to {self._peer} by the request's deadline")
        elif self._dials:
            error = ModelUnavailable(
                f"no connection to {self._peer} within {self._peer.timeouts.connect_s:g} s"
            )
        else:
            error = DeploymentThrottled(
                f"all {self._settings.max_connections} connections to {self._peer} are in use",
                hint="raise `max_connections` if the server takes more",
            )
        self._give_up(exchange, error)

    def _give_up(self, exchange: Exchange, error: ModelUnavailable) -> None:
        self._unqueue(exchange)
        exchange.carrier = None
        exchange.sink.failed(error)

    # Opening.

    def _dial_more(self) -> None:
        """Open as many as are wanted, and allowed."""
        while not self._closed and len(self._dials) < self._wanted():
            most = self._settings.max_connections
            if most is not None and self._open + len(self._dials) >= most:
                return
            task = asyncio.create_task(self._dial())
            self._dials.add(task)
            # A task that is cancelled before it begins runs no line of its own.
            task.add_done_callback(self._dials.discard)

    def _wanted(self) -> int:
        spare = self._spare - len(self._idle)
        if spare <= 0 or asyncio.get_running_loop().time() < self._spare_after:
            return len(self._waiting)
        return len(self._waiting) + spare

    async def _dial(self) -> None:
        connection: Connection | None = None
        failure: ModelUnavailable | None = None
        try:
            connection = await self._dialer.dial(self)
        except ModelUnavailable as error:
            failure = error
        except Exception as error:
            # A mistake of ours: whoever waits must not wait for ever, and it must be heard of.
            failure = ModelUnavailable(f"connecting failed ({type(error).__name__})")
            raise
        finally:
            # Before anybody is told, who may ask again at once.
            self._dials.discard(_this_task())
            if failure is not None:
                self._failed(failure)
        if connection is not None and connection.is_open:
            self._offer(connection, asyncio.get_running_loop().time())
        elif connection is not None:
            self._failed(ModelUnavailable(f"the server {self._peer} hung up when it was connected"))

    def _failed(self, error: ModelUnavailable) -> None:
        """A dial ended in vain."""
        if self._waiting:
            self._give_up(next(iter(self._waiting)), error)
            self._dial_more()
        elif self._spare:
            now = asyncio.get_running_loop().time()
            self._spare_after = now + SPARE_PAUSE_S
            if self._timer is None and not self._closed:
                self._set_timer(self._spare_after)

    def _set_timer(self, due: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(due, self._tidy)

    def _tidy(self) -> None:
        """Close what has idled for too long, and renew what is to be kept warm."""
        self._timer = None
        limit = asyncio.get_running_loop().time() - self._settings.idle_s
        while self._idle and self._idle[0].idle_since <= limit:
            self._idle.pop(0).close()
        if self._spare:
            self._dial_more()
        if self._idle:
            self._set_timer(self._idle[0].idle_since + self._settings.idle_s)


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task
