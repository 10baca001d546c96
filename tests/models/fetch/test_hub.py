"""`hf:` references, against a server that answers as a hub does: with a redirect to its store."""

from pathlib import Path

import pytest

from headrace.models.errors import WeightsUnavailable
from headrace.models.store import ModelStore
from tests.models.origin import Origin

PAGE = "/acme/tiny-gguf/resolve/main/tiny.gguf"
STORE = "/store/5f3c"
REFERENCE = "hf:acme/tiny-gguf/tiny.gguf"


@pytest.fixture
def store(tmp_path: Path, origin: Origin, no_settings: pytest.MonkeyPatch) -> ModelStore:
    # Another name for the same machine is another host, as a hub's file store is.
    origin.redirects[PAGE] = origin.url(STORE, host="localhost")
    origin.files[STORE] = b"GGUF weights"
    no_settings.setenv("HF_ENDPOINT", origin.url())
    return ModelStore(tmp_path / "models", root=tmp_path)


def test_a_file_comes_through_the_hubs_redirect_under_its_own_name(store: ModelStore) -> None:
    kept = store.fetch(REFERENCE, None)
    assert kept.path.name == "tiny.gguf"
    assert kept.path.read_bytes() == b"GGUF weights"


def test_a_revision_is_asked_for_by_name(store: ModelStore, origin: Origin) -> None:
    origin.files["/acme/tiny-gguf/resolve/v2/q4/tiny.gguf"] = b"second"
    assert store.fetch("hf:acme/tiny-gguf@v2/q4/tiny.gguf", None).path.read_bytes() == b"second"


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    store: ModelStore, origin: Origin, no_settings: pytest.MonkeyPatch
) -> None:
    no_settings.setenv("HF_TOKEN", "hf_secret")
    store.fetch(REFERENCE, None)
    assert origin.headers_of(PAGE)[0]["authorization"] == "Bearer hf_secret"
    assert "authorization" not in origin.headers_of(STORE)[0]


def test_a_broken_transfer_goes_on_behind_the_redirect(store: ModelStore, origin: Origin) -> None:
    origin.cuts.append(5)
    assert store.fetch(REFERENCE, None).path.read_bytes() == b"GGUF weights"
    assert origin.headers_of(STORE)[1]["range"] == "bytes=5-"


def test_a_missing_file_says_what_to_check(store: ModelStore) -> None:
    with pytest.raises(WeightsUnavailable, match=r"acme/tiny-gguf/other\.gguf: .* answered 404"):
        store.fetch("hf:acme/tiny-gguf/other.gguf", None)


def test_offline_says_what_could_not_be_had_and_what_to_do(
    store: ModelStore, no_settings: pytest.MonkeyPatch
) -> None:
    no_settings.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(WeightsUnavailable, match=r"cannot be fetched from 127\.0\.0\.1") as caught:
        store.fetch(REFERENCE, None)
    assert "offline, copy the GGUF file here" in caught.value.hint
