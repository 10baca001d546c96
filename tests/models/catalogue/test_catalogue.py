"""Finding a model by whatever name a provider, a preset or a hub has for it."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UnknownModel
from headrace.models.catalogue.catalogue import Catalogue
from headrace.models.catalogue.entry import (
    CatalogueFile,
    Licence,
    Limits,
    ModelFacts,
    Price,
    Retirement,
)
from headrace.models.catalogue.name import names_of, provider_named

FILE = CatalogueFile(
    models={
        "maker/base-7b-instruct": ModelFacts(
            kind="open_weights",
            aliases=["Maker/Base-7B-Instruct"],
            tasks=["chat"],
            licence="mit",
            limits=Limits(context_tokens=8192),
            retirement=Retirement(date="2027-01-01"),
        ),
        "host/base": ModelFacts(
            kind="infrastructure",
            serves="maker/base-7b-instruct",
            price=Price(input=1.0, output=2.0),
        ),
        "openai/gpt-x": ModelFacts(kind="proprietary"),
        "openai/gpt-x-2025-08-07": ModelFacts(kind="proprietary"),
        "mistral/m-2411": ModelFacts(kind="proprietary"),
        "mistral/m": ModelFacts(kind="proprietary"),
        "bedrock/maker.base": ModelFacts(kind="infrastructure", aliases=["maker.base-v1:0"]),
        "azure/gpt-x": ModelFacts(kind="infrastructure", serves="openai/gpt-x"),
        "google/gem": ModelFacts(kind="proprietary"),
    },
    licences={"mit": Licence(is_commercial=True)},
)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(FILE)


@pytest.mark.parametrize(
    ("provider", "name", "found"),
    [
        ("openai", "gpt-x", "openai/gpt-x"),
        ("OpenAI", "GPT-X", "openai/gpt-x"),
        ("openai", "gpt-x-2026-01-01", "openai/gpt-x"),
        ("openai", "gpt-x-2025-08-07", "openai/gpt-x-2025-08-07"),
        ("openai", "gpt-x-latest", "openai/gpt-x"),
        ("openai", "gpt-x-0613", "openai/gpt-x"),
        ("mistral", "m-2411", "mistral/m-2411"),
        ("mistral_ai", "m-latest", "mistral/m"),
        ("gemini", "models/gem", "google/gem"),
        ("gcp.gemini", "gem@20260101", "google/gem"),
        ("azure.ai.openai", "gpt-x", "azure/gpt-x"),
        ("aws.bedrock", "eu.maker.base-v1:0", "bedrock/maker.base"),
        ("aws.bedrock", "maker.base", "bedrock/maker.base"),
        ("llama_cpp", "Base-7B-Instruct.Q4_K_M.gguf", "maker/base-7b-instruct"),
        ("vllm", "Maker/Base-7B-Instruct", "maker/base-7b-instruct"),
        ("vllm", "maker/base-7b-instruct-awq", "maker/base-7b-instruct"),
    ],
)
def test_a_model_is_found_by_its_other_names(
    provider: str, name: str, found: str, catalogue: Catalogue
) -> None:
    entry = catalogue.find(provider, name)
    assert entry is not None and entry.id == found


@pytest.mark.parametrize(
    ("provider", "name"),
    [("openai", "gpt-y"), ("openai", ""), ("openai", "base"), ("vllm", "gpt-x")],
)
def test_a_model_that_is_not_known_is_nothing(
    provider: str, name: str, catalogue: Catalogue
) -> None:
    assert catalogue.find(provider, name) is None


def test_a_place_has_what_it_serves_but_its_own_price_and_end(catalogue: Catalogue) -> None:
    entry = catalogue.find("host", "base")
    assert entry is not None
    assert entry.facts.tasks == ["chat"]
    assert entry.context_tokens == 8192
    assert entry.licence is not None and entry.licence.is_commercial
    assert entry.facts.retirement is None
    assert not entry.is_run_by_you
    weights = catalogue.find("own", "base-7b-instruct")
    assert weights is not None and weights.is_run_by_you


def test_a_name_alone_will_do_where_one_provider_has_it(catalogue: Catalogue) -> None:
    assert catalogue.get("gem").id == "google/gem"
    assert catalogue.get("openai/gpt-x").id == "openai/gpt-x"
    with pytest.raises(UnknownModel) as several:
        catalogue.get("gpt-x")
    assert "azure/gpt-x" in several.value.hint
    with pytest.raises(UnknownModel) as none:
        catalogue.get("openai/gpt-xx")
    assert "openai/gpt-x" in none.value.hint


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_names_can_be_asked_for(provider: str, name: str) -> None:
    Catalogue(FILE).find(provider, name)
    assert len(list(names_of(name))) == len(set(names_of(name)))
    assert provider_named(provider_named(provider)) == provider_named(provider)


def test_the_shipped_catalogue_knows_the_built_in_model() -> None:
    entry = Catalogue.shipped().find("embedded", "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert entry is not None
    assert (entry.context_tokens, entry.facts.licence) == (8192, "apache-2.0")


def test_the_files_are_read_when_they_are_asked_for() -> None:
    script = (
        "import headrace, headrace.models.catalogue.catalogue as c, sys\n"
        "before = c.shipped_file.cache_info().currsize\n"
        "c.Catalogue.shipped()\n"
        "print(before, c.shipped_file.cache_info().currsize, 'sqlalchemy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "1", "False"]
