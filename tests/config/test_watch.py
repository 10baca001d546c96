import os
from pathlib import Path

import pytest

from headrace.config.watch import ServiceFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "headrace.yaml").write_text("name: ${file:secrets/name}\n")
    (tmp_path / "prompts" / "a.yaml").write_text("description: ${file:../secrets/words}\n")
    (tmp_path / "secrets" / "name").write_text("x")
    return tmp_path


def test_the_files_are_those_that_load_reads(root: Path) -> None:
    found = {path.resolve().relative_to(root).as_posix() for path in ServiceFiles(root).paths()}
    assert found == {
        "catalogue.yaml",
        "entities.csv",
        "entities.yaml",
        "headrace.yaml",
        "prompts/a.yaml",
        "secrets/name",
        "secrets/words",
    }


@pytest.mark.parametrize(
    "name",
    [
        "catalogue.yaml",
        "entities.csv",
        "entities.yaml",
        "headrace.yaml",
        "prompts/a.yaml",
        "prompts/b.yaml",
        "policies/p.yaml",
        "secrets/name",
        "secrets/words",
    ],
)
def test_a_file_that_is_written_or_added_changes_the_fingerprint(name: str, root: Path) -> None:
    files = ServiceFiles(root)
    before = files.fingerprint()
    assert files.fingerprint() == before
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("description: another\n")
    assert files.fingerprint() != before


def test_a_file_that_goes_away_changes_the_fingerprint(root: Path) -> None:
    files = ServiceFiles(root)
    before = files.fingerprint()
    (root / "prompts" / "a.yaml").unlink()
    assert files.fingerprint() != before


def test_a_file_of_the_same_size_and_time_put_in_its_place_changes_the_fingerprint(
    root: Path,
) -> None:
    files = ServiceFiles(root)
    before = files.fingerprint()
    old = (root / "headrace.yaml").stat()
    new = root / "new"
    new.write_text("name: ${file:secrets/NAME}\n")
    os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
    new.replace(root / "headrace.yaml")
    assert files.fingerprint() != before


def test_a_file_named_only_after_an_edit_is_watched_from_then_on(root: Path) -> None:
    files = ServiceFiles(root)
    files.fingerprint()
    (root / "headrace.yaml").write_text("name: x${file:later}\n")
    before = files.fingerprint()
    (root / "later").write_text("y")
    assert files.fingerprint() != before


def test_files_that_no_setting_names_change_nothing(root: Path) -> None:
    files = ServiceFiles(root)
    before = files.fingerprint()
    (root / "README.md").write_text("x")
    (root / ".headrace").mkdir()
    assert files.fingerprint() == before


def test_a_folder_without_a_service_has_a_fingerprint(tmp_path: Path) -> None:
    assert ServiceFiles(tmp_path / "absent").fingerprint()[0][1] is None


def test_an_unreadable_text_is_watched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_bytes(b"\xff ${file:a} ${file:b\0c}")
    assert tmp_path / "a" in ServiceFiles(tmp_path).paths()
