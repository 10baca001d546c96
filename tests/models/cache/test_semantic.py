"""Questions that mean the same: found by their vectors, refused by their words."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.backend import Embeddings
from headrace.models.cache.semantic import Meaning, SemanticIndex
from headrace.models.cache.settings import SemanticSettings
from headrace.models.deployment import Deployment
from headrace.types import Message, Params
from tests.models.cache.conftest import Clock, MakeCache, listen, question, speaks, vectors
from tests.models.scripted import ScriptedBackend, model_of

ASKED, AGAIN = "What is the capital of France?", "Please, what's the capital of France"
OTHER, FAR = "What is the capital of Spain?", "Tell me a joke"
EMBED = vectors({ASKED: [1, 0.1], AGAIN: [1, 0.2], OTHER: [1, 0.1], FAR: [-1, 0.5]})
SEMANTIC = SemanticSettings(model="embedder", threshold=0.95)


async def test_a_question_in_other_words_gets_the_answer(make_cache: MakeCache) -> None:
    backend = ScriptedBackend(speaks)
    model, cache = model_of(backend), make_cache(semantic=SEMANTIC)
    first = await listen(cache, question(model, ASKED, embed=EMBED))
    second = await listen(cache, question(model, AGAIN, embed=EMBED))
    assert (first.result, second.result) == ("miss", "semantic")
    assert second.deltas == first.deltas
    assert second.source.similarity == pytest.approx(0.9952, abs=1e-3)
    assert second.source.attributes["headrace.cache.similarity"] == pytest.approx(0.995, abs=1e-2)
    assert (await listen(cache, question(model, ASKED, embed=EMBED))).result == "hit"
    for text in (OTHER, FAR):
        assert (await listen(cache, question(model, text, embed=EMBED))).result == "miss"
    assert backend.calls == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"in_conversation": True},
        {"is_masked": True},
        {"before": [Message(role="system", content="Answer in French.")]},
        {"params": Params(temperature=0.0, max_tokens=7)},
        {"release": "sha256:2"},
        {"control": "no-cache"},
        {"subject": "patient-1"},
    ],
)
async def test_more_than_the_words_must_be_the_same(
    make_cache: MakeCache, fields: dict[str, object]
) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache(semantic=SEMANTIC)
    await listen(cache, question(model, ASKED, embed=EMBED))
    again = question(model, AGAIN, embed=EMBED, **fields)  # type: ignore[arg-type]  # one field
    assert (await listen(cache, again)).result == "miss"


async def test_without_embeddings_the_model_is_asked(make_cache: MakeCache, clock: Clock) -> None:
    asked = 0

    async def down(model: str, text: str) -> tuple[Embeddings, Deployment]:
        nonlocal asked
        asked += 1
        raise ModelUnavailable("down")

    model, cache = model_of(ScriptedBackend(speaks)), make_cache(semantic=SEMANTIC)
    assert (await listen(cache, question(model, ASKED, embed=down))).result == "miss"
    assert (await listen(cache, question(model, ASKED, embed=down))).result == "hit"
    assert (await listen(cache, question(model, AGAIN, embed=down))).result == "miss"
    assert asked == 1, "not every question waits for what does not come"
    clock.now += 11
    assert (await listen(cache, question(model, FAR, embed=EMBED))).result == "miss"
    assert (await listen(cache, question(model, OTHER, embed=down))).result == "miss"
    assert asked == 2


async def test_a_slow_embedding_is_not_waited_for(make_cache: MakeCache) -> None:
    async def slow(model: str, text: str) -> tuple[Embeddings, Deployment]:
        await asyncio.Event().wait()
        raise AssertionError

    settings = SemanticSettings(model="embedder", threshold=0.95, timeout_s=0.01)
    model, cache = model_of(ScriptedBackend(speaks)), make_cache(semantic=settings)
    assert (await listen(cache, question(model, ASKED, embed=slow))).result == "miss"


async def test_a_meaning_leaves_with_its_answer(make_cache: MakeCache) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache(semantic=SEMANTIC)
    await listen(cache, question(model, ASKED, embed=EMBED))
    cache.clear()
    assert (await listen(cache, question(model, AGAIN, embed=EMBED))).result == "miss"


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60))
def test_the_nearest_is_found_among_many(seed: int, count: int) -> None:
    dice = random.Random(seed)
    index = SemanticIndex(100)
    meanings = [Meaning("same", [dice.gauss(0.3, 1) for _ in range(64)]) for _ in range(count)]
    for at, each in enumerate(meanings):
        index.add(b"p", bytes([at]), each)
    wanted = dice.randrange(count)
    near = Meaning("same", [each + dice.gauss(0, 0.01) for each in meanings[wanted].vector])
    found = index.nearest(b"p", near, 0.9)
    assert found is not None
    assert found.key == bytes([wanted])
    assert found.similarity == pytest.approx(near.similarity(meanings[wanted]))
    assert index.nearest(b"another", near, 0.0) is None


def test_the_oldest_makes_room_and_what_is_removed_is_gone() -> None:
    index = SemanticIndex(2)
    for at in range(3):
        index.add(b"p", bytes([at]), Meaning("same", [1.0, at]))
    assert len(index) == 2
    found = index.nearest(b"p", Meaning("same", [1.0, 0.0]), 0.1)
    assert found is not None
    assert found.key == bytes([1])
    for at in range(3):
        index.remove(bytes([at]))
    assert len(index) == 0
    assert index.nearest(b"p", Meaning("same", [1.0, 0.0]), 0.1) is None


def test_vectors_of_another_model_are_never_near() -> None:
    assert Meaning("same", [1.0, 0.0]).similarity(Meaning("same", [1.0, 0.0, 0.0])) == 0.0
    assert Meaning("same", [0.0, 0.0]).similarity(Meaning("same", [0.0, 0.0])) == 0.0
