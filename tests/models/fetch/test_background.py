"""Fetching beside an event loop."""

import asyncio
from pathlib import Path

import pytest

from headrace.models.errors import WeightsUnavailable
from headrace.models.fetch.background import fetch_in_background
from headrace.models.store import ModelStore
from tests.models.origin import Origin

PATH = "/acme/tiny/resolve/main/tiny.gguf"
REFERENCE = "hf:acme/tiny/tiny.gguf"


@pytest.fixture
def store(tmp_path: Path, origin: Origin, no_settings: pytest.MonkeyPatch) -> ModelStore:
    origin.files[PATH] = bytes(1_000_000)
    no_settings.setenv("HF_ENDPOINT", origin.url())
    return ModelStore(tmp_path / "models", root=tmp_path)


async def test_the_loop_runs_on_and_hears_of_progress(store: ModelStore) -> None:
    seen: list[int] = []
    kept = await fetch_in_background(store, REFERENCE, None, lambda _, done, __: seen.append(done))
    assert kept.size == 1_000_000
    assert max(seen) == 1_000_000


async def test_failures_arrive_as_they_are(store: ModelStore) -> None:
    with pytest.raises(WeightsUnavailable, match="answered 404"):
        await fetch_in_background(store, "hf:acme/tiny/none.gguf", None)


async def test_cancelling_stops_the_download_and_keeps_what_came(
    store: ModelStore, origin: Origin, tmp_path: Path
) -> None:
    origin.hold_at = 100_000
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def report(what: str, done: int, total: int | None) -> None:
        if done >= 100_000:
            loop.call_soon_threadsafe(begun.set)

    fetching = asyncio.create_task(fetch_in_background(store, REFERENCE, None, report))
    await begun.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    origin.hold_at = None
    origin.go_on.set()
    # The store is free again as soon as the download has noticed; then it goes on.
    kept = await fetch_in_background(store, REFERENCE, None)
    assert kept.size == 1_000_000
    assert "range" in origin.headers_of(PATH)[1]
