"""The prompt's journey: one turn through the compiled steps, and its trace.

Read `answer` first: prepare, generate, transform, record.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Protocol

import msgspec

from headrace.access.limits.config import Limits
from headrace.access.limits.limiter import Limiter, MemoryLimiter
from headrace.errors import HeadraceError, ModelUnavailable, PolicyBlocked
from headrace.models.box import ModelBox
from headrace.models.model import Target
from headrace.pipeline.admit import admit_turn, check_open
from headrace.pipeline.again import AskAgain, Spent
from headrace.pipeline.answer import AnswerGatherer
from headrace.pipeline.citation import cited, marked
from headrace.pipeline.layers import AnyStep, layers_of
from headrace.pipeline.step import Step
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.tools.rounds import Rounds
from headrace.pipeline.turn import Turn
from headrace.screening.finding import Finding
from headrace.screening.registry import detector_version
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.semconv import guardrail_attributes
from headrace.telemetry.trace import AttributeValue, Span, Trace, TraceStatus
from headrace.types import Delta, Deltas

__all__ = ["Pipeline", "Recorder", "Unlock"]

_log = logging.getLogger(__name__)


class Recorder(Protocol):
    """Where traces go. Every call is a memory copy; none waits."""

    def started(self, trace: Trace) -> None: ...

    def record(self, trace: Trace) -> None: ...

    def escalate(self, trace: Trace, entry: Escalation) -> None: ...


class Unlock(Protocol):
    """Makes a subject's key available, so that texts can be sealed without waiting."""

    async def __call__(self, subject: str) -> None: ...


