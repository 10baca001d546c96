"""Copies of turns for a release in the shadow: who gets one, and how many run at once."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from headrace.access.principal import Principal
from headrace.errors import UnknownModel
from headrace.models.box import ModelBox
from headrace.models.tuned import Tuned
from headrace.pipeline.layers import AnyStep
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.shadow import MOST, Shadow
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.turn import Turn
from headrace.telemetry.tally import Counts
from headrace.types import Delta, Deltas, Message
from tests.models.scripted import ScriptedBackend, model_of
from tests.pipeline.test_pipeline import Kept

BOB, ALICE = (Principal(key_id=each, name=each, role="user") for each in ("bob", "alice"))


class Rig:
    """A pipeline whose answers wait until they are let go."""

    def __init__(self, owner: str = "") -> None:
        self.let_go = asyncio.Event()
        self.kept = Kept()
        self.skipped = Counts("skipped", "", ("reason",))

        async def said() -> Deltas:
            await self.let_go.wait()
            yield Delta(text="Fine.")
            yield Delta(finish_reason="stop")

        model = model_of(ScriptedBackend(said))
        if owner:
            model.owner = Tuned(name="m", base="b", digest="d", created_at=0.0, key_id=owner)
        models = ModelBox({"m": model}, {}, {})
        steps: list[AnyStep] = [GenerateStep(GenerateSettings(), models)]  # type: ignore[list-item]
        self.pipeline = Pipeline(steps, models, release="r", recorder=self.kept, unlock=_unlock)
        self.shadow = Shadow(self.pipeline, self.skipped)

    def end(self, principal: Principal) -> None:
        """A turn of theirs ends, and its copy begins."""
        turn = Turn(principal=principal, messages=[Message(role="user", content="Hi")])
        self.shadow.follow(turn)
        assert turn.then is not None
        turn.then()

    def counted(self) -> dict[str, float]:
        samples = self.skipped.family().samples
        return {each.labels["reason"]: each.value for each in samples}


async def _unlock(subject: str) -> None:
    return


async def _until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_who_may_not_ask_its_model_gets_no_copy() -> None:
    rig = Rig(owner="alice")
    rig.let_go.set()
    rig.end(BOB)
    rig.end(ALICE)
    await _until(lambda: len(rig.kept.traces) == 1)
    assert [(each.key_id, each.error) for each in rig.kept.traces] == [("alice", None)]
    assert rig.counted() == {"closed": 1}


async def test_a_copy_is_refused_what_its_key_may_not_ask() -> None:
    rig = Rig(owner="alice")
    copy = Turn(
        principal=BOB, messages=[Message(role="user", content="Hi")], model="m", is_shadow=True
    )
    rig.let_go.set()
    said: list[Delta] = []
    with pytest.raises(UnknownModel):
        async with aclosing(rig.pipeline.answer(copy)) as deltas:
            said += [each async for each in deltas]
    assert said == []
    assert rig.kept.traces[-1].error == "model_not_found"


async def test_no_more_copies_run_at_once_than_may_and_the_rest_is_counted() -> None:
    rig = Rig()
    for _ in range(MOST + 3):
        rig.end(BOB)
    await _until(lambda: len(rig.kept.begun) == MOST)
    assert rig.counted() == {"busy": 3}
    rig.let_go.set()
    await _until(lambda: len(rig.kept.traces) == MOST)
    assert len(rig.kept.begun) == MOST
