"""The shipped facts: each has its day and page, and none leads nowhere."""

from collections.abc import Iterator
from datetime import date

import msgspec
import pytest

from headrace.models.catalogue.catalogue import Catalogue, shipped_file
from headrace.models.catalogue.entry import ModelFacts

FILE = shipped_file()
FIGURES = ("limits", "price", "retirement", "knowledge", "regions", "position", "speed")


def figures() -> Iterator[tuple[str, object]]:
    for name, facts in FILE.models.items():
        for field in FIGURES:
            if (figure := getattr(facts, field)) is not None:
                yield f"{name} {field}", figure


@pytest.mark.parametrize("name", FILE.models)
def test_an_id_names_its_provider(name: str) -> None:
    provider, _, model = name.partition("/")
    assert provider == provider.lower() and model


def test_every_figure_has_its_day_and_its_page() -> None:
    for where, figure in figures():
        fields = msgspec.structs.asdict(figure)  # type: ignore[arg-type]  # each is a Struct
        assert fields["source"].startswith("https://"), where
        assert fields["as_of"] is not None, where
        date.fromisoformat(fields["as_of"])


def test_every_model_has_a_kind_and_says_what_it_is_made_for() -> None:
    for entry in Catalogue.shipped():
        assert entry.facts.kind is not None, entry.id
        assert entry.facts.tasks, entry.id
        assert entry.facts.input, entry.id


def test_what_a_model_refers_to_is_there() -> None:
    for name, facts in FILE.models.items():
        _refers(name, facts)


def _refers(name: str, facts: ModelFacts) -> None:
    assert facts.licence is None or facts.licence in FILE.licences, name
    assert facts.serves is None or facts.serves in FILE.models, name
    retirement = facts.retirement
    if retirement is not None and retirement.replacement is not None:
        assert retirement.replacement in FILE.models, name


def test_a_price_is_plausible() -> None:
    """A slip of the decimal point would send the traffic to the wrong model."""
    for name, facts in FILE.models.items():
        price = facts.price
        if price is None:
            continue
        assert 0 < price.input <= 100, name
        assert price.output <= 500, name
        assert price.cached_input is None or price.cached_input <= price.input, name
        assert price.long is None or price.long.input > price.input, name


def test_limits_are_plausible() -> None:
    for name, facts in FILE.models.items():
        if facts.limits is not None:
            assert 1024 <= facts.limits.context_tokens <= 20_000_000, name
            assert (facts.limits.output_tokens or 1) <= facts.limits.context_tokens, name


def test_no_name_means_two_models_of_one_provider() -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, facts in FILE.models.items():
        provider, _, model = name.partition("/")
        for each in {model.lower(), *(alias.lower() for alias in facts.aliases or ())}:
            assert seen.setdefault((provider, each), name) == name, each
