"""`headrace knowledge`: with the real embedding model, from files to passages."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call


@pytest.fixture
def docs(folder: Path, embedding_folder: Path) -> Path:
    home = folder / ".headrace"
    home.mkdir(exist_ok=True)
    (home / "models").symlink_to(embedding_folder)
    made = folder / "docs"
    made.mkdir()
    (made / "wheel.md").write_text(
        "# Wheel\n\nThe wheel of the mill is three metres high.\n", "utf-8"
    )
    (made / "tea.md").write_text("# 茶\n\n龙井茶产于杭州，是绿茶的一种。\n", "utf-8")
    return made


@pytest.mark.model
def test_documents_are_added_searched_synced_and_removed(call: Call, docs: Path) -> None:
    added = call("knowledge", "add", "docs")
    assert added.status == 0, added.err
    assert "2 added" in added.out
    (best, *_) = json.loads(call("knowledge", "search", "绿茶", "--json").out)
    assert best["uri"] == "docs/tea.md"
    assert 0 < best["score"] <= 1
    assert "Wheel" in call("knowledge", "search", "how tall is it").out
    (docs / "broken.pdf").write_bytes(b"no PDF")
    (docs / "tea.md").unlink()
    synced = call("knowledge", "sync")
    assert synced.status == 1
    assert "1 removed, 1 unchanged" in synced.out
    assert "not read: docs/broken.pdf" in synced.err
    assert "docs/wheel.md" in call("knowledge", "list").out
    assert json.loads(call("knowledge", "stats", "--json").out)["documents"] == 1
    assert call("knowledge", "remove", "docs").status == 0
    assert json.loads(call("knowledge", "stats", "--json").out)["documents"] == 0
    assert call("knowledge", "remove", "docs").status == 1


@pytest.mark.model
def test_only_readers_find_what_has_readers(call: Call, docs: Path) -> None:
    assert call("knowledge", "add", "docs/wheel.md", "--readers", "admin").status == 0
    assert "nothing was found" in call("knowledge", "search", "wheel").err
    assert "Wheel" in call("knowledge", "search", "wheel", "--role", "admin").out


@pytest.mark.model
def test_a_source_that_is_not_there_is_said_and_not_remembered(call: Call, docs: Path) -> None:
    del docs
    added = call("knowledge", "add", "nowhere.md")
    assert added.status == 1
    assert "nowhere.md: cannot be read" in added.err
    assert call("knowledge", "sync").status == 0
