"""The direct way of a chat: from the client's bytes to a deployment and back, without a task.

Taken where nothing has to be done to either text: the pipeline is `generate` alone, and client and
deployment speak OpenAI's protocol alike. All that an operator relies on holds: the key, limits,
balancing, health, the trace, metrics. Whatever is out of the ordinary (no room, no connection, a
refusal, a field with another meaning there) goes the ordinary way, which begins anew: so this file
only knows how things go well. Decision 0053.
"""

import asyncio
import math
import time
from collections.abc import Set as AbstractSet
from contextlib import suppress

import msgspec

from headrace.access.keys import digest_of
from headrace.access.limits.admission import Admission
from headrace.access.limits.estimate import reserved_tokens
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.principal import Principal
from headrace.errors import HeadraceError, ModelUnavailable
from headrace.gateway.errors import ServiceStopping, error_body, error_event, status_of
from headrace.gateway.http import RelayExchange
from headrace.gateway.render import DONE
from headrace.gateway.shown import shown_to
from headrace.gateway.wire import ChatRequest, params_of
from headrace.ids import new_id
from headrace.models.ask import outcome_of
from headrace.models.balance.member import Demand, Outcome
from headrace.models.balance.ticket import Ticket
from headrace.models.deployment import Deployment
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.errors import DeploymentTimeout
from headrace.models.estimate import estimate_tokens
from headrace.models.http.exchange import Exchange as UpstreamExchange
from headrace.models.http.head import Head
from headrace.models.model import Model, prefix_of
from headrace.models.openai.errors import error_for, failure_in
from headrace.models.openai.relay import RelayTarget, StreamTap
from headrace.models.openai.whole import deltas_of_whole
from headrace.models.remote import RemoteBackend
from headrace.pipeline.service import Platform, Service
from headrace.telemetry.semconv import inference_attributes
from headrace.telemetry.trace import Span, Trace, TraceStatus
from headrace.types import Choice, Params, Usage

__all__ = ["Relay"]

PATH = "/v1/chat/completions"
LOOK_EVERY_S = 0.25
MOST_WHOLE_BYTES = 64 * 1024 * 1024
_PARAMS = Params()
_OURS = (
    b"x-headrace-conversation",
    b"x-headrace-template",
    b"cache-control",
)
"""Headers that ask for what only the ordinary way does."""
_PLAIN_ROLES = ("system", "user", "assistant")
_JSON = (b"content-type", b"application/json")
_EVENTS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_STOPPING = ServiceStopping("the service is stopping", hint="try again in a few seconds")
_decode = msgspec.json.Decoder(ChatRequest).decode
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Plan:
    """What one service can relay: worked out once, for as long as it is the one in use."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.release = (b"x-headrace-release", service.release.encode())
        self.targets: dict[str, RelayTarget] = {}
        """By the deployment's key."""
        self.models: dict[str, Model] = {}
        self.fields: dict[str, frozenset[str]] = {}
        """By the model's name: what means the same at all of its deployments."""
        self.one_system: set[str] = set()
        """Models with a deployment that takes a system message only at the beginning."""
        if not service.asks_only_the_model or service.config.cache is not None:
            return
        for model in service.models.models():
            targets = {each.key: _target_of(each) for each in model.deployments}
            found = {key: target for key, target in targets.items() if target is not None}
            if len(found) == len(targets) and model.params == _PARAMS:
                self.models[model.name] = model
                self.fields[model.name] = frozenset.intersection(
                    *(each.fields for each in found.values())
                )
                if any(each.one_system for each in found.values()):
                    self.one_system.add(model.name)
                self.targets.update(found)

    def suits(self, name: str, request: ChatRequest, fields: AbstractSet[str]) -> bool:
        """Whether all that a request says means the same at each of the model's deployments."""
        if name in self.one_system and any(m.role == "system" for m in request.messages[1:]):
            return False
        return fields <= self.fields[name]


def _target_of(deployment: Deployment) -> RelayTarget | None:
    backend = deployment.backend
    return backend.relay() if isinstance(backend, RemoteBackend) else None


