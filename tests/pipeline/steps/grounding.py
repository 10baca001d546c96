"""A pipeline that grounds and checks, over a knowledge base in memory and a backend with a script."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from headrace.access.principal import Principal
from headrace.knowledge.passage import Passage
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.models.cache.cache import AnswerCache
from headrace.pipeline.layers import AnyStep
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.steps.check import CheckSettings, CheckStep
from headrace.pipeline.steps.check.grounded import GroundedCheck, GroundedSettings
from headrace.pipeline.steps.check.judge import Judge
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.steps.ground import GroundSettings, GroundStep
from headrace.pipeline.steps.ground.known import Knower
from headrace.pipeline.steps.ground.lookup import KnowledgeSettings, Lookup
from headrace.pipeline.turn import Turn
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import Delta, Deltas, Message, Usage
from tests.models.scripted import ScriptedBackend, model_of

__all__ = ["ADA", "Books", "Model", "Rig", "asked", "heard", "passage"]

ADA = Principal("key-ada", "ada", "user")


def passage(name: str, text: str, *, uri: str = "book.md", **more: object) -> Passage:
    plain = Passage(
        id=name, uri=uri, title="Handbook", headings=("Leave",), page=None, start=0, end=len(text),
        text=text, score=0.9,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


@dataclass
class Books:
    """A knowledge base: the passages that share a word with the query, for whom they are."""

    passages: Sequence[Passage]
    version: str = "v1"
    queries: list[str] = field(default_factory=list)
    roles: AbstractSet[str] = frozenset()

    def close(self) -> None:
        pass

    async def search(
        self,
        query: str,
        *,
        limit: int,
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None = None,
    ) -> list[Passage]:
        self.queries.append(query)
        self.roles = roles
        words = set(re.findall(r"[a-z]{4,}|[\u3400-\u9fff]", query.lower()))
        return [
            each
            for each in self.passages
            if each.metadata.get("role", "user") in roles
            and all(each.metadata.get(name) == value for name, value in (filters or {}).items())
            and any(word in each.text.lower() for word in words)
        ][:limit]

    async def passage(
        self, name: str, uri: str, start: int, end: int, *, roles: AbstractSet[str]
    ) -> Passage | None:
        found = (each for each in self.passages if each.id == name)
        return next((p for p in found if p.metadata.get("role", "user") in roles), None)


class Model(ScriptedBackend):
    """Gives one answer after the other, in pieces of three characters, and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self.answers = list(answers)
        self.prompts: list[Sequence[Message]] = []

    def generate(self, call: Call) -> Deltas:
        self.prompts.append(call.messages)
        return self._say(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    async def _say(self, text: str) -> Deltas:
        for at in range(0, len(text), 3):
            yield Delta(text=text[at : at + 3])
        yield Delta(finish_reason="stop")
        yield Delta(usage=Usage(10, 5))

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.text()) // 4 for message in messages)


@dataclass
class Rig:
    """The pipeline with what it is made of."""

    pipeline: Pipeline
    books: Books
    model: Model
    traces: list[Trace]

    @classmethod
    def of(
        cls,
        books: Books | None,
        model: Model,
        *,
        knowledge: KnowledgeSettings | None = None,
        grounded: GroundedSettings | None = None,
        between: Sequence[AnyStep] = (),
        knower: Knower | None = None,
        cache: AnswerCache | None = None,
    ) -> "Rig":
        box = ModelBox({"m": model_of(model)}, {}, {})
        settings = GroundSettings(knowledge=knowledge or KnowledgeSettings())
        assert settings.knowledge is not None
        lookup = Lookup(settings.knowledge, books, box, knower)
        # No test of these has a conversation.
        ground = GroundStep(settings, box, None, lookup)  # type: ignore[arg-type]
        steps: list[object] = [ground, GenerateStep(GenerateSettings(), box, cache), *between]
        if grounded is not None:
            check = GroundedCheck(grounded, Judge(None, grounded.threshold))
            steps.append(CheckStep(CheckSettings(checks=[], grounded=grounded), check))
        traces: list[Trace] = []

        class Recorder:
            def started(self, trace: Trace) -> None:
                pass

            def record(self, trace: Trace) -> None:
                traces.append(trace)

            def escalate(self, trace: Trace, entry: Escalation) -> None:
                raise AssertionError

        async def unlock(subject: str) -> None:
            return

        pipeline = Pipeline(steps, box, release="r", recorder=Recorder(), unlock=unlock)  # type: ignore[arg-type]  # their own Settings
        return cls(pipeline, books or Books([]), model, traces)


def asked(*texts: str, language: str | None = "en", stream: bool = True) -> Turn:
    """A turn; of several texts every other one is the assistant's."""
    roles = ("user", "assistant") * len(texts)
    return Turn(
        principal=ADA,
        messages=[
            Message(role=role, content=text)  # type: ignore[arg-type]
            for role, text in zip(roles, texts, strict=False)
        ],
        language=language,
        stream=stream,
    )


async def heard(rig: Rig, turn: Turn) -> list[Delta]:
    return [delta async for delta in rig.pipeline.answer(turn)]