class Pipeline:
    """The compiled steps of one service. Immutable; serves any number of turns at once."""

    def __init__(
        self,
        steps: Sequence[AnyStep],
        models: ModelBox,
        *,
        release: str,
        recorder: Recorder,
        unlock: Unlock,
        limiter: Limiter | None = None,
    ) -> None:
        """
        Args:
            limiter: lets turns in; None: nothing is limited.
        """
        self.release = release
        self.steps = tuple(steps)
        self._models = models
        self._recorder = recorder
        self._unlock = unlock
        self._limiter = limiter or MemoryLimiter(Limits())
        at = next(i for i, step in enumerate(self.steps) if isinstance(step, GenerateStep))
        generate = self.steps[at]
        assert isinstance(generate, GenerateStep)
        self._generate = generate
        self._before = self.steps[:at]
        self._after = self.steps[at + 1 :]
        self.is_bare = len(self.steps) == 1 and generate.settings == GenerateSettings()
        """Whether a request goes to its model, and the answer back, as they are."""
        self._layers = layers_of((*reversed(self._before), *self._after))
        self._choosing = [each for each in self._before if _chooses(each)]
        self._ending = [step for step in self.steps if type(step).ended is not Step.ended]
        for step in self.steps:
            step.compiled(self.answer)

    async def answer(self, turn: Turn) -> Deltas:
        """Answer one turn, piece by piece.

        The caller iterates under `contextlib.aclosing`, so a client that hangs up ends this
        function at `yield`: the upstream stream closes, its slot is freed, the trace is kept.
        The trace is recorded before the last delta's successor is asked for, so a client that
        has seen the end of its answer finds the trace after any crash.

        Raises:
            HeadraceError: the turn was refused or failed; deltas already given stay valid.

        For a turn that is not streamed, `turn.choices` is the answer: the deltas are what was
        tried, and hold two beginnings when the model broke off in the first.
        """
        trace = self._begin(turn)
        gathered = AnswerGatherer(turn)
        status: TraceStatus = "cancelled"
        try:
            target = self._target(turn)
            turn.model = trace.model = target.name
            if turn.is_shadow:
                check_open(target, turn.principal)
            else:
                turn.admission = await admit_turn(self._limiter, turn, target)
            await self._unlock(turn.subject)
            await self._prepare(turn)
            busy_s = [0.0] * len(self._layers.filters)
            with trace.span("generate", kind="client") as span:
                async with aclosing(self._generated(turn, gathered, span, busy_s)) as deltas:
                    async for delta in deltas:
                        yield delta
                for delta in gathered.close("stop" if turn.stop_generation else None):
                    yield delta
            self._observe(turn, span)
            await self._complete(turn, gathered, span, busy_s)
            status = "blocked" if turn.blocked is not None else "ok"
        except PolicyBlocked as error:
            status, trace.error = "blocked", error.code
            raise
        except HeadraceError as error:
            status, trace.error = "error", error.code
            raise
        except Exception as error:
            status, trace.error = "error", type(error).__name__
            raise
        finally:
            self._end(turn, gathered, status)

    def _target(self, turn: Turn) -> Target:
        """What the request names; else what a step finds fit, else what the pipeline names."""
        if turn.model is not None:
            return self._models.get(turn.model)
        default = self._models.get(self._generate.settings.model)
        for step in self._choosing:
            if name := step.model_for(turn, default.name):
                return self._models.get(name)
        return default

    def is_open_to(self, turn: Turn) -> bool:
        """Whether what would answer the turn is for whoever asks; what does not exist is for all."""
        try:
            return self._target(turn).is_open_to(turn.principal)
        except HeadraceError:
            return True

    async def rehearse(self, turn: Turn) -> None:
        """Prepare a turn as `answer` does, and ask nobody: `turn.messages` is what a model would get.

        Nothing is recorded, remembered or counted.

        Raises:
            HeadraceError: the turn would be refused.
        """
        turn.received = list(turn.messages)
        turn.subject = turn.subject or turn.principal.key_id
        turn.model = self._target(turn).name
        await self._unlock(turn.subject)
        await self._prepare(turn)

    def _begin(self, turn: Turn) -> Trace:
        trace = turn.trace
        turn.received = list(turn.messages)
        turn.subject = turn.subject or turn.principal.key_id
        trace.key_id = turn.principal.key_id
        trace.subject = turn.subject
        trace.conversation = turn.conversation
        trace.operation = "chat" if turn.kind == "chat" else "text_completion"
        if turn.is_shadow:
            trace.operation, trace.conversation = "shadow", None
        trace.release = self.release
        trace.stream = turn.stream
        trace.model = turn.model or ""
        self._recorder.started(trace)
        return trace

    async def _generated(
        self, turn: Turn, gathered: AnswerGatherer, span: Span, busy_s: list[float]
    ) -> Deltas:
        """The model's answer through all filters.

        Of an answer that is not streamed, nothing reaches the client before it is whole. So when
        its model breaks off in the middle, it begins anew, once. It also begins anew when a step
        has held the answer back and asks again.
        """
        before, spent = _Snapshot(turn), Spent()
        rounds = self._generate.rounds(turn, self._before)
        try:
            while True:
                try:
                    async with aclosing(self._once(turn, span, busy_s, rounds)) as deltas:
                        async for delta in deltas:
                            gathered.add(delta)
                            if delta.usage is not None:
                                delta = Delta(usage=spent.with_usage(delta.usage))
                            yield delta
                            if turn.stop_generation:
                                return
                except ModelUnavailable:
                    if gathered.is_whole():
                        return  # All was said; only the usage did not come.
                    if turn.stream or gathered.first_s is None or before.is_restored:
                        raise
                    before.restore()
                except AskAgain as again:
                    spent.take(turn)
                    before.restore()
                    turn.messages = again.messages
                    turn.state.update(again.state)
                    turn.findings += again.findings
                    before = _Snapshot(turn)
                else:
                    return
                gathered.begin_anew()
                busy_s[:] = [0.0] * len(busy_s)
        finally:
            spent.settle(turn)

    async def _once(
        self, turn: Turn, span: Span, busy_s: list[float], rounds: Rounds | None
    ) -> Deltas:
        """One answer of the model through all filters."""
        if rounds is None:
            model = self._generate.deltas(turn, span)
        else:
            model = marked(turn, rounds.deltas(span), lambda _: None)
        deltas = self._layers.over(turn, model, busy_s)
        if turn.passages or rounds is not None:
            # Behind all steps: the spans are those of what the user gets.
            deltas = cited(turn, deltas)
        # The model apart, because a step of someone's own may forget to close it.
        async with aclosing(model), aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def _prepare(self, turn: Turn) -> None:
        for step in self._before:
            with turn.trace.span(step.name) as span:
                try:
                    await step.prepare(turn)
                finally:
                    _describe(turn, step, span, side="input")
            self._observe(turn, span)

    async def _complete(
        self, turn: Turn, gathered: AnswerGatherer, generate: Span, busy_s: list[float]
    ) -> None:
        turn.choices = gathered.choices()
        for step in self.steps:
            if type(step).complete is Step.complete and step not in self._after:
                continue
            began = time.perf_counter()
            await step.complete(turn)
            own_s = time.perf_counter() - began
            if step not in self._after:
                continue
            span = Span(
                name=step.name,
                start_s=generate.start_s + (gathered.first_s or generate.duration_s),
                duration_s=own_s + self._layers.busy_of(step, busy_s),
            )
            _describe(turn, step, span, side="output")
            turn.trace.spans.append(span)
            self._observe(turn, span)

    def _end(self, turn: Turn, gathered: AnswerGatherer, status: TraceStatus) -> None:
        trace = turn.trace
        if status == "cancelled" and gathered.is_whole():
            # The client read all of its answer and left without waiting for our goodbye.
            status = "blocked" if turn.blocked is not None else "ok"
        trace.status = status
        trace.duration_s = trace.elapsed_s()
        trace.language = turn.language or ""
        gathered.describe(trace)
        turn.admission.settle(trace.prompt_tokens + trace.completion_tokens, trace.cost_usd)
        turn.admission.release()
        turn.choices = turn.choices or gathered.choices()
        for step in self._ending:
            try:
                step.ended(turn)
            except Exception:  # noqa: BLE001 - the trace must be kept whatever a step does
                _log.exception("the step %s failed at the end of turn %s", step.name, turn.id)
        trace.findings = [_recorded(each) for each in turn.findings]
        trace.input = msgspec.json.encode([*turn.received, *turn.consulted]).decode()
        trace.output = msgspec.json.encode(turn.choices).decode()
        self._recorder.record(trace)
        for entry in () if turn.is_shadow else turn.escalations:
            self._recorder.escalate(trace, entry)
        if turn.then is not None and status == "ok":
            turn.then()

    @staticmethod
    def _observe(turn: Turn, span: Span) -> None:
        if turn.observe is not None:
            turn.observe(span)


