"""The master key's file: made once, private, and never taken for what it is not."""

import base64
import threading
from pathlib import Path

import pytest

from headrace.privacy.errors import MasterKeyUnusable
from headrace.privacy.master import MASTER_KEY_VARIABLE, MasterKey


def test_the_file_is_for_its_owner_alone_and_nothing_else_is_left(tmp_path: Path) -> None:
    MasterKey.create(tmp_path / "master.key")
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["master.key"]


def test_a_loaded_key_is_the_one_that_was_made(tmp_path: Path) -> None:
    made = MasterKey.create(tmp_path / "master.key")
    loaded = MasterKey.load(tmp_path / "master.key")
    assert (made.wrapping, made.check) == (loaded.wrapping, loaded.check)
    assert made.subject_id("ada") == loaded.subject_id("ada")


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    MasterKey.create(tmp_path / "master.key")
    before = (tmp_path / "master.key").read_bytes()
    MasterKey.create(tmp_path / "master.key")
    assert (tmp_path / "master.key").read_bytes() == before


def test_many_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    checks: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: checks.append(MasterKey.create(tmp_path / "master.key").check)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checks) == 8
    assert len(set(checks)) == 1


def test_what_is_derived_differs_and_does_not_show_the_key(tmp_path: Path) -> None:
    key = MasterKey.create(tmp_path / "master.key")
    other = MasterKey.create(tmp_path / "other.key")
    stored = (tmp_path / "master.key").read_text()
    assert key.check not in stored
    assert key.check != other.check
    assert key.subject_id("ada") != other.subject_id("ada")
    assert key.subject_id("ada") != key.subject_id("Ada")
    assert len(key.subject_id("李雷")) == 32


@pytest.mark.parametrize(
    "content",
    [b"", b"not base64!", b"c2hvcnQ=", b"\x00" * 32, b"A" * 43],
    ids=["empty", "no base64", "too short", "raw bytes", "broken padding"],
)
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "master.key").write_bytes(content)
    with pytest.raises(MasterKeyUnusable, match="does not hold a master key") as caught:
        MasterKey.load(tmp_path / "master.key")
    assert "backup" in caught.value.hint


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="cannot be read"):
        MasterKey.load(tmp_path / "master.key")


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="cannot be written"):
        MasterKey.create(tmp_path / "nowhere" / "master.key")


def test_the_environment_may_bring_the_key_of_the_file(tmp_path: Path) -> None:
    made = MasterKey.create(tmp_path / "master.key")
    text = (tmp_path / "master.key").read_text()
    given = MasterKey.given({MASTER_KEY_VARIABLE: text})
    assert given is not None
    assert given.check == made.check
    assert MasterKey.given({}) is None


@pytest.mark.parametrize(
    "text",
    ["", "  ", "not base64!", "c2hvcnQ=", "A" * 43, "密钥", base64.b64encode(b"k" * 64).decode()],
)
def test_a_variable_that_holds_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(MasterKeyUnusable, match="HEADRACE_MASTER_KEY does not hold") as caught:
        MasterKey.given({MASTER_KEY_VARIABLE: text})
    assert not text.strip() or text not in caught.value.message + caught.value.hint
