"""What one gateway takes over of another on the same server: releases, tags, knowledge."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import TAGS_FILE, PromptStore
from headrace.releases.build import manifest_of
from headrace.releases.channel import (
    PRODUCTION,
    Serving,
    read_serving,
    served_root,
    write_serving,
)
from headrace.releases.store import ReleaseStore
from headrace.server.follow import RETRY_S, Follower
from headrace.server.knowledge import CURRENT
from headrace.storage.database import Database
from tests.knowledge.index.conftest import Base

FILES = {"headrace.yaml": b"pipeline: [generate]\n"}


class Pair:
    """Two homes on one server; the second follows."""

    def __init__(self, folder: Path, address: str) -> None:
        self.database = Database.open(address)
        self.homes = [folder / "first", folder / "second"]
        for home in self.homes:
            home.mkdir()
        self.stores = [ReleaseStore(self.database, home) for home in self.homes]
        self.follower = Follower(self.database, folder, self.homes[1])

    def deploy(self) -> str:
        """A release built and served by the first; gives its digest."""
        manifest = manifest_of(
            FILES, [], service="mill", behaviour="sha256:b", models={}, knowledge=None
        )
        release, _ = self.stores[0].add(manifest, FILES)
        self.stores[0].move(PRODUCTION, release.digest, who="ada", why="")
        return release.digest

    def trust(self) -> None:
        """The second trusts what the first signs."""
        trusted = self.homes[1] / "trusted-releases"
        trusted.mkdir()
        shutil.copy(self.homes[0] / "release.pub", trusted / "first.pub")


@pytest.fixture
def pair(tmp_path: Path, postgres_database: str) -> Iterator[Pair]:
    made = Pair(tmp_path, postgres_database)
    yield made
    made.database.close()


def test_a_release_that_another_serves_is_served_with_its_files(pair: Pair, tmp_path: Path) -> None:
    digest = pair.deploy()
    pair.trust()
    pair.follower.look()
    serving = read_serving(pair.homes[1])
    assert serving is not None
    assert serving.release == digest
    served = served_root(tmp_path, pair.homes[1])
    assert (served / "headrace.yaml").read_bytes() == FILES["headrace.yaml"]
    pair.stores[0].move(PRODUCTION, "", who="ada", why="back")
    pair.follower.look()
    assert served_root(tmp_path, pair.homes[1]) == tmp_path


def test_a_release_that_nobody_trusted_signed_is_not_served(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.deploy()
    pair.follower.look()
    pair.follower.look()
    assert read_serving(pair.homes[1]) is None
    assert caplog.text.count("signed by nobody who is trusted here") == 1


def test_a_release_that_was_refused_is_served_once_its_signer_is_trusted(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    follower = Follower(pair.database, tmp_path, pair.homes[1], clock=lambda: now)
    digest = pair.deploy()
    follower.look()
    now += RETRY_S
    follower.look()
    assert caplog.text.count("signed by nobody who is trusted here") == 1
    pair.trust()
    now += RETRY_S / 2
    follower.look()
    assert read_serving(pair.homes[1]) is None
    now += RETRY_S / 2
    follower.look()
    serving = read_serving(pair.homes[1])
    assert serving is not None
    assert serving.release == digest


def test_what_is_served_here_already_is_left_alone(pair: Pair) -> None:
    digest = pair.deploy()
    here = Serving(release=digest, name="r1", folder="/somewhere")
    write_serving(pair.homes[1], here)
    pair.follower.look()
    assert read_serving(pair.homes[1]) == here


def test_a_tag_that_was_moved_makes_the_service_look(pair: Pair, tmp_path: Path) -> None:
    prompts = PromptStore(pair.database)
    library = PromptLibrary.load(tmp_path, {})
    prompts.keep(library.templates())
    pair.follower.look()
    assert not (pair.homes[1] / TAGS_FILE).exists()
    name = prompts.names()[0]
    prompts.tag(prompts.versions(name)[0], "production")
    pair.follower.look()
    assert (pair.homes[1] / TAGS_FILE).exists()


async def test_a_newer_version_of_the_knowledge_is_noted(
    pair: Pair, tmp_path: Path, postgres_database: str
) -> None:
    pair.follower.look()
    assert not (pair.homes[1] / CURRENT).exists()
    base = Base(tmp_path, postgres_database)
    base.write("a.md", "Water drives the mill.")
    report = await base.sync()
    pair.follower.look()
    assert (pair.homes[1] / CURRENT).read_text("utf-8") == report.version


def test_a_server_that_is_away_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = Database(create_engine("postgresql+psycopg://127.0.0.1:1/x"))
    follower = Follower(away, tmp_path, tmp_path)
    follower.look()
    follower.look()
    assert caplog.text.count("cannot be read") == 1
