"""`headrace knowledge`: with the real embedding model, from files to passages."""

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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
    assert "there are no documents" in call("knowledge", "search", "wheel").err
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


@pytest.mark.model
def test_chinese_documents_are_found_by_meaning_with_the_multilingual_model(
    call: Call, docs: Path, multilingual_folder: Path
) -> None:
    del multilingual_folder  # the folder of `docs` has it then
    (docs.parent / "headrace.yaml").write_text(
        "knowledge:\n  model: embedding-multilingual\n  sources: [{path: docs}]\n"
        "  retrieval: {vector_weight: 1}\n"
        "models:\n  chat:\n    deployments:\n"
        "      - {backend: openai_compatible, model: m, base_url: http://127.0.0.1:9/v1}\n"
        "pipeline: [generate]\n"
    )
    passages = {
        "ward": "急诊全天开放，按病情轻重而不是先来后到安排就诊。",
        "goods": "退货须在签收后三十天内提出，商品要保持原包装。",
        "quake": "地震时躲在结实的桌子下面，护住头部，不要乘电梯。",
        "school": "幼儿园入园年龄为三周岁，以九月一日为界。",
        "long": "面粉和谷物，水轮与石磨。" * 200,
    }
    for name, text in passages.items():
        (docs / f"{name}.txt").write_text(text, "utf-8")
    synced = call("knowledge", "sync")
    assert synced.status == 0, synced.err
    for question, name in (
        ("房子摇晃起来怎么躲避？", "quake"),
        ("孩子多大可以上托儿班？", "school"),
        ("Can I send back what I bought?", "goods"),
    ):
        found = json.loads(call("knowledge", "search", question, "--json").out)
        assert found[0]["uri"] == f"docs/{name}.txt", question


@pytest.mark.model
def test_chunks_that_the_model_does_not_read_whole_are_counted(call: Call, docs: Path) -> None:
    (docs.parent / "headrace.yaml").write_text(
        "models:\n  small:\n    deployments: [{backend: onnx, context_tokens: 16}]\n"
        "knowledge: {model: small, sources: [{path: docs}]}\npipeline: [generate]\n"
    )
    (docs / "long.txt").write_text("The wheel turns and the flour falls into the sack. " * 3)
    synced = call("knowledge", "sync")
    assert "2 chunks are longer than the model reads" in synced.err


@pytest.mark.model
def test_an_address_is_read_where_it_may_be(call: Call, docs: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(docs))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://localhost:{server.server_port}/wheel.md"
        refused = call("knowledge", "add", url)
        assert refused.status == 1
        assert "not read" in refused.err
        (docs.parent / "headrace.yaml").write_text(
            "models:\n  m:\n    deployments: [{backend: openai, model: m, api_key: sk-x}]\n"
            "knowledge: {read: {private_hosts: [localhost]}}\npipeline: [generate]\n"
        )
        added = call("knowledge", "add", url)
        assert added.status == 0, added.err
        (best, *_) = json.loads(call("knowledge", "search", "height of the wheel", "--json").out)
        assert best["uri"] == url
        assert "1 unchanged" in call("knowledge", "sync").out
        server.shutdown()
