"""Embeddings: what a request has reserved is given back, and every text gets its vector."""

import asyncio
from collections.abc import Sequence

import pytest

from headrace.access.limits.config import Limits
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.rule import Rule
from headrace.access.principal import Principal
from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.backend import Embeddings
from headrace.models.box import ModelBox
from headrace.pipeline.embedding import Embedder, EmbeddingTurn
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import TextKind, Usage
from tests.models.scripted import ScriptedBackend, answers, model_of

ADA = Principal("key-ada", "ada", "user", "research")


class Kept:
    """Where traces go."""

    def __init__(self) -> None:
        self.ended: list[Trace] = []

    def started(self, trace: Trace) -> None: ...

    def record(self, trace: Trace) -> None:
        self.ended.append(trace)

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        raise AssertionError


class Forgetful(ScriptedBackend):
    """Makes one vector, whatever it is given."""

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        return Embeddings([[1.0]], Usage(prompt_tokens=len(inputs)))


class Empty(ScriptedBackend):
    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        return Embeddings([], Usage())


class Vault:
    """Unlocks a subject, or fails, or never comes back."""

    def __init__(self) -> None:
        self.failure: HeadraceError | None = None
        self.hangs = False
        self.asked = asyncio.Event()

    async def __call__(self, subject: str) -> None:
        self.asked.set()
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.Event().wait()


def embedder(backend: ScriptedBackend, vault: Vault, kept: Kept) -> Embedder:
    return Embedder(
        ModelBox({"m": model_of(backend)}, {}, {}),
        release="",
        recorder=kept,
        unlock=vault,
        limiter=MemoryLimiter(Limits(rules=(Rule(concurrent=1),))),
    )


def turn(*inputs: str) -> EmbeddingTurn:
    return EmbeddingTurn(principal=ADA, inputs=inputs or ("a",))


async def test_a_place_is_given_back_when_the_subjects_key_cannot_be_had() -> None:
    vault, kept = Vault(), Kept()
    under_test = embedder(ScriptedBackend(answers), vault, kept)
    vault.failure = HeadraceError("the database is away")
    with pytest.raises(HeadraceError, match="away"):
        await under_test.embed(turn())
    vault.failure = None
    assert (await under_test.embed(turn())).vectors == [[1.0]]
    assert [each.status for each in kept.ended] == ["error", "ok"]


async def test_a_place_is_given_back_when_the_client_leaves_meanwhile() -> None:
    vault, kept = Vault(), Kept()
    under_test = embedder(ScriptedBackend(answers), vault, kept)
    vault.hangs = True
    leaving = asyncio.create_task(under_test.embed(turn()))
    await vault.asked.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    vault.hangs = False
    assert (await under_test.embed(turn())).vectors == [[1.0]]
    assert [each.status for each in kept.ended] == ["cancelled", "ok"]


@pytest.mark.parametrize("backend", [Forgetful, Empty])
async def test_a_text_without_a_vector_is_a_failure_of_the_model(
    backend: type[ScriptedBackend],
) -> None:
    kept = Kept()
    with pytest.raises(ModelUnavailable, match="2 texts"):
        await embedder(backend(answers), Vault(), kept).embed(turn("a", "b"))
    assert [each.status for each in kept.ended] == ["error"]
