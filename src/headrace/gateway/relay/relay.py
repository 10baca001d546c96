"""Which exchanges go the direct way, and what has to be so before they do."""

import time

from headrace.access.keys import digest_of
from headrace.access.limits.estimate import reserved_tokens
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.principal import Principal
from headrace.errors import HeadraceError
from headrace.gateway.http import RelayExchange
from headrace.gateway.relay.call import Call
from headrace.gateway.relay.plain import PlainChat, messages_of, read_plain
from headrace.gateway.relay.plan import Direct, Plan
from headrace.gateway.relay.watch import Watch
from headrace.models.balance.member import Demand, Outcome
from headrace.models.dialect.reading import UNREADABLE
from headrace.pipeline.service import Platform
from headrace.types import Usage

__all__ = ["Relay"]

PATH = "/v1/chat/completions"
_OURS = (
    b"x-headrace-conversation",
    b"x-headrace-template",
    b"cache-control",
)
"""Headers that ask for what only the ordinary way does."""


class Relay:
    """Takes the exchanges that can go the direct way."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.watch = Watch()
        self._plan: Plan | None = None

    def __call__(self, exchange: RelayExchange) -> bool:
        """Whether this exchange is taken; if not, nothing has been done with it."""
        if exchange.path != PATH or exchange.method != "POST":
            return False
        platform = self.platform
        if platform.candidate is not None:
            return False  # a release is on trial: the ordinary way says which one answers
        plan = self._current()
        body = exchange.whole_body
        if not plan.models or not body or len(body) > plan.most_bytes:
            return False
        principal = self._principal(exchange)
        if principal is None or not platform.recorder.can_keep(principal.key_id):
            return False
        if not exchange.headers.last.keys().isdisjoint(_OURS):
            return False
        try:
            request = read_plain(body)
            direct = plan.models.get(request.model)
            if direct is None or not direct.suits(request):
                return False
            return self._take(plan, direct, exchange, principal, request, body)
        except UNREADABLE:
            return False
        except HeadraceError:
            return False  # the ordinary way finds the same, and says so properly

    def wants_body(self, exchange: RelayExchange) -> bool:
        """Whether an exchange might be taken once its body is here."""
        if exchange.path != PATH or exchange.method != "POST" or not self._current().models:
            return False
        return self._principal(exchange) is not None

    def _current(self) -> Plan:
        service = self.platform.service
        if self._plan is None or self._plan.service is not service:
            self._plan = Plan(service)
        return self._plan

    def _principal(self, exchange: RelayExchange) -> Principal | None:
        headers = exchange.headers
        digest = headers.key_digest
        if digest is None:
            shown = headers.last.get(b"authorization", b"")
            if shown[:7].lower() != b"bearer ":
                return None
            digest = headers.key_digest = digest_of(shown[7:].strip().decode("latin-1"))
        return self.platform.keys.holder(digest)

    def _take(
        self,
        plan: Plan,
        direct: Direct,
        exchange: RelayExchange,
        principal: Principal,
        request: PlainChat,
        body: bytes,
    ) -> bool:
        recorder, limiter = self.platform.recorder, self.platform.limiter
        is_streamed = bool(request.stream)
        if not isinstance(limiter, MemoryLimiter) or (is_streamed and recorder.content):
            return False  # keeping a stream's text takes reading it
        asks = request.asks_for_usage
        if request.says("stream_options") != asks:
            return False
        prompt_tokens, prefix = request.measure()
        tokens = reserved_tokens(prompt_tokens, request.most_tokens)
        usd = 0.0
        if direct.has_price:
            usd = direct.first.cost_usd(Usage(prompt_tokens, tokens - prompt_tokens))
        admission = limiter.try_admit(principal, request.model, tokens, time.time(), usd)
        if admission is None:
            return False
        model = direct.model
        demand = Demand(
            size=float(tokens),
            prefix=prefix if direct.has_others else None,
            regions=model.regions,
            streamed=is_streamed,
        )
        ticket = model.balancer.try_acquire(demand)
        if ticket is None:
            limiter.withdraw(admission)
            return False
        place = direct.places[ticket.state.member.key]
        asks_instead = is_streamed and not asks and place.target.streams_usage
        sent = place.target.body(body, request.model, asks_for_usage=asks_instead)
        if sent is None:
            ticket.done(Outcome.CANCELLED)
            limiter.withdraw(admission)
            return False
        call = Call(
            self.platform,
            self.watch,
            plan,
            direct,
            place,
            exchange,
            request,
            principal,
            limiter,
            admission,
            ticket,
        )
        call.prompt_tokens = prompt_tokens
        if recorder.content:
            call.trace.input = messages_of(body)
        exchange.relayed = call
        call.start(sent)
        return True
