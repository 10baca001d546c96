"""One chat on its way: the sink of the deployment's answer, and who answers the client."""

import asyncio
import math
import time
from contextlib import suppress

import msgspec

from headrace.access.limits.admission import Admission
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.principal import Principal
from headrace.errors import HeadraceError, ModelUnavailable
from headrace.gateway.errors import ServiceStopping, error_body, error_event, status_of
from headrace.gateway.http import RelayExchange
from headrace.gateway.relay.plain import PlainChat
from headrace.gateway.relay.plan import Direct, Place, Plan
from headrace.gateway.relay.watch import Watch
from headrace.gateway.render import DONE
from headrace.gateway.shown import shown_to
from headrace.models.ask import outcome_of
from headrace.models.balance.member import Outcome
from headrace.models.balance.ticket import Ticket
from headrace.models.errors import DeploymentTimeout
from headrace.models.http.exchange import Exchange as UpstreamExchange
from headrace.models.http.exchange import Spans
from headrace.models.http.head import Head
from headrace.models.openai.errors import error_for, failure_in
from headrace.models.openai.relay import StreamTap
from headrace.models.openai.whole import deltas_of_whole, figures_of_whole
from headrace.pipeline.service import Platform
from headrace.telemetry.trace import Span, Trace, TraceStatus
from headrace.types import Choice, Usage

__all__ = ["Call"]

MOST_WHOLE_BYTES = 64 * 1024 * 1024
HEARD_EVERY_S = 0.05
"""How often the balancer is told that a stream goes on; it thinks in seconds."""
_JSON = (b"content-type", b"application/json")
_JSON_LINE = b"content-type: application/json\r\n"
_EVENT_LINES = (
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"
)
_STOPPING = ServiceStopping("the service is stopping", hint="try again in a few seconds")
_encode = msgspec.json.Encoder().encode


