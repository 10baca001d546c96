"""Versions: what adding, reading, comparing and erasing do to them; and what a kill does not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.datasets.errors import DatasetUnreadable, UnknownDataset
from headrace.datasets.example import Example, Provenance
from headrace.datasets.parse import Problem, parse_object
from headrace.datasets.store import FOLDER, DatasetStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database

pytestmark = pytest.mark.engines


def example(what: object, *, subject: str = "") -> Example:
    made = parse_object({"prompt": f"Question {what}?", "completion": f"Answer {what}."})
    if not subject:
        return made
    return Example(kind=made.kind, messages=made.messages, provenance=Provenance(subject=subject))


def examples(*numbers: int) -> list[Example]:
    return [example(each) for each in numbers]


def texts(rows: Iterator[Example]) -> list[str]:
    return [each.messages[0].text() for each in rows]


def test_rows_come_back_in_order(store: DatasetStore) -> None:
    rows = examples(*range(700))
    added = store.add("faq", rows, what="test")
    assert list(store.rows(added.version)) == rows
    assert (added.version.reference, added.version.rows) == ("faq@1", 700)
    assert store.get("faq") == added.version


def test_adding_makes_a_version_and_leaves_the_one_before(store: DatasetStore) -> None:
    first = store.add("faq", examples(1, 2), what="a").version
    second = store.add("faq", examples(2, 3, 3), what="b")
    assert (second.rows, second.duplicates) == (1, 2)
    assert texts(store.rows(first)) == ["Question 1?", "Question 2?"]
    assert texts(store.rows(second.version)) == ["Question 1?", "Question 2?", "Question 3?"]
    assert [each.what for each in second.version.manifest.origins] == ["a", "b"]
    assert [each.number for each in store.versions("faq")] == [2, 1]
    assert store.get("faq@1") == store.get(f"faq@{first.digest[:16]}") == first


def test_adding_nothing_new_makes_no_version(store: DatasetStore) -> None:
    first = store.add("faq", examples(1), what="a").version
    again = store.add("faq", examples(1), what="a")
    assert (again.version, again.is_new) == (first, False)


def test_the_same_rows_have_the_same_digest_however_they_came(store: DatasetStore) -> None:
    whole = store.add("one", examples(1, 2, 3), what="a").version
    store.add("two", examples(1), what="a")
    parts = store.add("two", examples(2, 3), what="b").version
    other = store.add("three", examples(2, 1, 3), what="a").version
    assert whole.digest == parts.digest != other.digest


def test_wrong_rows_are_told_and_counted(store: DatasetStore) -> None:
    problem = Problem(file="f", line=1, what="wrong")
    told: list[Problem] = []
    added = store.add("faq", [problem, example(1)], what="f", problems=told.append)
    assert told == [problem]
    assert added.version.manifest.origins[0].refused == 1


def test_what_differs_is_found_by_content(store: DatasetStore) -> None:
    old = store.add("old", examples(1, 2, 3), what="a").version
    new = store.add("new", examples(3, 4, 1), what="a").version
    diff = store.diff(old, new)
    assert texts(store.find(new, diff.added)) == ["Question 4?"]
    assert texts(store.find(old, diff.removed)) == ["Question 2?"]
    assert diff.kept == 2


def test_texts_are_sealed_on_the_disk(store: DatasetStore, tmp_path: Path) -> None:
    store.add("faq", examples(1), what="a")
    files = [each for each in (tmp_path / FOLDER).rglob("*") if each.is_file()]
    assert files
    assert all(b"Question" not in each.read_bytes() for each in files)
    assert all(each.stat().st_mode & 0o077 == 0 for each in files if each.suffix == ".rows")


def test_an_erased_persons_rows_are_gone_and_the_others_stay(
    store: DatasetStore, vault: Vault
) -> None:
    version = store.add(
        "faq", [example(1), example(2, subject="ann"), example(3)], what="a"
    ).version
    vault.destroy("ann")
    assert texts(store.rows(version)) == ["Question 1?", "Question 3?"]
    assert store.erased(version) == 1
    assert store.get("faq").digest == version.digest


@pytest.mark.parametrize("name", ["", "UPPER", "../x", "a b", "-x", "x" * 65])
def test_a_name_that_cannot_be_one_is_refused(name: str, store: DatasetStore) -> None:
    with pytest.raises(UnknownDataset):
        store.add(name, examples(1), what="a")


def test_an_unknown_dataset_is_told_with_the_nearest(store: DatasetStore) -> None:
    store.add("support", examples(1), what="a")
    with pytest.raises(UnknownDataset) as caught:
        store.get("suport")
    assert "support" in caught.value.hint
    with pytest.raises(UnknownDataset):
        store.get("support@2")


def test_a_changed_segment_is_noticed(store: DatasetStore, tmp_path: Path) -> None:
    version = store.add("faq", examples(1, 2), what="a").version
    path = version.manifest.segments[0].path(tmp_path / FOLDER)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetUnreadable, match="changed"):
        list(store.rows(version))
    path.write_bytes(data[:-9])
    with pytest.raises(DatasetUnreadable):
        list(store.rows(version))
    path.unlink()
    with pytest.raises(DatasetUnreadable, match="gone"):
        list(store.rows(version))


def test_a_source_that_breaks_off_leaves_no_version(store: DatasetStore, tmp_path: Path) -> None:
    def broken() -> Iterator[Example]:
        yield from examples(*range(2000))
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        store.add("faq", broken(), what="a")
    assert store.newest() == []
    assert list((tmp_path / FOLDER).rglob("*.part")) == []


def test_a_split_stays_as_it_is_while_rows_are_added(store: DatasetStore) -> None:
    shares = {"train": 0.7, "test": 0.3}
    first = store.add("faq", examples(*range(300)), what="a").version
    before = set(texts(store.rows(first, split="test", shares=shares)))
    second = store.add("faq", examples(*range(300, 900)), what="b").version
    after = set(texts(store.rows(second, split="test", shares=shares)))
    assert before == {each for each in after if int(each.split()[1][:-1]) < 300}
    sizes = store.split_sizes(second, shares)
    assert sum(sizes.values()) == 900
    assert 210 < sizes["test"] < 330


_KILLED = """
import sys
from pathlib import Path
from headrace.datasets.parse import parse_object
from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
home = Path(sys.argv[1])
database = Database.open(home / "state.db")
store = DatasetStore(database, Vault.open(database, home), home)
def rows():
    for i in range(10**9):
        if i == 60_000:
            print("half", flush=True)
        yield parse_object({"prompt": f"q {i}", "completion": f"a {i}"})
store.add("faq", rows(), what="endless")
"""


@pytest.mark.sqlite
def test_a_killed_process_leaves_the_version_before(store: DatasetStore, tmp_path: Path) -> None:
    version = store.add("faq", examples(1, 2), what="a").version
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert store.get("faq") == version
    assert texts(store.rows(store.get("faq"))) == ["Question 1?", "Question 2?"]
    added = store.add("faq", examples(3), what="b").version
    assert texts(store.rows(added))[-1] == "Question 3?"


@pytest.mark.sqlite
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=5))
def test_a_dataset_is_every_row_once_in_the_order_of_its_first_coming(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]
) -> None:
    home = tmp_path_factory.mktemp("home")
    database = Database.open(home / "state.db")
    store = DatasetStore(database, Vault.open(database, home), home)
    for part in parts:
        store.add("faq", examples(*part), what="part")
    wanted = list(dict.fromkeys(each for part in parts for each in part))
    if parts:
        assert list(store.rows(store.get("faq"))) == examples(*wanted)
    database.close()
