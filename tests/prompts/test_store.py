"""Versions and tags: kept by content, found again, never changed."""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from headrace.errors import InvalidRequest
from headrace.prompts.errors import UnknownVersion, VersionDamaged
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.prompts.template import PromptTemplate
from headrace.storage.database import Database
from headrace.storage.tables import prompt_versions

pytestmark = pytest.mark.engines

Load = Callable[[str], PromptTemplate]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PromptStore]:
    database = Database.open(tmp_path / "state.db")
    yield PromptStore(database, clock=lambda: 100.0)
    database.close()


def test_a_version_is_kept_once_and_found_when_the_file_has_changed(
    store: PromptStore, template_from: Load
) -> None:
    one = template_from("messages: {system: 'One, ${NOT}'}".replace("${", "$${"))
    two = template_from("messages: {system: Two.}")
    assert (store.keep([one]), store.keep([one, two]), store.keep([two, one])) == (1, 1, 0)
    assert [each.number for each in store.versions("shop")] == [1, 2]
    again = store.template(store.find("shop", "v1"))
    assert again.digest == one.digest
    assert again.render({}, language=None, today="").system == "One, ${NOT}"
    assert store.find("shop", one.digest[7:19]) == store.find("shop", "v1")
    assert store.find("shop", one.digest) == store.find("shop", "v1")


def test_a_dataset_is_kept_with_its_version(store: PromptStore, tmp_path: Path) -> None:
    for folder in ("prompts", "data"):
        (tmp_path / folder).mkdir()
    rows = tmp_path / "data" / "x.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "prompts" / "shop.yaml").write_text("examples: {from: data/x.jsonl}")
    template = PromptLibrary.load(tmp_path, {}).get("shop")
    store.keep([template])
    rows.unlink()
    again = store.template(store.find("shop", "v1"))
    assert (again.digest, again.examples.entries[0].assistant) == (template.digest, "b")


def test_a_tag_moves_and_its_history_stays(store: PromptStore, template_from: Load) -> None:
    versions = [template_from(f"messages: {{system: '{n}'}}") for n in range(2)]
    store.keep(versions)
    assert store.tag(store.find("shop", "v1"), "production") is None
    before = store.tag(store.find("shop", "v2"), "production")
    assert before is not None
    assert before.number == 1
    assert store.find("shop", "production").digest == versions[1].digest
    assert store.tagged()["shop@production"].digest == versions[1].digest
    store.untag("shop", "production")
    assert store.tagged() == {}
    assert [each.digest for each in store.history("shop")] == [
        versions[0].digest,
        versions[1].digest,
        "",
    ]


@pytest.mark.parametrize("tag", ["", "v1", "Production", "a b", "beefed", "x" * 41])
def test_what_cannot_be_a_tag(store: PromptStore, template_from: Load, tag: str) -> None:
    store.keep([template_from("messages: {system: x}")])
    with pytest.raises(InvalidRequest, match="cannot be a tag"):
        store.tag(store.find("shop", "v1"), tag)


@pytest.mark.parametrize("version", ["v2", "prodution", "000000", "", "v01"])
def test_a_version_that_is_not_there(store: PromptStore, template_from: Load, version: str) -> None:
    store.keep([template_from("messages: {system: x}")])
    with pytest.raises(UnknownVersion):
        store.find("shop", version)


@pytest.mark.parametrize("source", [b"no zlib", zlib.compress(b"messages: {system: other}")])
def test_a_version_whose_text_was_changed_is_not_used(
    store: PromptStore, template_from: Load, source: bytes
) -> None:
    store.keep([template_from("messages: {system: x}")])
    with store.database.write() as connection:
        connection.execute(update(prompt_versions).values(source=source))
    with pytest.raises(VersionDamaged):
        store.template(store.find("shop", "v1"))


def test_every_built_in_template_comes_back_as_it_was(store: PromptStore, tmp_path: Path) -> None:
    templates = PromptLibrary.load(tmp_path, {}).templates()
    store.keep(templates)
    for each in templates:
        assert store.template(store.find(each.name, each.digest)).digest == each.digest


def test_a_library_offers_what_is_tagged(
    store: PromptStore, template_from: Load, tmp_path: Path
) -> None:
    old = template_from("messages: {system: Old.}")
    store.keep([old])
    store.tag(store.find("shop", "v1"), "production")
    new = template_from("messages: {system: New.}")
    library = PromptLibrary.load(tmp_path, {}).with_tagged(store.tagged())
    assert library.get("shop@production").digest == old.digest
    assert library.get("shop").digest == new.digest
    assert library.digests()["shop@production"] == old.digest


def test_processes_that_start_together_number_versions_once(
    tmp_path: Path, template_from: Load
) -> None:
    versions = [template_from(f"messages: {{system: '{n}'}}") for n in range(6)]
    databases = [Database.open(tmp_path / "both.db") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        kept = threads.map(lambda each: PromptStore(each).keep(versions), databases)
        assert sum(kept) == len(versions)
    found = PromptStore(databases[0]).versions("shop")
    assert [each.number for each in found] == [1, 2, 3, 4, 5, 6]
    for each in databases:
        each.close()
