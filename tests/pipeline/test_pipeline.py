"""A turn through the pipeline over a backend that does as the test says: what the client hears,
and what the trace says, however the turn ends."""

from collections.abc import Callable, Sequence
from contextlib import aclosing

import pytest

from headrace.access.principal import Principal
from headrace.errors import ModelUnavailable, PolicyBlocked
from headrace.models.box import ModelBox
from headrace.pipeline.layers import AnyStep
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.step import Channel, Settings, Step, TextFilter
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.turn import Turn
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import (
    Delta,
    Deltas,
    FinishReason,
    FunctionDelta,
    Message,
    Params,
    ToolCallDelta,
    Usage,
)
from tests.models.scripted import Script, ScriptedBackend, model_of


class Kept:
    """A recorder that keeps what it is given."""

    def __init__(self) -> None:
        self.begun: list[Trace] = []
        self.traces: list[Trace] = []
        self.escalated: list[Escalation] = []

    def started(self, trace: Trace) -> None:
        self.begun.append(trace)

    def record(self, trace: Trace) -> None:
        self.traces.append(trace)

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        self.escalated.append(entry)


class Blocking(Step[Settings]):
    """Blocks the answer at the word "weird"; says nothing of reasoning."""

    name = "blocking"

    def filter(self, turn: Turn, channel: Channel, index: int) -> TextFilter | None:
        return _Blocking()


class _Blocking:
    def push(self, text: str) -> str:
        if "weird" in text:
            raise PolicyBlocked("no weird things")
        return text

    def finish(self, reason: FinishReason | None) -> str:
        return ""


class Forgetful(Step[Settings]):
    """A step of someone's own that does not close what it reads."""

    name = "forgetful"

    def __init__(self) -> None:
        super().__init__(Settings())
        self.kept: list[Deltas] = []

    async def transform(self, turn: Turn, deltas: Deltas) -> Deltas:
        self.kept.append(deltas)
        async for delta in deltas:
            yield delta


def script(
    *deltas: Delta, then: Exception | None = None, closed: list[str] | None = None
) -> Script:
    async def said() -> Deltas:
        try:
            for delta in deltas:
                yield delta
            if then is not None:
                raise then
        finally:
            if closed is not None:
                closed.append("closed")

    return said


def pipeline_of(said: Script, *after: AnyStep) -> tuple[Pipeline, Kept]:
    models = ModelBox({"m": model_of(ScriptedBackend(said))}, {}, {})
    kept = Kept()

    async def unlock(subject: str) -> None:
        return

    generate = GenerateStep(GenerateSettings(), models)
    steps: Sequence[AnyStep] = [generate, *after]  # type: ignore[list-item]  # its own Settings
    return Pipeline(steps, models, release="r", recorder=kept, unlock=unlock), kept


def turn_of(*, stream: bool = True, n: int | None = None) -> Turn:
    return Turn(
        principal=Principal(key_id="k", name="n", role="user"),
        messages=[Message(role="user", content="Hi")],
        params=Params(n=n),
        stream=stream,
    )


async def heard(
    pipeline: Pipeline, turn: Turn, until: Callable[[Delta], bool] = lambda _: False
) -> list[Delta]:
    """What the client got, who leaves once it has got a delta `until` which it waited."""
    got: list[Delta] = []
    async with aclosing(pipeline.answer(turn)) as deltas:
        async for delta in deltas:
            got.append(delta)
            if until(delta):
                break
    return got


HELLO, STOP = Delta(text="Hello"), Delta(finish_reason="stop")
USAGE = Usage(3, 1)


async def test_a_client_that_has_its_whole_answer_and_leaves_has_not_cancelled() -> None:
    pipeline, kept = pipeline_of(script(HELLO, STOP, Delta(usage=USAGE)))
    await heard(pipeline, turn_of(), lambda delta: delta.finish_reason is not None)
    assert [(each.status, each.finish_reason) for each in kept.traces] == [("ok", "stop")]


async def test_a_client_that_leaves_before_the_last_choice_has_ended_has_cancelled() -> None:
    pipeline, kept = pipeline_of(script(HELLO, STOP, Delta(index=1, text="Hi")))
    await heard(pipeline, turn_of(n=2), lambda delta: delta.finish_reason is not None)
    assert [each.status for each in kept.traces] == ["cancelled"]


async def test_a_blocked_answer_has_its_usage_too() -> None:
    pipeline, kept = pipeline_of(script(HELLO, Delta(text="weird"), HELLO), Blocking(Settings()))
    got = await heard(pipeline, turn_of())
    assert [each.finish_reason for each in got if each.finish_reason] == ["content_filter"]
    assert got[-1].usage == Usage(0, 2)
    assert [(each.status, each.completion_tokens) for each in kept.traces] == [("blocked", 2)]


async def test_the_usage_is_said_once() -> None:
    pipeline, _ = pipeline_of(script(HELLO, STOP, Delta(usage=USAGE)))
    got = await heard(pipeline, turn_of())
    assert [each.usage for each in got if each.usage] == [USAGE]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_that_breaks_off_behind_its_answer_has_answered(*, stream: bool) -> None:
    pipeline, kept = pipeline_of(script(HELLO, STOP, then=ModelUnavailable("gone")))
    turn = turn_of(stream=stream)
    got = await heard(pipeline, turn)
    assert [each.text for each in got if each.text] == ["Hello"]
    assert got[-1].usage == Usage(0, 1)
    assert [each.status for each in kept.traces] == ["ok"]


async def test_the_model_is_let_go_though_a_step_forgets_to_close_it() -> None:
    closed: list[str] = []
    step = Forgetful()
    pipeline, kept = pipeline_of(script(HELLO, HELLO, STOP, closed=closed), step)
    await heard(pipeline, turn_of(), lambda delta: bool(delta.text))
    assert closed == ["closed"]
    assert [each.completion_tokens for each in kept.traces] == [1]


@pytest.mark.timeout(20)
async def test_long_arguments_are_gathered_in_linear_time() -> None:
    piece = Delta(tool_calls=[ToolCallDelta(0, function=FunctionDelta(arguments="abcdefgh"))])
    pipeline, _ = pipeline_of(script(*[piece] * 100_000, Delta(finish_reason="tool_calls")))
    turn = turn_of()
    await heard(pipeline, turn)
    assert len(turn.choices[0].tool_calls[0].function.arguments) == 800_000
