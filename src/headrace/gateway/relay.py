"""The direct way of a chat: from the client's bytes to a deployment and back, without a task.

Taken where nothing has to be done to either text: the pipeline is `generate` alone, and client and
deployment speak OpenAI's protocol alike. All that an operator relies on holds: the key, limits,
balancing, health, the trace, metrics. Whatever is out of the ordinary (no room, no connection, a
refusal, a field with another meaning there) goes the ordinary way, which begins anew: so this file
only knows how things go well. Decision 0053.
"""

import asyncio
import time
from contextlib import suppress

import msgspec

from headrace.access.limits.admission import Admission
from headrace.access.limits.estimate import reserved_tokens
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.principal import Principal
from headrace.errors import HeadraceError, ModelUnavailable
from headrace.gateway.errors import ServiceStopping, error_body, error_event, status_of
from headrace.gateway.http import RelayExchange
from headrace.gateway.wire import ChatRequest, decode, params_of
from headrace.ids import new_id
from headrace.models.ask import outcome_of
from headrace.models.balance.member import Demand, Outcome
from headrace.models.balance.ticket import Ticket
from headrace.models.deployment import Deployment
from headrace.models.estimate import estimate_tokens
from headrace.models.http.exchange import Exchange as UpstreamExchange
from headrace.models.http.head import Head
from headrace.models.model import Model, prefix_of
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
_JSON = (b"content-type", b"application/json")
_EVENTS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_STOPPING = ServiceStopping("the service is stopping", hint="try again in a few seconds")
_BROKEN_OFF = error_event(ModelUnavailable("the model broke off in mid-answer"))
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
        if not service.asks_only_the_model or service.config.cache is not None:
            return
        for model in service.models.models():
            targets = {each.key: _target_of(each) for each in model.deployments}
            found = {key: target for key, target in targets.items() if target is not None}
            if len(found) == len(targets) and model.params == _PARAMS:
                self.models[model.name] = model
                self.targets.update(found)


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
        shown = exchange.headers.last.get(b"authorization", b"")
        if shown[:7].lower() != b"bearer ":
            return None
        return self.platform.keys.authenticate(shown[7:].strip().decode("latin-1"))

    def _take(self, plan: _Plan, exchange: RelayExchange, body: bytes) -> bool:
        platform = self.platform
        headers = exchange.headers.last
        principal = self._principal(exchange)
        if any(name in headers for name in _OURS):
            return False
        if principal is None or not platform.recorder.can_keep(principal.key_id):
            return False
        request, extra = decode(body, ChatRequest)
        fields = _raw_fields(body)
        name = request.model
        model = next(iter(plan.models.values())) if name is None else plan.models.get(name)
        limiter = platform.limiter
        if extra or model is None or name is None or not request.messages:
            return False
        if not isinstance(limiter, MemoryLimiter) or not _is_plain(request):
            return False
        if request.stream and platform.recorder.content:
            return False  # keeping the text takes reading it
        params = params_of(request, extra)
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
            admission.release()
            return False
        target = plan.targets[ticket.member.key]
        options = request.stream_options
        asks = options is not None and options.include_usage
        sent = None
        if fields.keys() <= target.fields and not (target.one_system and _has_late_system(request)):
            sent = target.body(
                body,
                bytes(fields["model"]),
                asks_for_usage=bool(request.stream) and not asks and target.streams_usage,
            )
        if sent is None or (request.stream and options is not None and not asks):
            ticket.done(Outcome.CANCELLED)
            admission.release()
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
    return all(
        each.role in ("system", "user", "assistant")
        and isinstance(each.content, str)
        and each.name is None
        and each.tool_calls is None
        and each.tool_call_id is None
        and each.refusal is None
        and each.reasoning_content is None
        for each in request.messages
    )


def _has_late_system(request: ChatRequest) -> bool:
    return any(each.role == "system" for each in request.messages[1:])


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
        if self.tap is None:
            return
        self._forget_waiting()
        self._first_at = self._last_at = time.perf_counter()
        self._ticket.first_byte()
        headers = [*_EVENTS, *self._headers()]
        self._client.begin(200, headers)

    def received(self, data: bytes) -> None:
        tap = self.tap
        if tap is None or self._refusal is not None:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > MOST_WHOLE_BYTES:
                self._give_back(Outcome.FAILED)
            return
        self._last_at = time.perf_counter()
        self._ticket.heard()
        data = tap.feed(data)
        if tap.is_done:
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
        is_whole = (tap.is_done or tap.finish is not None) and not tap.failed
        usage = tap.usage or Usage(self.prompt_tokens, tap.pieces)
        self._finish("ok" if is_whole else "error", usage, [tap.finish] if tap.finish else [])
        self._client.end(self._tail if is_whole or tap.failed else self._tail + _BROKEN_OFF)

    def failed(self, error: ModelUnavailable) -> None:
        self._upstream = None
        if self._client.has_begun:
            tap = self.tap
            assert tap is not None
            self.trace.error = error.code
            self._finish("error", tap.usage or Usage(0, tap.pieces), [], outcome_of(error), error)
            self._client.end(self._tail + _BROKEN_OFF)
            return
        self._give_back(outcome_of(error), error)

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
        self._give_back(Outcome.TIMED_OUT)

    # Inside.

    def _answer_whole(self) -> None:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        try:
            deltas = deltas_of_whole(body, self._plan.targets[self._deployment.key].site)
        except HeadraceError as error:
            self._give_back(outcome_of(error), error)
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
        error = backend.wire.error_of(head.status, head.headers, b"".join(self._pieces))
        if isinstance(error, ModelUnavailable):
            self._give_back(outcome_of(error), error)
            return
        self._forget_waiting()
        self.trace.error = error.code
        self._finish("error", Usage(), [], Outcome.REFUSED)
        self._client.respond(status_of(error), [_JSON, *self._headers()], error_body(error))

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
        error: ModelUnavailable | None = None,
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
            limits=deployment.backend.rate_limits,
            error="" if error is None else error.message,
        )
        self._model.saw_rtt(deployment.key, deployment.backend.rtt_s)
        deployment.runner.leases.give_back()
        self._admission.settle(usage.prompt_tokens + usage.completion_tokens, trace.cost_usd)
        self._admission.release()
        self._relay.platform.recorder.record(trace)

    def _give_back(self, outcome: Outcome, error: HeadraceError | None = None) -> None:
        """Nothing was sent yet: the ordinary way begins anew, under the same id."""
        self._abort_upstream()
        self._forget_waiting()
        self._ticket.done(
            outcome,
            retry_after_s=getattr(error, "retry_after_s", None),
            error="" if error is None else error.message,
        )
        self._deployment.runner.leases.give_back()
        self._admission.release()
        self._relay.platform.recorder.passed_on()
        self._client.turn_id = self.trace.id
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