class Relay:
    """Takes the exchanges that can go the direct way."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._plan: _Plan | None = None
        self.waiting: dict[_Call, float] = {}
        """Calls whose answer has not begun, and until when they may wait."""
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, exchange: RelayExchange) -> bool:
        """Whether this exchange is taken; if not, nothing has been done with it."""
        if exchange.path != PATH or exchange.method != "POST":
            return False
        if self.platform.candidate is not None:
            return False  # a release is on trial: the ordinary way says which one answers
        plan = self._current()
        body = exchange.whole_body
        most = plan.service.config.server.max_body_bytes
        if not plan.models or not body or len(body) > most:
            return False
        try:
            return self._take(plan, exchange, body)
        except HeadraceError:
            return False  # the ordinary way finds the same, and says so properly

    def wants_body(self, exchange: RelayExchange) -> bool:
        """Whether an exchange might be taken once its body is here."""
        if exchange.path != PATH or exchange.method != "POST" or not self._current().models:
            return False
        return self._principal(exchange) is not None

    def _current(self) -> _Plan:
        service = self.platform.service
        if self._plan is None or self._plan.service is not service:
            self._plan = _Plan(service)
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

    def _take(self, plan: _Plan, exchange: RelayExchange, body: bytes) -> bool:
        platform = self.platform
        headers = exchange.headers.last
        principal = self._principal(exchange)
        if not headers.keys().isdisjoint(_OURS):
            return False
        if principal is None or not platform.recorder.can_keep(principal.key_id):
            return False
        try:
            request, fields = _decode(body), _raw_fields(body)
        except UNREADABLE:
            return False
        name = request.model
        model = next(iter(plan.models.values())) if name is None else plan.models.get(name)
        limiter = platform.limiter
        if model is None or name is None or not request.messages:
            return False
        if not isinstance(limiter, MemoryLimiter) or not _is_plain(request):
            return False
        if request.stream and platform.recorder.content:
            return False  # keeping the text takes reading it
        asks = _asks_for_usage(request)
        if not plan.suits(name, request, fields.keys()) or ("stream_options" in fields) != asks:
            return False
        params = params_of(request, {})
        first = model.deployments[0]
        prompt_tokens = estimate_tokens(request.messages)
        tokens = reserved_tokens(prompt_tokens, params.max_tokens)
        usd = first.cost_usd(Usage(prompt_tokens, tokens - prompt_tokens))
        admission = limiter.try_admit(principal, name, tokens, time.time(), usd)
        if admission is None:
            return False
        demand = Demand(
            size=float(tokens),
            prefix=prefix_of(request.messages) if len(model.deployments) > 1 else None,
            regions=model.regions,
            streamed=bool(request.stream),
        )
        ticket = model.balancer.try_acquire(demand)
        if ticket is None:
            limiter.withdraw(admission)
            return False
        target = plan.targets[ticket.member.key]
        sent = target.body(
            body,
            bytes(fields["model"]),
            asks_for_usage=bool(request.stream) and not asks and target.streams_usage,
        )
        if sent is None:
            ticket.done(Outcome.CANCELLED)
            limiter.withdraw(admission)
            return False
        call = _Call(self, plan, exchange, model, ticket, admission, params, principal)
        call.prompt_tokens = prompt_tokens
        call.trace.stream = bool(request.stream)
        call.tap = StreamTap(hides_usage=not asks) if request.stream else None
        if platform.recorder.content:
            call.trace.input = _encode(request.messages).decode()
        exchange.relayed = call
        call.start(target, sent)
        return True

    def watch(self, call: "_Call", until: float) -> None:
        """Let a call go the ordinary way if nothing has come by then."""
        self.waiting[call] = until
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        late = [c for c, until in self.waiting.items() if until <= now or c.is_hopeless]
        for call in late:
            call.timed_out()
        if self.waiting:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)


def _is_plain(request: ChatRequest) -> bool:
    """Whether the messages mean the same to every server."""
    for each in request.messages:
        if (
            each.role not in _PLAIN_ROLES
            or not isinstance(each.content, str)
            or each.name is not None
            or each.tool_calls is not None
            or each.tool_call_id is not None
            or each.refusal is not None
            or each.reasoning_content is not None
        ):
            return False
    return True


def _asks_for_usage(request: ChatRequest) -> bool:
    options = request.stream_options
    return bool(request.stream) and options is not None and options.include_usage


class _Call:
    """One chat on its way: the sink of the deployment's answer."""

    __slots__ = (
        "_admission",
        "_client",
        "_deployment",
        "_first_at",
        "_is_paused",
        "_last_at",
        "_model",
        "_params",
        "_pieces",
        "_plan",
        "_principal",
        "_refusal",
        "_relay",
        "_size",
        "_tail",
        "_ticket",
        "_upstream",
        "prompt_tokens",
        "tap",
        "trace",
    )  # fmt: skip

    def __init__(
        self,
        relay: Relay,
        plan: _Plan,
        client: RelayExchange,
        model: Model,
        ticket: Ticket,
        admission: Admission,
        params: Params,
        principal: Principal,
    ) -> None:
        self._relay = relay
        self._plan = plan
        self._client = client
        self._model = model
        self._ticket = ticket
        self._admission = admission
        self._params = params
        self._principal = principal
        self.prompt_tokens = 0
        """As estimated, where the deployment does not say."""
        self._deployment = model.deployment(ticket.member.key)
        self._upstream: UpstreamExchange | None = None
        self._pieces: list[bytes] = []
        self._refusal: Head | None = None
        self._size = 0
        self._tail = b""
        self._is_paused = False
        self._first_at: float | None = None
        self._last_at = 0.0
        self.tap: StreamTap | None = None
        self.trace = Trace(
            id=new_id(),
            model=model.name,
            deployment=self._deployment.key,
            provider=self._deployment.backend.provider,
            release=plan.service.release,
            key_id=principal.key_id,
            subject=principal.key_id,
        )

    def start(self, target: RelayTarget, body: bytes) -> None:
        self._relay.platform.recorder.started(self.trace)
        self._deployment.runner.leases.take()
        if len(self._model.deployments) > 1:
            self._relay.watch(self, time.monotonic() + self._ticket.patience_s)
        try:
            self._upstream = target.client.exchange(target.head, body, self)
        except ModelUnavailable as error:
            self.failed(error)

    # What the upstream connection calls.

    def began(self, head: Head) -> None:
        if head.status != 200:
            self._refusal = head
            return
        backend = self._deployment.backend
        assert isinstance(backend, RemoteBackend)
        backend.saw(head)

    def received(self, data: bytes) -> None:
        tap = self.tap
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
        elif data and not self._client.push(data):
            self._wait_for_client()

    def ended(self) -> None:
        self._upstream = None
        if self._refusal is not None:
            self._refuse(self._refusal)
            return
        if self.tap is None:
            self._answer_whole()
            return
        tap = self.tap
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
        self._forget_waiting()
        self._cancelled()

    def cut(self) -> None:
        """The service stops."""
        self._abort_upstream()
        self._forget_waiting()
        self._cancelled()
        if self._client.has_begun:
            self._client.end(self._tail + error_event(_STOPPING))
        else:
            self._client.respond(status_of(_STOPPING), [_JSON], error_body(_STOPPING))

    @property
    def is_hopeless(self) -> bool:
        """Whether the deployment seems to be frozen."""
        return self._ticket.is_hopeless

    def timed_out(self) -> None:
        """Nothing has come for longer than another deployment would take."""
        self._abort_upstream()
        self._give_back(DeploymentTimeout("no answer began in time"))

    # Inside.

    def _answer_whole(self) -> None:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        try:
            deltas = deltas_of_whole(body, self._plan.targets[self._deployment.key].site)
        except HeadraceError as error:
            self._failed(error)
            return
        self._forget_waiting()
        self._first_at = self._last_at = time.perf_counter()
        usage = next((each.usage for each in deltas if each.usage is not None), None) or Usage()
        choices = [each for each in deltas if each.usage is None]
        if self._relay.platform.recorder.content:
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
        self._finish("ok", usage, [each.finish_reason for each in choices if each.finish_reason])
        self._client.respond(200, [_JSON, *self._headers()], body)

    def _cancelled(self) -> None:
        tap = self.tap
        usage = Usage() if tap is None else tap.usage or Usage(self.prompt_tokens, tap.pieces)
        self._finish("cancelled", usage, [], Outcome.CANCELLED)

    def _refuse(self, head: Head) -> None:
        """The deployment wants none of it. If the request is to blame, asking again changes nothing."""
        backend = self._deployment.backend
        assert isinstance(backend, RemoteBackend)
        self._failed(backend.wire.error_of(head.status, head.headers, b"".join(self._pieces)))

    def _read_failure(self, event: bytes) -> HeadraceError:
        """What an event in the place of an answer says."""
        site = self._plan.targets[self._deployment.key].site
        failure = failure_in(event)
        if failure is None:
            return ModelUnavailable("the model broke off in mid-answer")
        return error_for(failure, 0, {}, site, 0.0)

    def _begin(self) -> None:
        self._forget_waiting()
        self._first_at = time.perf_counter()
        self._ticket.first_byte()
        self._client.begin(200, [*_EVENTS, *self._headers()])

    def _failed(self, error: HeadraceError) -> None:
        """It comes to nothing here: another may be asked, if nothing was said yet."""
        if self._client.has_begun:
            tap = self.tap
            assert tap is not None
            usage = tap.usage or Usage(self.prompt_tokens, tap.pieces)
            self._end_with(error, usage)
            self._client.end(self._tail + error_event(self._shown(error)))
        elif isinstance(error, ModelUnavailable) and self._model.balancer.budget.spend():
            self._give_back(error)
        else:
            self._forget_waiting()
            self._end_with(error, Usage())
            headers = [_JSON, *self._headers()]
            if (wait_s := getattr(error, "retry_after_s", None)) is not None:
                headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait_s))))
            body = error_body(self._shown(error))
            self._client.respond(status_of(error), headers, body)

    def _shown(self, error: HeadraceError) -> HeadraceError:
        return shown_to(self._principal, error, self.trace.id)

    def _end_with(self, error: HeadraceError, usage: Usage) -> None:
        self.trace.error = error.code
        self._finish("error", usage, [], outcome_of(error), error)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        identity = self.trace.id.encode()
        return [
            (b"x-request-id", identity),
            (b"x-headrace-trace", identity),
            *self._relay.platform.limiter.headers(self._principal, self.trace.model),
            self._plan.release,
        ]

    def _finish(
        self,
        status: TraceStatus,
        usage: Usage,
        reasons: list[str],
        outcome: Outcome = Outcome.OK,
        error: HeadraceError | None = None,
    ) -> None:
        trace, deployment = self.trace, self._deployment
        self._client.relayed = None
        trace.status = status
        trace.duration_s = trace.elapsed_s()
        trace.prompt_tokens = usage.prompt_tokens
        trace.completion_tokens = usage.completion_tokens
        trace.cached_tokens = usage.cached_tokens
        trace.cost_usd = deployment.cost_usd(usage)
        trace.finish_reason = reasons[0] if reasons else None
        if self._first_at is not None:
            trace.ttft_s = self._first_at - trace.clock_zero
            if usage.completion_tokens > 1 and self.tap is not None:
                seconds = self._last_at - self._first_at
                trace.tpot_s = seconds / (usage.completion_tokens - 1)
        attributes = inference_attributes(trace, self._params, reasons)
        attributes["headrace.model.digest"] = deployment.backend.digest
        attributes["headrace.routing.reason"] = self._ticket.reason
        attributes["gen_ai.usage.input_tokens"] = usage.prompt_tokens
        attributes["gen_ai.usage.output_tokens"] = usage.completion_tokens
        span = Span(
            name="generate",
            start_s=0.0,
            duration_s=trace.duration_s,
            kind="client",
            attributes=attributes,
            error=trace.error,
        )
        trace.spans.append(span)
        self._ticket.done(
            outcome,
            tokens=usage.completion_tokens,
            retry_after_s=getattr(error, "retry_after_s", None),
            limits=deployment.backend.rate_limits,
            error="" if error is None else error.message,
        )
        self._model.saw_rtt(deployment.key, deployment.backend.rtt_s)
        deployment.runner.leases.give_back()
        self._admission.settle(usage.prompt_tokens + usage.completion_tokens, trace.cost_usd)
        self._admission.release()
        self._relay.platform.recorder.record(trace)

    def _give_back(self, error: ModelUnavailable) -> None:
        """Nothing was sent yet: the ordinary way begins anew, in the same trace."""
        self._forget_waiting()
        outcome, trace, platform = outcome_of(error), self.trace, self._relay.platform
        self._ticket.done(
            outcome,
            retry_after_s=getattr(error, "retry_after_s", None),
            limits=self._deployment.backend.rate_limits,
            error=error.message,
        )
        self._deployment.runner.leases.give_back()
        assert isinstance(platform.limiter, MemoryLimiter)
        platform.limiter.withdraw(self._admission)
        platform.recorder.passed_on()
        tried = [f"{self._deployment.key}: {outcome.value}"]
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

    def _forget_waiting(self) -> None:
        self._relay.waiting.pop(self, None)

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
