"""Fine-tunes that are served without being declared: which are, and what keeps one from being."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.config.load import parse_service
from headrace.config.model import ServiceConfig
from headrace.config.node import parse_yaml
from headrace.models.adapter import Adapter, AdapterStore
from headrace.models.tuned import Tuned, read_tuned, serve_tuned, withdraw_tuned
from headrace.server.tuned import tuned_models

BASE_SHA256 = "ab" * 32
DIGEST = "sha256:" + "cd" * 32
NAME = "ft:assistant:acme::1"


def service(root: Path, *, base: str = "assistant", sha256: str = BASE_SHA256) -> ServiceConfig:
    text = f"""\
models:
  {base}:
    deployments: [{{backend: embedded, weights: 'file:x.gguf', sha256: {sha256}}}]
pipeline: [generate]
"""
    return parse_service(parse_yaml(text, "headrace.yaml", {}, root=root), root, builtin=False)


def tuned(name: str = NAME, key_id: str = "key", team: str = "") -> Tuned:
    return Tuned(
        name=name, base="assistant", digest=DIGEST, created_at=1.0, key_id=key_id, team=team
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one fine-tune that is to be served."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "adapter.gguf").write_bytes(b"GGUF")
    about = Adapter(digest=DIGEST, name="x", base="file:x.gguf", base_sha256=BASE_SHA256)
    home = tmp_path / "home"
    AdapterStore(home).put(about, made)
    serve_tuned(home, tuned())
    return home


def names(home: Path, config: ServiceConfig) -> list[str]:
    return [each.config.name for each in tuned_models(config, home)]


def test_a_whole_adapter_on_a_declared_base_is_served(home: Path) -> None:
    (found,) = tuned_models(service(home), home)
    assert found.config.adapter is not None
    assert (found.config.name, found.config.adapter.base) == (NAME, "assistant")


def test_one_whose_file_was_altered_is_not_and_the_log_says_so(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(home, service(home)) == [NAME]
    (home / "adapters" / DIGEST.replace(":", "-") / "adapter.gguf").write_bytes(b"GGUF, altered")
    with caplog.at_level(logging.ERROR):
        assert names(home, service(home)) == []
    assert f"{NAME} is not served: " in caplog.text
    assert "when it was first seen" in caplog.text


def test_one_whose_base_has_other_weights_is_not(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(home, service(home, sha256="ef" * 32)) == []
    assert "has other weights than it was trained on" in caplog.text


def test_one_whose_base_or_adapter_is_gone_is_not(home: Path) -> None:
    assert names(home, service(home, base="another")) == []
    AdapterStore(home).delete(DIGEST)
    assert names(home, service(home)) == []


def test_serving_twice_is_serving_once_and_withdrawing_ends_it(home: Path) -> None:
    serve_tuned(home, tuned(key_id="somebody else"))
    assert read_tuned(home)[NAME].key_id == "key"
    assert withdraw_tuned(home, NAME)
    assert not withdraw_tuned(home, NAME)
    assert read_tuned(home) == {}


_words = st.sampled_from(["", "a", "b"])


@given(key=_words, team=_words, role=st.sampled_from(["admin", "user"]), of_team=_words)
def test_only_its_key_its_team_and_administrators_may_use_it(
    key: str, team: str, role: str, of_team: str
) -> None:
    principal = Principal(key, "", role, team)  # type: ignore[arg-type]  # drawn from both roles
    is_open = tuned(key_id="a", team=of_team).is_open_to(principal)
    assert is_open == (role == "admin" or key == "a" or (of_team != "" and team == of_team))
