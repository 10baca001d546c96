"""A pipeline with screens on both sides over a backend that says what the test wants."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from headrace.access.principal import Principal, RoleName
from headrace.errors import PolicyBlocked
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.pipeline.layers import AnyStep
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.steps.screen import ScreenSettings, ScreenStep
from headrace.pipeline.steps.screen.kit import Kit
from headrace.pipeline.turn import Turn
from headrace.screening.assembly import CostlyUse
from headrace.screening.finding import CostlyDetector, Detector, Side
from headrace.screening.policy import Policy, PolicyLibrary
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import Delta, Deltas, Message, Usage
from tests.models.scripted import ScriptedBackend, model_of

ALICE = Principal(key_id="alice", name="alice", role="user")


@dataclass
class Kept:
    """A recorder that keeps what it is given."""

    traces: list[Trace] = field(default_factory=list)
    escalated: list[Escalation] = field(default_factory=list)

    def started(self, trace: Trace) -> None: ...

    def record(self, trace: Trace) -> None:
        self.traces.append(trace)

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        self.escalated.append(entry)


class Saying(ScriptedBackend):
    """Says what it is told, piece by piece; keeps what it was asked."""

    def __init__(self, answer: Callable[[Call], Sequence[str]]) -> None:
        self.asked: list[list[Message]] = []

        async def said() -> Deltas:
            yield Delta()  # never iterated: `generate` is our own

        super().__init__(said)
        self._answer = answer

    def say(self, answer: Callable[[Call], Sequence[str]]) -> None:
        """Say something else from now on."""
        self._answer = answer

    def generate(self, call: Call) -> Deltas:
        return self._deltas(call)

    async def _deltas(self, call: Call) -> Deltas:
        self.asked.append(list(call.messages))
        for piece in self._answer(call):
            yield Delta(text=piece)
        yield Delta(finish_reason="stop")
        yield Delta(usage=Usage(1, 1))


def policy_of(
    folder: Path, text: str, *costly: CostlyDetector | Detector, in_doubt: bool = False
) -> Policy:
    """The policy that a file says, with costly detectors as if they were installed."""
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "own.yaml").write_text(text, "utf-8")
    policy = PolicyLibrary.load(folder, {}).get("own")
    uses = tuple(CostlyUse(each, in_doubt=in_doubt) for each in costly)
    return replace(policy, costly=(*policy.costly, *uses))


class Service:
    """Screens of one policy around a model."""

    def __init__(
        self,
        policy: Policy,
        answer: Callable[[Call], Sequence[str]] = lambda _: ["Fine", "."],
        *,
        home: Path | None = None,
        canary: bool = False,
    ) -> None:
        self.kept = Kept()
        self.backend = Saying(answer)
        models = ModelBox({"m": model_of(self.backend)}, {}, {})
        self.kit = Kit(models=models)
        if home is not None:
            self.kit.confirmations.open(home)

        def screen(side: Side) -> ScreenStep:
            return ScreenStep(
                ScreenSettings(policy=policy.name, canary=canary),
                policy,
                side=side,
                restores=side == "output",
                kit=self.kit,
            )

        steps = [screen("input"), GenerateStep(GenerateSettings(), models), screen("output")]
        typed: Sequence[AnyStep] = steps  # type: ignore[assignment]  # each has its own Settings
        self.pipeline = Pipeline(typed, models, release="r", recorder=self.kept, unlock=_unlock)

    @property
    def trace(self) -> Trace:
        """Of the last turn."""
        return self.kept.traces[-1]

    @property
    def noted(self) -> list[tuple[object, ...]]:
        """What the last trace says was found."""
        return [
            (each["kind"], each["action"], *([each["note"]] if "note" in each else []))
            for each in self.trace.findings
        ]

    async def say(
        self,
        text: str | Sequence[Message],
        *,
        confirm: str = "",
        role: RoleName = "user",
        language: str | None = None,
        key: str = "alice",
    ) -> str:
        """The answer as the user reads it; raises what refuses the turn."""
        messages = [Message(role="user", content=text)] if isinstance(text, str) else list(text)
        turn = Turn(
            principal=Principal(key_id=key, name=key, role=role),
            messages=messages,
            language=language,
            stream=True,
            metadata={"confirm": confirm} if confirm else {},
        )
        async with aclosing(self.pipeline.answer(turn)) as deltas:
            return "".join([delta.text async for delta in deltas])

    async def refused(self, text: str | Sequence[Message], **how: str) -> PolicyBlocked:
        """Why the turn was refused."""
        try:
            said = await self.say(text, **how)  # type: ignore[arg-type]  # as `say` takes them
        except PolicyBlocked as error:
            return error
        raise AssertionError(f"it was answered: {said}")


async def _unlock(subject: str) -> None:
    return
