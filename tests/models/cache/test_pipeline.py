"""The cache within a pipeline: what it gives is screened as a fresh answer, and costs nothing."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from headrace.access.principal import Principal
from headrace.errors import PolicyBlocked
from headrace.models.box import ModelBox
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.settings import CacheSettings
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.step import Settings, Step
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.steps.screen import ScreenSettings, ScreenStep
from headrace.pipeline.turn import Turn
from headrace.screening.policy import PolicyLibrary
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import Delta, Deltas, Message, Params, Usage
from tests.models.cache.conftest import ADA, BOB, Held
from tests.models.scripted import ScriptedBackend, model_of

POLICY = """\
both: {email: mask}
output: {term.secret: block}
terms: {secret: [Rosebud]}
"""


class Traces:
    """Where a pipeline's traces go."""

    def __init__(self) -> None:
        self.ended: list[Trace] = []

    def started(self, trace: Trace) -> None:
        pass

    def record(self, trace: Trace) -> None:
        self.ended.append(trace)

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        raise AssertionError


class Service:
    """A pipeline that masks, asks, and screens, with a cache."""

    def __init__(
        self,
        root: Path,
        backend: ScriptedBackend,
        *,
        release: str = "sha256:1",
        policy: str = POLICY,
    ) -> None:
        (root / "policies").mkdir(exist_ok=True)
        (root / "policies" / "own.yaml").write_text(policy)
        own = PolicyLibrary.load(root, {}).get("own")
        self.cache = AnswerCache(CacheSettings())
        self.traces = Traces()
        models = ModelBox({"m": model_of(backend)}, {}, {})
        settings = ScreenSettings(policy="own")
        steps: list[Step[Settings]] = [
            ScreenStep(settings, own, side="input", restores=False),  # type: ignore[list-item]
            GenerateStep(GenerateSettings(), models, self.cache),  # type: ignore[list-item]
            ScreenStep(settings, own, side="output", restores=True),  # type: ignore[list-item]
        ]
        self.pipeline = Pipeline(
            steps, models, release=release, recorder=self.traces, unlock=self.unlock
        )

    async def unlock(self, subject: str) -> None:
        pass

    async def ask(
        self, text: str, *, principal: Principal = ADA, subject: str = "", control: str = ""
    ) -> Turn:
        turn = Turn(
            principal=principal,
            messages=[Message(role="user", content=text)],
            params=Params(temperature=0.0),
            stream=True,
            subject=subject,
            cache_control=control,
        )
        async with aclosing(self.pipeline.answer(turn)) as deltas:
            async for _ in deltas:
                pass
        return turn

    def said(self, turn: Turn) -> dict[str, object]:
        (span,) = [each for each in turn.trace.spans if each.name == "generate"]
        return {
            name.removeprefix("headrace.cache."): value
            for name, value in span.attributes.items()
            if name.startswith("headrace.cache.")
        }


async def echoes() -> Deltas:
    yield Delta(text="I wrote to <EMA")
    yield Delta(text="IL_1>.")
    yield Delta(finish_reason="stop")
    yield Delta(usage=Usage(prompt_tokens=7, completion_tokens=5, cached_tokens=3))


async def blurts() -> Deltas:
    yield Delta(text="It is Rosebud.")
    yield Delta(finish_reason="stop")


async def test_a_kept_answer_gets_back_what_this_turn_has_masked(tmp_path: Path) -> None:
    backend = ScriptedBackend(echoes)
    service = Service(tmp_path, backend)
    first = await service.ask("Write to ada@example.org")
    second = await service.ask("Write to bob@example.org")
    assert first.choices[0].text == "I wrote to ada@example.org."
    assert second.choices[0].text == "I wrote to bob@example.org."
    assert backend.calls == 1
    assert service.said(first) == {"result": "miss"}
    assert service.said(second)["result"] == "hit"


async def test_a_kept_answer_has_its_usage_and_costs_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path, ScriptedBackend(echoes))
    await service.ask("Hello")
    await service.ask("Hello")
    fresh, kept = service.traces.ended
    for trace in (fresh, kept):
        assert (trace.prompt_tokens, trace.completion_tokens, trace.cached_tokens) == (7, 5, 3)
        assert (trace.provider, trace.status, trace.finish_reason) == ("scripted", "ok", "stop")
        assert trace.ttft_s is not None
    assert (fresh.deployment, kept.deployment) == ("m-0", "")
    assert kept.cost_usd == 0.0


async def test_subjects_and_keys_are_apart_and_no_store_holds(tmp_path: Path) -> None:
    backend = ScriptedBackend(echoes)
    service = Service(tmp_path, backend)
    await service.ask("Hello", control="no-store")
    for principal, subject in ((ADA, ""), (ADA, "patient-1"), (ADA, "patient-2"), (BOB, "")):
        for expected in ("miss", "hit"):
            turn = await service.ask("Hello", principal=principal, subject=subject)
            assert service.said(turn)["result"] == expected
    assert backend.calls == 5


async def test_what_a_policy_stopped_is_not_kept(tmp_path: Path) -> None:
    service = Service(tmp_path, ScriptedBackend(blurts))
    for _ in range(2):
        turn = await service.ask("What did he say?")
        assert turn.blocked
        assert service.said(turn)["result"] == "miss"
    assert service.cache.entries == 0


async def test_a_shared_answer_is_screened_for_each_and_paid_for_once(tmp_path: Path) -> None:
    held = Held()
    backend = ScriptedBackend(held)
    service = Service(tmp_path, backend)
    asking = [asyncio.create_task(service.ask("Hello")) for _ in range(5)]
    held.let()
    turns = await asyncio.gather(*asking)
    assert {turn.choices[0].text for turn in turns} == {"The answer is 42."}
    assert backend.calls == 1
    assert [turn.trace.deployment for turn in turns] == ["m-0", "", "", "", ""]
    assert service.said(turns[1]) == {"result": "miss", "coalesced": True}


async def test_another_release_asks_anew(tmp_path: Path) -> None:
    backend = ScriptedBackend(echoes)
    before, after = (Service(tmp_path, backend, release=name) for name in ("sha256:1", "sha256:2"))
    await before.ask("Hello")
    cache = before.cache
    for step in after.pipeline.steps:
        if isinstance(step, GenerateStep):
            step._cache = cache
    turn = await after.ask("Hello")
    assert after.said(turn)["result"] == "miss"
    assert cache.entries == 2


async def test_a_policy_may_forbid_that_answers_are_kept(tmp_path: Path) -> None:
    backend = ScriptedBackend(echoes)
    service = Service(tmp_path, backend, policy=POLICY + "cache: false\n")
    for _ in range(2):
        turn = await service.ask("Hello")
        assert service.said(turn) == {"result": "bypass", "reason": "no-store"}
    assert backend.calls == 2
    (tmp_path / "policies" / "child.yaml").write_text("extends: own\n")
    assert not PolicyLibrary.load(tmp_path, {}).get("child").caches


async def test_a_prompt_that_a_policy_refuses_reaches_no_cache(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    service = Service(tmp_path, ScriptedBackend(echoes))
    (screen, *_) = service.pipeline.steps
    assert isinstance(screen, ScreenStep)
    (tmp_path / "policies" / "strict.yaml").write_text("input: {email: block}\n")
    strict = PolicyLibrary.load(tmp_path, {}).get("strict")
    screen._policy = strict
    with pytest.raises(PolicyBlocked):
        await service.ask("Write to ada@example.org")
    assert sum(service.cache.requests.values()) == 0
