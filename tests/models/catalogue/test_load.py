"""`catalogue.yaml`: what it may say, and where it is wrong."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from headrace.config.schema import struct_schema
from headrace.errors import ConfigError
from headrace.models.catalogue.catalogue import Catalogue
from headrace.models.catalogue.entry import CatalogueFile
from headrace.models.catalogue.load import load_catalogue

OURS = "openai/gpt-5"


def load(root: Path, text: str) -> Catalogue:
    (root / "catalogue.yaml").write_text(text)
    return load_catalogue(root, {"RATE": "2.5"})


def test_without_a_file_it_is_the_shipped_one(tmp_path: Path) -> None:
    assert set(load_catalogue(tmp_path, {}).ids()) == set(Catalogue.shipped().ids())


def test_a_field_replaces_ours_and_the_others_stay(tmp_path: Path) -> None:
    text = (
        f"models:\n  {OURS}:\n    price: {{input: 1.0, output: '${{RATE}}', as_of: 2026-11-25}}\n"
    )
    mine, ours = load(tmp_path, text).get(OURS), Catalogue.shipped().get(OURS)
    assert mine.facts.price is not None
    assert (mine.facts.price.output, mine.facts.price.cached_input) == (2.5, None)
    assert mine.facts.limits == ours.facts.limits
    assert mine.facts.retirement == ours.facts.retirement


def test_a_model_a_licence_and_a_machine_of_ones_own(tmp_path: Path) -> None:
    text = """\
licences:
  house: {is_commercial: true, field_of_use: [no weather forecasts]}
machines:
  a100: {usd_per_hour: 1.9, tokens_per_s: 2400}
models:
  acme/writer:
    kind: open_weights
    licence: house
    limits: {context_tokens: 32768}
    position: {score: 0.8}
  openai/acme-tuned:
    kind: proprietary
    serves: openai/gpt-4.1
"""
    catalogue = load(tmp_path, text)
    entry = catalogue.get("acme/writer")
    assert entry.licence is not None and entry.licence.field_of_use == ["no weather forecasts"]
    assert catalogue.machines["a100"].usd_per_hour == 1.9
    assert catalogue.get("acme-tuned").context_tokens == 1_047_576


MISTAKES = {
    "models:\n  gpt-x: {kind: proprietary}\n": "catalogue.yaml:2: models.gpt-x: the id 'gpt-x' names",
    "models:\n  acme/x: {tasks: [chat]}\n": "catalogue.yaml:2: models.'acme/x': a new model needs",
    "models:\n  openai/gpt-5:\n    price: {input: -1}\n": (
        "catalogue.yaml:3: models.'openai/gpt-5'.price.input: expected a number of at least 0"
    ),
    "models:\n  openai/gpt-5:\n    prize: 1\n": (
        "catalogue.yaml:3: models.'openai/gpt-5'.prize: unknown field 'prize'"
    ),
    "models:\n  openai/gpt-5:\n    licence: mitt\n": (
        "catalogue.yaml:3: models.'openai/gpt-5'.licence: there is no licence 'mitt'"
    ),
    "models:\n  openai/gpt-5:\n    serves: openai/gpt\n": (
        "catalogue.yaml:3: models.'openai/gpt-5'.serves: serves 'openai/gpt', which"
    ),
    "models:\n  openai/gpt-5:\n    tasks: [sing]\n": (
        "catalogue.yaml:3: models.'openai/gpt-5'.tasks[0]: expected 'chat', 'code'"
    ),
    "models:\n  openai/gpt-5:\n    retirement: {date: soon}\n": (
        "catalogue.yaml:3: models.'openai/gpt-5'.retirement.date: expected text that matches"
    ),
    "machines:\n  a100: {tokens_per_s: 3}\n": "catalogue.yaml:2: machines.a100",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_its_place(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert raised.value.message.startswith(MISTAKES[text])


def test_a_wrong_suffix_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "catalogue.yml").write_text("models: {}\n")
    with pytest.raises(ConfigError, match="not read"):
        load_catalogue(tmp_path, {})


def test_the_published_schema_takes_the_shipped_files_and_refuses_mistakes() -> None:
    validator = jsonschema.Draft202012Validator(struct_schema(CatalogueFile, "catalogue.yaml"))
    folder = Path(__file__).parents[3] / "src/headrace/models/catalogue/data"
    for path in folder.glob("*.json"):
        validator.validate(yaml.safe_load(path.read_text()))
    assert not validator.is_valid({"models": {"openai/gpt-5": {"price": {"input": -1}}}})
    assert not validator.is_valid({"models": {"openai/gpt-5": {"prize": {}}}})