class Call:
    """See the module. `start` it once; whatever happens then, it ends by itself."""

    __slots__ = (
        "_admission",
        "_client",
        "_direct",
        "_first_at",
        "_heard_at",
        "_is_noted",
        "_is_paused",
        "_last_at",
        "_limiter",
        "_pieces",
        "_place",
        "_plan",
        "_platform",
        "_principal",
        "_refusal",
        "_request",
        "_size",
        "_tail",
        "_takes_chunks",
        "_tap",
        "_ticket",
        "_upstream",
        "_watch",
        "is_over",
        "prompt_tokens",
        "trace",
    )  # fmt: skip

    def __init__(
        self,
        platform: Platform,
        watch: Watch,
        plan: Plan,
        direct: Direct,
        place: Place,
        client: RelayExchange,
        request: PlainChat,
        principal: Principal,
        limiter: MemoryLimiter,
        admission: Admission,
        ticket: Ticket,
    ) -> None:
        self._platform = platform
        self._watch = watch
        self._plan = plan
        self._direct = direct
        self._place = place
        self._client = client
        self._request = request
        self._principal = principal
        self._limiter = limiter
        self._admission = admission
        self._ticket = ticket
        self.prompt_tokens = 0
        """As estimated, where the deployment does not say."""
        self.is_over = False
        self._upstream: UpstreamExchange | None = None
        self._tap: StreamTap | None = None
        self._takes_chunks = False
        self._pieces: list[bytes] = []
        self._refusal: Head | None = None
        self._size = 0
        self._tail = b""
        self._is_paused = self._is_noted = False
        self._first_at: float | None = None
        self._last_at = self._heard_at = 0.0
        self.trace = Trace(
            model=request.model,
            deployment=place.deployment.key,
            provider=place.backend.provider,
            release=plan.service.release,
            key_id=principal.key_id,
            subject=principal.key_id,
            stream=bool(request.stream),
        )

    def start(self, body: bytes) -> None:
        """Send the request to the deployment."""
        place, request = self._place, self._request
        self._platform.recorder.began()
        place.deployment.runner.leases.take()
        self._watch.add(self)
        if request.stream:
            self._tap = StreamTap(hides_usage=not request.asks_for_usage)
        target = place.target
        try:
            upstream = self._upstream = target.client.exchange(target.head, body, self)
        except ModelUnavailable as error:
            self.failed(error)
        else:
            if request.stream:
                upstream.on_chunks = self.chunks

    # What the upstream connection calls.

    def began(self, head: Head) -> None:
        if head.status != 200:
            self._refusal = head
        elif head.tells_limits:
            self._place.backend.saw(head)

    def chunks(self, packet: bytes, spans: Spans) -> bool:
        """A packet of whole chunks; False: they have to be looked into (`received`)."""
        tap = self._tap
        if not self._takes_chunks or tap is None or not tap.lets_pass(packet, spans):
            return False
        now = time.perf_counter()
        self._last_at = now
        if now - self._heard_at > HEARD_EVERY_S:
            self._heard_at = now
            self._ticket.heard()
        if not self._client.push_chunks(packet):
            self._wait_for_client()
        return True

    def received(self, data: bytes) -> None:
        tap = self._tap
        if tap is None or self._refusal is not None:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > MOST_WHOLE_BYTES:
                self._abort_upstream()
                self._failed(ModelUnavailable("the model's answer is too long to be read"))
            return
        self._ticket.heard()
        data = tap.feed(data)
        if tap.has_begun:
            self._last_at = time.perf_counter()
            if not self._client.has_begun:
                self._begin()
        if tap.failure is not None:
            self._abort_upstream()
            self._tail += data
            self._failed(self._read_failure(tap.failure))
        elif tap.is_done:
            # The end only once the trace is safe: who has seen it finds the trace after any crash.
            self._tail += data
        elif data:
            if not self._client.push(data):
                self._wait_for_client()
            self._takes_chunks = self._client.takes_chunks

    def ended(self) -> None:
        self._upstream = None
        tap = self._tap
        if self._refusal is not None:
            self._refuse(self._refusal)
            return
        if tap is None:
            self._answer_whole()
            return
        self._tail += tap.end()
        if not tap.has_begun or not tap.is_whole:
            self._failed(ModelUnavailable("the model ended its answer too early"))
            return
        if not self._client.has_begun:
            self._begin()
        if not tap.is_done:
            self._tail += DONE
        usage = tap.usage or Usage(self.prompt_tokens, tap.pieces)
        self._finish("ok", usage, [tap.finish] if tap.finish else [])
        self._client.end(self._tail)

    def failed(self, error: ModelUnavailable) -> None:
        self._upstream = None
        self._failed(error)

    # What the client's connection calls.

    def client_left(self) -> None:
        self._abort_upstream()
        self._cancelled()

    def cut(self) -> None:
        """The service stops."""
        self._abort_upstream()
        self._cancelled()
        if self._client.has_begun:
            self._client.end(self._tail + error_event(_STOPPING))
        else:
            self._client.respond(status_of(_STOPPING), [_JSON], error_body(_STOPPING))

    # What the watch asks and tells.

    @property
    def may_go_elsewhere(self) -> bool:
        return self._direct.has_others and not self._client.has_begun

    @property
    def patience_until(self) -> float:
        return self._ticket.sent_at + self._ticket.patience_s

    @property
    def is_hopeless(self) -> bool:
        """Whether the deployment seems to be frozen."""
        return self._ticket.is_hopeless

    def note(self) -> None:
        """Write down that it has begun: if the process dies now, it is found as interrupted."""
        if not self._is_noted:
            self._is_noted = True
            self._platform.recorder.note(self.trace)
            # Not with each call: it changes only where a connection is opened.
            place = self._place
            self._direct.model.saw_rtt(place.deployment.key, place.backend.rtt_s)

    def timed_out(self) -> None:
        """Nothing has come for longer than another deployment would take."""
        self._abort_upstream()
        self._give_back(DeploymentTimeout("no answer began in time"))

    # Inside.

    def _answer_whole(self) -> None:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        figures = None if self._platform.recorder.content else figures_of_whole(body)
        if figures is None:
            try:
                figures = self._read_whole(body)
            except HeadraceError as error:
                self._failed(error)
                return
        self._first_at = self._last_at = time.perf_counter()
        self._finish("ok", *figures)
        self._client.respond_ready(_JSON_LINE + self._header_lines(), body)

    def _read_whole(self, body: bytes) -> tuple[Usage, list[str]]:
        """An answer that is not as most are, or whose text is kept. Raises as `deltas_of_whole`."""
        deltas = deltas_of_whole(body, self._place.target.site)
        usage = next((each.usage for each in deltas if each.usage is not None), None) or Usage()
        choices = [each for each in deltas if each.usage is None]
        if self._platform.recorder.content:
            self.trace.output = _encode(
                [
                    Choice(
                        each.index,
                        each.text,
                        each.reasoning,
                        each.refusal,
                        [],
                        None,
                        each.finish_reason,
                    )
                    for each in choices
                ]
            ).decode()
        return usage, [each.finish_reason for each in choices if each.finish_reason]

    def _cancelled(self) -> None:
        tap = self._tap
        usage = Usage() if tap is None else tap.usage or Usage(self.prompt_tokens, tap.pieces)
        self._finish("cancelled", usage, [], Outcome.CANCELLED)

    def _refuse(self, head: Head) -> None:
        """The deployment wants none of it. If the request is to blame, asking again changes nothing."""
        wire = self._place.backend.wire
        self._failed(wire.error_of(head.status, head.headers, b"".join(self._pieces)))

    def _read_failure(self, event: bytes) -> HeadraceError:
        """What an event in the place of an answer says."""
        failure = failure_in(event)
        if failure is None:
            return ModelUnavailable("the model broke off in mid-answer")
        return error_for(failure, 0, {}, self._place.target.site, 0.0)

    def _begin(self) -> None:
        self.note()
        self._watch.forget(self)
        self._first_at = time.perf_counter()
        self._ticket.first_byte()
        self._client.begin_ready(_EVENT_LINES + self._header_lines())

    def _failed(self, error: HeadraceError) -> None:
        """It comes to nothing here: another may be asked, if nothing was said yet."""
        if self._client.has_begun:
            tap = self._tap
            assert tap is not None
            usage = tap.usage or Usage(self.prompt_tokens, tap.pieces)
            self._end_with(error, usage)
            self._client.end(self._tail + error_event(self._shown(error)))
        elif isinstance(error, ModelUnavailable) and self._direct.model.balancer.budget.spend():
            self._give_back(error)
        else:
            self._end_with(error, Usage())
            lines = _JSON_LINE + self._header_lines()
            if (wait_s := getattr(error, "retry_after_s", None)) is not None:
                lines += b"retry-after: %d\r\n" % max(1, math.ceil(wait_s))
            body = error_body(self._shown(error))
            self._client.respond_ready(lines, body, status_of(error))

    def _shown(self, error: HeadraceError) -> HeadraceError:
        return shown_to(self._principal, error, self.trace.id)

    def _end_with(self, error: HeadraceError, usage: Usage) -> None:
        self.trace.error = error.code
        self._finish("error", usage, [], outcome_of(error), error)

    def _header_lines(self) -> bytes:
        name = self.trace.id.encode()
        return b"x-request-id: %b\r\nx-headrace-trace: %b\r\n%b%b" % (
            name,
            name,
            self._limiter.lines(self._admission),
            self._plan.release,
        )

    def _finish(
        self,
        status: TraceStatus,
        usage: Usage,
        reasons: list[str],
        outcome: Outcome = Outcome.OK,
        error: HeadraceError | None = None,
    ) -> None:
        self.is_over = True
        self._watch.forget(self)
        self._client.relayed = None
        trace, place, ticket = self.trace, self._place, self._ticket
        trace.status = status
        tokens = usage.completion_tokens
        if self._first_at is not None:
            trace.ttft_s = self._first_at - trace.clock_zero
            if tokens > 1 and self._tap is not None:
                trace.tpot_s = (self._last_at - self._first_at) / (tokens - 1)
        place.account.close(trace, self._request, usage, reasons, ticket.reason)
        ticket.done(
            outcome,
            tokens=tokens,
            retry_after_s=None if error is None else getattr(error, "retry_after_s", None),
            limits=place.backend.rate_limits,
            error="" if error is None else error.message,
        )
        place.deployment.runner.leases.give_back()
        self._admission.end(usage.prompt_tokens + tokens, trace.cost_usd)
        self._platform.recorder.record_last(trace)

    def _give_back(self, error: ModelUnavailable) -> None:
        """Nothing was sent yet: the ordinary way begins anew, in the same trace."""
        self.is_over = True
        self._watch.forget(self)
        outcome, trace, platform = outcome_of(error), self.trace, self._platform
        deployment = self._place.deployment
        self._ticket.done(
            outcome,
            retry_after_s=getattr(error, "retry_after_s", None),
            limits=deployment.backend.rate_limits,
            error=error.message,
        )
        deployment.runner.leases.give_back()
        self._limiter.withdraw(self._admission)
        platform.recorder.passed_on()
        tried = [f"{deployment.key}: {outcome.value}"]
        span = Span(
            name="generate",
            start_s=0.0,
            duration_s=trace.elapsed_s(),
            kind="client",
            attributes={"headrace.routing.tried": tried},
            error=error.code,
        )
        trace.spans.append(span)
        trace.deployment = trace.provider = ""
        self._client.turn = trace
        self._client.hand_over()

    def _abort_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    def _wait_for_client(self) -> None:
        """The client is slow: let the deployment wait, too."""
        if self._is_paused or self._upstream is None:
            return
        self._is_paused = True
        self._upstream.pause()
        task = asyncio.get_running_loop().create_task(self._go_on())
        _waiting_for_clients.add(task)
        task.add_done_callback(_waiting_for_clients.discard)

    async def _go_on(self) -> None:
        with suppress(asyncio.CancelledError):
            await self._client.writable()
        self._is_paused = False
        if self._upstream is not None:
            self._upstream.resume()


_waiting_for_clients: set[asyncio.Task[None]] = set()
"""Kept here, because the event loop holds tasks by weak references only."""
