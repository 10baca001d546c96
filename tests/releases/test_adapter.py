"""Adapters of the registry: part of a release, and carried with it; altered or strange ones are refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from headrace.config.load import load_service
from headrace.errors import ConfigError
from headrace.models.adapted import registered
from headrace.models.adapter import AdapterStore
from headrace.releases.adapter import adapters_of
from headrace.releases.build import collect
from headrace.releases.errors import ReleaseInvalid
from headrace.releases.layout import export, read_layout
from headrace.releases.manifest import AdapterEntry
from headrace.releases.store import Release, ReleaseStore
from headrace.storage.database import Database
from headrace.storage.tables import release_blobs
from tests.releases.conftest import adapter_in, manifest


@pytest.fixture
def release(store: ReleaseStore, root: Path, tmp_path: Path) -> Release:
    """One whose second model is its first with an adapter."""
    digest = adapter_in(store.home, tmp_path)
    (root / "headrace.yaml").write_text(
        "models:\n  small:\n    deployments: [{backend: embedded, weights: 'file:x.gguf'}]\n"
        f"  tuned: {{base: small, adapter: 'registry:{digest}'}}\n"
        "pipeline: [generate]\n"
    )
    models = load_service(root, {}).models.values()
    made, files = manifest(root, adapters=adapters_of(models, store.home))
    return store.add(made, files)[0]


def entry_of(release: Release) -> AdapterEntry:
    assert release.manifest.adapters
    (entry,) = release.manifest.adapters
    return entry


def trust(store: ReleaseStore, of: ReleaseStore) -> None:
    folder = store.home / "trusted-releases"
    folder.mkdir()
    (folder / "builder.pub").write_bytes(of.signer.public())


def test_a_release_names_the_files_of_its_adapters_and_no_date(release: Release) -> None:
    entry = entry_of(release)
    assert [each.path for each in entry.files] == ["adapter.gguf", "adapter_config.json"]
    assert (entry.name, entry.base) == ("mill-7", "file:x.gguf")


@pytest.mark.parametrize("short", [lambda each: each.digest[:20], lambda each: each.name])
def test_a_name_that_may_mean_another_adapter_tomorrow_is_refused(
    short: Callable[[AdapterEntry], str], release: Release, store: ReleaseStore, root: Path
) -> None:
    entry = entry_of(release)
    file = root / "headrace.yaml"
    file.write_text(file.read_text().replace(entry.digest, short(entry)))
    models = load_service(root, {}).models.values()
    with pytest.raises(ConfigError, match=r"headrace.yaml:4: .*whole digest") as refused:
        adapters_of(models, store.home)
    assert refused.value.hint == f"write registry:{entry.digest}"


def test_a_release_without_adapters_has_the_digest_that_it_always_had(root: Path) -> None:
    made, _ = manifest(root)
    assert b"adapters" not in made.encoded()
    assert collect(root)[0]


def test_adapters_travel_with_a_release_that_is_trusted(
    store: ReleaseStore, elsewhere: ReleaseStore, release: Release, tmp_path: Path
) -> None:
    folder = tmp_path / "layout"
    export(release, store, folder)
    read_layout(folder, elsewhere)
    assert AdapterStore(elsewhere.home).list() == []  # of a stranger, nothing is put in place
    trust(elsewhere, store)
    with pytest.raises(ReleaseInvalid, match=r"the adapter sha256:abab.* is not here"):
        elsewhere.verify(release)
    for _ in range(2):  # safe to repeat
        taken, _ = read_layout(folder, elsewhere)
    elsewhere.verify(taken)
    (kept,) = AdapterStore(elsewhere.home).list()
    assert kept.gguf is not None
    assert kept.gguf.read_bytes() == b"GGUF, an adapter"
    # What is built there is the same release.
    entry = entry_of(release)
    models = load_service(elsewhere.unpacked(taken, tmp_path), {}).models.values()
    assert adapters_of(models, elsewhere.home) == [entry]


def test_a_build_names_an_adapter_by_where_it_stays(
    store: ReleaseStore, release: Release, tmp_path: Path
) -> None:
    digest = entry_of(release).digest
    passing = tmp_path / "passing"
    passing.mkdir()
    (passing / "adapters").symlink_to((store.home / "adapters").resolve())
    assert registered(digest, passing) == registered(digest, store.home)


def test_an_altered_adapter_is_refused_where_it_is_and_where_it_comes(
    store: ReleaseStore, elsewhere: ReleaseStore, release: Release, tmp_path: Path
) -> None:
    folder = tmp_path / "layout"
    export(release, store, folder)
    trust(elsewhere, store)
    entry = entry_of(release)
    (folder / "blobs" / "sha256" / entry.files[0].sha256).write_bytes(b"GGUF, another")
    with pytest.raises(ReleaseInvalid, match="altered"):
        read_layout(folder, elsewhere)
    assert AdapterStore(elsewhere.home).list() == []
    here = AdapterStore(store.home).get(entry.digest).gguf
    assert here is not None
    here.write_bytes(b"GGUF, another")
    with pytest.raises(ReleaseInvalid, match="is not the adapter's file"):
        store.verify(release)


@pytest.fixture
def server(postgres_database: str) -> Iterator[Database]:
    opened = Database.open(postgres_database)
    yield opened
    opened.close()


def test_gateways_that_share_a_server_share_the_adapters_of_a_trusted_release(
    server: Database,
    release: Release,
    store: ReleaseStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace.releases.shared._PIECE_BYTES", 5)
    first = ReleaseStore(server, store.home)
    (tmp_path / "second").mkdir()
    second = ReleaseStore(server, tmp_path / "second")
    files = {each.path: store.blobs.get(each.sha256) for each in release.manifest.files}
    first.add(release.manifest, files)
    with pytest.raises(ReleaseInvalid, match="nobody who is trusted"):
        second.verify(second.get(release.digest))
    assert AdapterStore(second.home).list() == []
    trust(second, first)
    second.unpacked(second.get(release.digest), tmp_path)
    (kept,) = AdapterStore(second.home).list()
    assert kept.gguf is not None
    assert kept.gguf.read_bytes() == b"GGUF, an adapter"
    # What the server gives is looked at, as what a folder gives is.
    with server.write() as connection:
        connection.execute(update(release_blobs).values(data=b"another"))
    AdapterStore(second.home).delete(kept.digest)
    with pytest.raises(ReleaseInvalid, match="altered"):
        second.verify(second.get(release.digest))
    with server.write() as connection:
        connection.execute(delete(release_blobs))
    with pytest.raises(ReleaseInvalid, match=r"the adapter sha256:abab.* is not here") as missing:
        second.verify(second.get(release.digest))
    assert "release export" in missing.value.hint
