"""From files to an index: only what changed is read, and nothing half-made is ever seen."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.snapshot import Snapshot
from headrace.knowledge.index.store import connect
from headrace.knowledge.settings import SourceSettings
from tests.knowledge.index.conftest import Base

REPOSITORY = Path(__file__).parents[3]


async def test_only_what_changed_is_read_and_embedded(base: Base) -> None:
    base.write("a.md", "# Wheel\n\nThe wheel is three metres high.\n")
    base.write("b.md", "# Race\n\nThe race brings water to the wheel.\n")
    first = await base.sync()
    assert (first.added, first.changed) == (["docs/a.md", "docs/b.md"], True)
    asked = len(base.embedder.texts)
    again = await base.sync()
    assert (again.unchanged, again.changed, again.version) == (2, False, first.version)
    base.write("b.md", "# Race\n\nThe race is dry in summer.\n")
    third = await base.sync()
    assert (third.updated, third.unchanged) == (["docs/b.md"], 1)
    assert len(base.embedder.texts) == asked + 1
    assert third.version != first.version
    (base.docs / "a.md").unlink()
    fourth = await base.sync()
    assert fourth.removed == ["docs/a.md"]
    assert await base.find("wheel metres") != ["docs/a.md"]


async def test_a_touched_file_is_not_embedded_again_and_the_version_stays(base: Base) -> None:
    path = base.write("a.md", "The wheel turns.")
    first = await base.sync()
    os.utime(path, ns=(1, 1))
    assert (await base.sync()).version == first.version
    assert len(base.embedder.texts) == 1


async def test_what_cannot_be_read_is_said_and_the_rest_is_there(base: Base) -> None:
    base.write("good.md", "Water drives the mill.")
    (base.docs / "bad.pdf").write_bytes(b"no PDF at all")
    base.sources = (*base.sources, SourceSettings(path="missing.md"))
    report = await base.sync()
    assert sorted(each.source for each in report.unread) == ["docs/bad.pdf", "missing.md"]
    assert await base.find("mill") == ["docs/good.md"]


async def test_a_folder_that_is_away_keeps_its_documents(base: Base) -> None:
    base.write("a.md", "Water drives the mill.")
    await base.sync()
    base.docs.rename(base.root / "elsewhere")
    report = await base.sync()
    assert [each.source for each in report.unread] == ["docs"]
    assert await base.find("mill") == ["docs/a.md"]


async def test_another_embedding_model_makes_every_vector_anew(base: Base) -> None:
    base.write("a.md", "Water drives the mill.")
    first = await base.sync()
    base.embedder.id = "other"
    second = await base.sync()
    assert second.version != first.version
    assert second.embedded == 1


async def test_a_reader_keeps_its_version_until_it_looks_again(base: Base) -> None:
    base.write("a.md", "Water drives the mill.")
    await base.sync()
    before = base.open()
    (base.docs / "a.md").unlink()
    base.write("b.md", "Wind drives the mill.")
    await base.sync()
    found = await before.search("mill", limit=3, roles=set())
    after = base.open()
    assert [each.uri for each in found] == ["docs/a.md"]
    assert [each.uri for each in await after.search("mill", limit=3, roles=set())] == ["docs/b.md"]
    assert before.version != after.version
    before.close()
    after.close()


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
async def test_a_full_disk_leaves_the_last_version(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.write("a.md", "Water drives the mill.")
    await base.sync()
    base.write("b.md", "Wind drives the mill. " * 2000)

    def small(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
        made = connect(path, read_only=read_only)
        (pages,) = made.execute("PRAGMA page_count").fetchone()
        made.execute(f"PRAGMA max_page_count = {pages + 2}")
        return made

    with monkeypatch.context() as patch:
        patch.setattr("headrace.knowledge.index.store.connect", small)
        with pytest.raises(KnowledgeUnusable, match="the disk is full; the last version stays"):
            await base.sync()
    assert await base.find("mill") == ["docs/a.md"]
    assert len(list((base.home / "knowledge").glob("v-*"))) == 1
    await base.sync()
    assert "docs/b.md" in await base.find("wind")


def test_a_second_writer_is_told_to_wait(base: Base) -> None:
    with (
        base.place.store(),
        pytest.raises(KnowledgeUnusable, match="another command"),
        base.place.store(),
    ):
        pass


_CHILD = """
import asyncio, pathlib, sys
sys.path.insert(0, {repository!r})
from tests.knowledge.index.conftest import Base
base = Base(pathlib.Path({root!r}), {server!r})
print("ready", flush=True)
print(asyncio.run(base.sync()).version)
"""


async def test_a_sync_killed_at_any_moment_shows_the_old_version_or_the_new(base: Base) -> None:
    chance = random.Random(4)
    base.write("first.md", "The old mill stands.")
    await base.sync()
    old = await base.find("mill")
    killed = 0
    for round_ in range(4):
        for i in range(150):
            base.write(f"r{round_}/{i}.md", f"# Mill {i}\n\n" + f"Mill {round_} {i} grinds. " * 30)
        child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _CHILD.format(
                    repository=str(REPOSITORY), root=str(base.root), server=base.place.server
                ),
            ],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        try:
            child.wait(timeout=chance.uniform(0.02, 0.5))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            killed += 1
        child.wait()
        child.stdout.close()
        opened = base.open()
        count = len(opened)
        if isinstance(opened._snapshot, Snapshot):
            assert len(opened._snapshot.vectors) == len(opened._snapshot.postings.lengths) == count
        assert (await opened.search("mill", limit=3, roles=set())) != []
        opened.close()
        whole = await base.sync()
        assert not whole.unread
        anew = base.open()
        assert len(anew) == len(list(base.docs.rglob("*.md")))
        anew.close()
    assert old == ["docs/first.md"]
    assert killed >= 2
