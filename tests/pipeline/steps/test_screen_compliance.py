"""Compliance rules: where a prompt may go, and what a service talks about."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.config.model import PlaceConfig
from headrace.errors import ModelUnavailable
from headrace.models.box import ModelBox
from headrace.models.deployment import Deployment, Runner
from headrace.models.embedder import ModelEmbedder, open_embedder
from headrace.models.model import Model, Route
from headrace.pipeline.steps.screen.residency import keep_within
from headrace.pipeline.turn import Turn
from headrace.screening.compliance import NamedTerms
from headrace.screening.finding import Span
from headrace.screening.form import Residency
from headrace.types import Message, Params
from tests.models.scripted import ScriptedBackend, answers
from tests.pipeline.steps.screening import ALICE, Service, policy_of

EU = Residency(regions=["eu"], kinds=["medical_id"])


def model(name: str, *regions: str | None) -> Model:
    places = [
        Deployment(
            key=f"{name}-{at}",
            runner=Runner(ScriptedBackend(answers)),
            place=PlaceConfig(region=region),
        )
        for at, region in enumerate(regions)
    ]
    return Model(name, places, Params())


HERE, MIXED, AWAY = model("here", "eu-west"), model("mixed", "eu", "us"), model("away", "us", None)
BOX = ModelBox(
    {"here": HERE, "mixed": MIXED, "away": AWAY}, {"any": Route("any", [AWAY, MIXED, HERE])}, {}
)


@pytest.mark.parametrize(
    ("name", "found", "is_within", "only"),
    [
        ("any", {"medical_id"}, True, {"here"}),
        ("any", {"email"}, True, None),
        ("here", {"medical_id"}, True, None),
        ("mixed", {"medical_id"}, False, None),
        ("away", {"medical_id"}, False, None),
    ],
)
def test_a_prompt_stays_where_the_policy_says(
    name: str, found: set[str], is_within: bool, only: set[str] | None
) -> None:
    turn = Turn(principal=ALICE, messages=[Message(role="user", content="Hi")], model=name)
    assert keep_within(turn, BOX, EU, found) is is_within
    assert turn.only == only


async def test_with_no_model_there_the_prompt_is_stopped(tmp_path: Path) -> None:
    text = "input: {email: flag, residency: block}\nresidency: {regions: [eu], kinds: [email]}"
    service = Service(policy_of(tmp_path, text))  # its model has no region
    assert await service.say("Hello") == "Fine."
    await service.refused("I am kim@example.org")
    assert ("residency", "block") in service.noted
    assert service.backend.asked[-1][-1].text() == "Hello"


def test_named_terms_find_and_wait_as_terms_do() -> None:
    terms = NamedTerms("competitor", {"competitor": ["Acme Corp", "竞品"]})
    text = "Try ACME  Corp or 竞品公司"
    assert list(terms.detect(text)) == [Span("competitor", 4, 14), Span("competitor", 18, 20)]
    assert terms.pending("Try ac", 0) == 4
    assert terms.pending("Try it", 0) == 6


TOPICS = """
topics:
  orders:
    terms: [refund]
    examples: ["Where is my parcel?", "How do I send an item back?", "What does delivery cost?"]
  cooking: {examples: ["How long do I boil an egg?", "Give me a recipe for soup."]}
allowed_topics: [orders]
input: {off_topic: block, topic.cooking: flag}
budget_ms: 60000
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder(
    tmp_path_factory: pytest.TempPathFactory, embedding_folder: Path
) -> AsyncIterator[ModelEmbedder]:
    root = tmp_path_factory.mktemp("topics")
    (root / "models").symlink_to(embedding_folder)
    async with open_embedder(root, root, os.environ) as opened:
        yield opened


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="module")
async def test_topics_are_told_by_meaning(tmp_path: Path, embedder: ModelEmbedder) -> None:
    service = Service(policy_of(tmp_path, TOPICS))
    service.kit.embedder = embedder
    for text in ("When will my package arrive?", "I want a refund for this thing", "And why?"):
        assert await service.say(text) == "Fine.", text
    await service.refused("Give me a recipe for tomato soup, please.")
    assert {(kind, action) for kind, action, *_ in service.noted} == {
        ("off_topic", "block"),
        ("topic.cooking", "flag"),
    }


async def test_without_the_embedding_model_nothing_passes_for_on_topic(tmp_path: Path) -> None:
    service = Service(policy_of(tmp_path, TOPICS))
    await service.refused("When will my package arrive?")
    assert service.noted == [("fault.unavailable", "block", ModelUnavailable.__name__)]
