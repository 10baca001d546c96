"""Models that are another one with an adapter on it, as headrace.yaml writes them."""

from pathlib import Path

import pytest

from headrace.config.load import parse_service
from headrace.config.model import ServiceConfig
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError


def read(text: str) -> ServiceConfig:
    whole = f"""\
models:
  first:
    deployments: [{{backend: embedded, weights: 'file:x.gguf'}}]
    params: {{temperature: 0.5}}
{text}
pipeline: [generate]
"""
    root = Path("/nonexistent")
    return parse_service(parse_yaml(whole, "headrace.yaml", {}, root=root), root, builtin=False)


def test_it_is_served_where_its_base_is() -> None:
    models = read("  tuned: {base: first, adapter: 'file:a.gguf'}").models
    assert models["tuned"].deployments is models["first"].deployments
    assert models["tuned"].params.temperature == 0.5
    assert models["tuned"].adapter is not None
    assert list(models) == ["first", "tuned"]


def test_its_own_parameters_win() -> None:
    text = "  tuned: {base: first, adapter: 'file:a.gguf', params: {max_tokens: 9}}"
    params = read(text).models["tuned"].params
    assert (params.max_tokens, params.temperature) == (9, None)


def test_the_first_model_of_the_file_may_be_one() -> None:
    service = parse_service(
        parse_yaml(
            "models:\n  tuned: {base: plain, adapter: 'file:a'}\n  plain:\n"
            "    deployments: [{backend: embedded, weights: 'file:x.gguf'}]\npipeline: [generate]\n",
            "headrace.yaml",
            {},
            root=Path("/nonexistent"),
        ),
        Path("/nonexistent"),
        builtin=False,
    )
    assert next(iter(service.models)) == "tuned"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("  t: {base: frist, adapter: 'file:a'}", "t.base: no model is called 'frist'"),
        ("  t: {base: first}", "t.*adapter"),
        ("  t: {adapter: 'file:a'}", "t.*base"),
        ("  t: {base: first, adapter: 'file:a', sha256: xyz}", "sha256"),
        ("  t: {base: first, adapter: 'file:a', deployments: []}", "deployments of its own"),
        ("  t: {base: first, adapter: 'file:a', paramz: {}}", "unknown field 'paramz'"),
        (
            "  t: {base: first, adapter: 'file:a'}\n  u: {base: t, adapter: 'file:b'}",
            "u.base: 't' has an adapter itself",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"headrace.yaml:[0-9]+: .*{says}"):
        read(text)
