import stat
from pathlib import Path

import pytest

from headrace.config.load import home_dir, home_path, load_service
from headrace.errors import ConfigError
from tests.config.conftest import SERVICE, Load


def test_a_folder_without_headrace_yaml_gets_the_built_in_assistant(tmp_path: Path) -> None:
    config = load_service(tmp_path, {})
    assert config.builtin
    assert list(config.models) == ["smollm2-135m"]


def test_what_is_not_said_has_its_default(load: Load) -> None:
    config = load(SERVICE + "traces:\nserver:\n  port:\n  host: ::1\n")
    assert config.name == "headrace"
    assert config.traces.retention_days == 30
    assert config.server.port == 8080
    assert config.server.host == "::1"
    assert not config.builtin


def test_models_keep_their_order_and_settings(load: Load) -> None:
    config = load(
        """\
models:
  b: &model
    deployments: [{backend: embedded, weights: "file:b.gguf", parallel: 2}]
    params: {temperature: 0, stop: [a, "1"], extra: {top_k: 3}}
    price: {input: 1, cached_input: 0.5, output: 2}
  a: *model
pipeline: [normalize, {generate: {max_tokens: 5}}]
"""
    )
    assert list(config.models) == ["b", "a"]
    assert config.models["a"].params.extra == {"top_k": 3}
    assert config.models["a"].params.temperature == 0
    price = config.models["a"].price
    assert price is not None
    assert price.cached_input == 0.5
    assert [step.name for step in config.pipeline] == ["normalize", "generate"]


def test_off_is_the_text_that_a_setting_asks_for(load: Load) -> None:
    load(SERVICE + "  - refine: {typography: off}\n")


def test_weight_written_for_weights_gets_the_nearest_name(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            "models: {a: {deployments: [{backend: embedded, weight: 'file:a.gguf'}]}}\npipeline: [generate]\n"
        )
    assert "deployments[0].weight: expected a number above 0" in caught.value.message
    assert caught.value.hint == "did you mean 'weights'?"


def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path: Path, load: Load) -> None:
    (tmp_path / "headrace.yaml").write_text("\ufeff" + SERVICE)
    assert load_service(tmp_path, {}).name == load("\ufeff" + SERVICE).name


def test_state_is_kept_in_the_service_folder_readable_by_its_owner_alone(tmp_path: Path) -> None:
    home = home_dir(tmp_path, {})
    assert home == tmp_path / ".headrace"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / ".gitignore").read_text().splitlines()[-1] == "*"


def test_headrace_home_moves_the_state(tmp_path: Path) -> None:
    environ = {"HEADRACE_HOME": str(tmp_path / "far" / "away")}
    assert home_path(tmp_path, environ) == tmp_path / "far" / "away"
    assert not (tmp_path / "far").exists()
    assert home_dir(tmp_path, environ).is_dir()
    assert not (tmp_path / ".headrace").exists()


@pytest.mark.parametrize("name", ["file/home", "~no-such-user-here/home"])
def test_a_home_that_cannot_be_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = name if name.startswith("~") else str(tmp_path / name)
    with pytest.raises(ConfigError, match="home"):
        home_dir(tmp_path, {"HEADRACE_HOME": home})