def _recorded(finding: Finding) -> dict[str, AttributeValue]:
    """A finding as the trace keeps it: everything but the text."""
    recorded: dict[str, AttributeValue] = {
        "kind": finding.kind,
        "detector": finding.detector,
        "version": detector_version(finding.detector),
        "side": finding.side,
        "action": finding.action,
        "score": finding.score,
        "start": finding.start,
        "end": finding.end,
    }
    if finding.note:
        recorded["note"] = finding.note
    return recorded


def _chooses(step: AnyStep) -> bool:
    return type(step).model_for is not Step.model_for


class _Snapshot:
    """What filters may have changed in a turn, as it was before them."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._findings = len(turn.findings)
        self._escalations = len(turn.escalations)
        self._state = _copied(turn.state)
        self.is_restored = False

    def restore(self) -> None:
        turn = self._turn
        del turn.findings[self._findings :]
        del turn.escalations[self._escalations :]
        turn.state = _copied(self._state)
        turn.stop_generation = False
        turn.blocked = None
        self.is_restored = True


def _copied(state: dict[str, object]) -> dict[str, object]:
    return {name: dict(said) if isinstance(said, dict) else said for name, said in state.items()}


def _describe(turn: Turn, step: AnyStep, span: Span, *, side: str) -> None:
    """What the step said about this turn, on its span."""
    said = turn.state.get(step.name)
    if isinstance(said, dict):
        for name, value in said.items():
            if isinstance(value, str | int | float | bool):
                span.attributes[f"headrace.{step.name}.{name}"] = value
    if step.name == "screen":
        found = [each for each in turn.findings if each.side == side]
        span.attributes.update(guardrail_attributes(side, found))
