"""A model whose calls a test can count and hold, and questions to ask it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from headrace.access.principal import Principal
from headrace.models.backend import Call, Embeddings
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.question import Embed, Question
from headrace.models.cache.settings import CacheSettings
from headrace.models.cache.source import Source
from headrace.models.deployment import Deployment
from headrace.models.model import Target
from headrace.types import Delta, Deltas, Message, Params, Usage
from tests.access.limits.shared.conftest import (  # noqa: F401 - fixtures
    has_redis,
    own_redis,
    redis_server,
    shared_redis,
)
from tests.models.scripted import ScriptedBackend, model_of

ADA = Principal("key-ada", "ada", "user", "research")
BOB = Principal("key-bob", "bob", "user", "research")
EVE = Principal("key-eve", "eve", "user", "sales")
EPOCH = 1_795_554_333.0
WORDS = ("The ", "answer ", "is ", "42.")
USAGE = Usage(prompt_tokens=9, completion_tokens=4, cached_tokens=2)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> float:
        return self.now


@dataclass
class Heard:
    """What somebody got who asked."""

    source: Source
    deltas: list[Delta] = field(default_factory=list)

    @property
    def result(self) -> str:
        return self.source.result

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.deltas)


def question(
    model: Target,
    text: str = "What is it?",
    *,
    before: Sequence[Message] = (),
    params: Params | None = None,
    stream: bool = True,
    embed: Embed | None = None,
    principal: Principal = ADA,
    release: str = "sha256:1",
    target: str = "m",
    subject: str = "",
    in_conversation: bool = False,
    is_masked: bool = False,
    control: str = "",
) -> Question:
    call = Call(
        [*before, Message(role="user", content=text)],
        Params(temperature=0.0) if params is None else params,
        stream=stream,
    )
    return Question(
        call=call,
        target=target,
        release=release,
        principal=principal,
        subject=subject,
        in_conversation=in_conversation,
        is_masked=is_masked,
        control=control,
        ask=lambda: model.ask(call),
        call_for=lambda _: call,
        embed=embed,
    )


async def listen(cache: AnswerCache, asked: Question) -> Heard:
    """Ask, and listen to the end."""
    async with cache.open(asked) as source:
        return Heard(source, [delta async for delta in source.deltas])


async def speaks() -> Deltas:
    """A whole answer, in pieces."""
    for word in WORDS:
        yield Delta(text=word)
    yield Delta(finish_reason="stop")
    yield Delta(usage=USAGE)


class Held:
    """An answer that comes as far as the test lets it."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self._steps = asyncio.Semaphore(0)

    def let(self, pieces: int = 100) -> None:
        for _ in range(pieces):
            self._steps.release()

    async def __call__(self) -> Deltas:
        self.begun += 1
        try:
            async for delta in speaks():
                await self._steps.acquire()
                yield delta
        finally:
            self.ended += 1


def vectors(known: dict[str, Sequence[float]]) -> Embed:
    """Embeddings by hand."""
    deployment: Deployment = model_of(ScriptedBackend(speaks)).deployments[0]

    async def embed(model: str, text: str) -> tuple[Embeddings, Deployment]:
        del model
        return Embeddings([list(known[text])], Usage(prompt_tokens=1)), deployment

    return embed


class MakeCache(Protocol):
    def __call__(self, **settings: object) -> AnswerCache: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make_cache(clock: Clock) -> AsyncIterator[MakeCache]:
    """Caches that have no call under way when the test has ended."""
    made: list[AnswerCache] = []

    def make(**settings: object) -> AnswerCache:
        cache = AnswerCache(CacheSettings(**settings), clock=clock)  # type: ignore[arg-type]
        made.append(cache)
        return cache

    yield make
    for cache in made:
        assert cache.flights == 0
        await cache.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the test's own time limit ends it."""
    while not condition():
        await asyncio.sleep(0)
