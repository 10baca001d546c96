"""Routes as they are declared: what meets the requirements, and where data may go."""

from datetime import date
from pathlib import Path

import pytest

from headrace.config.load import parse_service
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError
from headrace.models.box import ModelBox
from headrace.models.facts import Facts
from headrace.models.route import Judged, judge_models
from headrace.types import Usage

SERVER = "backend: openai_compatible, base_url: 'http://127.0.0.1:1/v1', model: own"


def box(tmp_path: Path, text: str) -> ModelBox:
    whole = f"{text}\npipeline: [generate]\n"
    node = parse_yaml(whole, "headrace.yaml", {}, root=tmp_path)
    return ModelBox.build(parse_service(node, tmp_path, builtin=False), tmp_path, {})


def order(tmp_path: Path, text: str, route: str = "r") -> list[str]:
    return [model.name for model in box(tmp_path, text).get(route).order()]


def judged(tmp_path: Path, text: str, route: str = "r") -> dict[str, Judged]:
    whole = f"{text}\npipeline: [generate]\n"
    node = parse_yaml(whole, "headrace.yaml", {}, root=tmp_path)
    config = parse_service(node, tmp_path, builtin=False)
    found = judge_models(config.routes[route], config, Facts(config, {}), date(2026, 6, 1))
    return {each.name: each for each in found}


def test_a_route_outside_of_where_data_may_go_is_refused_at_load(tmp_path: Path) -> None:
    text = f"""
residency: [eu]
models:
  m: {{deployments: [{{{SERVER}, region: eu-west}}, {{{SERVER}, region: us-east}}]}}
routes:
  r: {{require: {{regions: [us]}}}}
"""
    with pytest.raises(ConfigError, match=r"headrace\.yaml:\d+: .*us.*residency"):
        box(tmp_path, text)


def test_only_places_that_data_may_go_to_are_judged(tmp_path: Path) -> None:
    text = f"""
residency: [eu]
models:
  m:
    deployments:
      - {{{SERVER}, region: eu-west, price: {{input: 1, output: 1}}}}
      - {{{SERVER}, region: us-east, price: {{input: 9, output: 9}}}}
routes:
  r: {{require: {{usd_per_million: 2}}}}
"""
    assert order(tmp_path, text) == ["m"]


def test_weights_of_ones_own_cost_nothing_by_the_token(tmp_path: Path) -> None:
    text = f"""
models:
  dear: {{deployments: [{{{SERVER}, price: {{input: 9, output: 9}}}}]}}
  own: {{deployments: [{{backend: embedded, weights: "file:a.gguf"}}]}}
  unknown: {{deployments: [{{{SERVER}}}]}}
routes:
  r: {{prefer: cost}}
  cheap: {{prefer: cost, require: {{usd_per_million: 1}}}}
"""
    assert order(tmp_path, text) == ["own", "dear", "unknown"]
    assert order(tmp_path, text, "cheap") == ["own"]


def test_what_nobody_knows_counts_as_not_met(tmp_path: Path) -> None:
    text = f"""
models:
  m: {{deployments: [{{{SERVER}}}]}}
  n: {{deployments: [{{{SERVER}, price: {{input: 1, output: 1}}, context_tokens: 200000}}]}}
routes:
  r: {{require: {{usd_per_million: 2, context_tokens: 100000}}}}
"""
    found = judged(tmp_path, text)
    assert not found["n"].missed
    assert len(found["m"].missed) == 2, found["m"].missed


def test_a_deployment_whose_price_nobody_knows_is_not_the_cheapest(tmp_path: Path) -> None:
    text = f"""
models:
  m:
    deployments: [{{{SERVER}}}, {{{SERVER}, price: {{input: 1, output: 1}}}}]
    balance: {{prefer: cost}}
"""
    (model,) = box(tmp_path, text).models()
    unknown, known = [each.member().usd_per_million for each in model.deployments]
    assert known < unknown


def test_a_price_as_published_knows_what_writing_a_cache_costs(tmp_path: Path) -> None:
    text = """
models:
  m: {deployments: [{backend: anthropic, model: claude-sonnet-4-5, api_key: k}]}
"""
    (model,) = box(tmp_path, text).models()
    (deployment,) = model.deployments
    plain = deployment.cost_usd(Usage(prompt_tokens=1000))
    assert plain > 0
    written = deployment.cost_usd(Usage(prompt_tokens=1000, cache_write_tokens=1000))
    read = deployment.cost_usd(Usage(prompt_tokens=1000, cached_tokens=1000))
    assert read < plain < written


def test_a_long_prompt_has_the_price_of_a_long_prompt(tmp_path: Path) -> None:
    text = """
models:
  m: {deployments: [{backend: gemini, model: gemini-2.5-pro, api_key: k}]}
"""
    (model,) = box(tmp_path, text).models()
    (deployment,) = model.deployments
    short = deployment.cost_usd(Usage(prompt_tokens=100_000))
    assert deployment.cost_usd(Usage(prompt_tokens=400_000)) > 4 * short
