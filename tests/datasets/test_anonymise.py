"""Anonymised versions: nobody is told from fewer than k people, whatever the rows were."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.datasets.anonymise import Fields, anonymise
from headrace.datasets.anonymity import Goal, find_recoding
from headrace.datasets.errors import DatasetInvalid, GuaranteeUnreachable
from headrace.datasets.example import Example, Provenance
from headrace.datasets.guarantee import Told, measured
from headrace.datasets.ladder import NOTHING, Value, ladder_from_file, ladder_of
from headrace.datasets.store import Added, DatasetStore
from headrace.types import Message

VALUES = st.one_of(
    st.lists(st.none() | st.integers(0, 120), min_size=8, max_size=30),
    st.lists(st.none() | st.floats(-10, 10, allow_nan=False), min_size=8, max_size=30),
    st.lists(st.dates().map(str), min_size=8, max_size=30),
    st.lists(st.from_regex(r"[0-9]{5}", fullmatch=True), min_size=8, max_size=30),
    st.lists(st.sampled_from(["zh-Hans-CN", "zh-Hant", "en-GB", "en", "de"]), min_size=8),
    st.lists(st.sampled_from(["北京", "上海", "Berlin", "EU/Berlin", ""]), min_size=8),
)


def rows(count: int = 60, *, people: int = 60) -> list[Example]:
    return [
        Example(
            kind="completion",
            messages=[
                Message(role="user", content=f"Question {at}?"),
                Message(role="assistant", content=f"Answer {at}."),
            ],
            metadata={
                "age": 20 + at % 30,
                "city": ("Berlin", "Bonn", "上海")[at % 3],
                "plan": ("free", "pro")[at % 2],
                "email": f"p{at}@example.org",
            },
            provenance=Provenance(subject=f"s_{at % people}"),
        )
        for at in range(count)
    ]


def anonymised(
    store: DatasetStore, made: Sequence[Example], fields: Fields, goal: Goal, name: str = "own"
) -> Added:
    return anonymise(store, name, lambda: made, fields, goal, source="test")


def classes(found: Iterator[Example], *names: str) -> dict[tuple[object, ...], set[str]]:
    people: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for each in found:
        people[tuple(each.metadata.get(name) for name in names)].add(each.provenance.subject)
    return people


@settings(max_examples=60, deadline=None)
@given(values=VALUES)
def test_going_up_a_ladder_never_takes_two_apart_and_ends_with_nothing(
    values: list[Value],
) -> None:
    ladder = ladder_of(values)
    for rung in range(ladder.top):
        above = {ladder.tell(each, rung): ladder.tell(each, rung + 1) for each in values}
        for each in values:
            assert above[ladder.tell(each, rung)] == ladder.tell(each, rung + 1)
    assert {ladder.tell(each, ladder.top) for each in values} == {NOTHING}
    assert [ladder.tell(each, 0) for each in values] == values


@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(
        st.builds(
            Told,
            person=st.sampled_from("abcdefgh"),
            quasi=st.tuples(st.none() | st.integers(0, 90), st.sampled_from(["a/b", "a/c", "d"])),
            sensitive=st.tuples(st.sampled_from([None, "x", "y", "z"])),
        ),
        min_size=1,
        max_size=40,
    ),
    k=st.integers(2, 4),
    least=st.integers(1, 3),
    most=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_what_is_told_reaches_the_goal_or_is_refused(
    told: list[Told], k: int, least: int, most: float
) -> None:
    ladders = [ladder_of(each.quasi[at] for each in told) for at in range(2)]
    goal = Goal(k=k, l=least, most_suppressed=most)
    try:
        recoding = find_recoding(told, ladders, goal)
    except GuaranteeUnreachable:
        # Telling nothing at all would have done, had there been enough of them.
        anybody = {each.person for each in told}
        anything = {each.sensitive for each in told} - {(None,)}
        assert len(anybody) < k or len(anything) < least
        return
    people: dict[tuple[Value, ...], set[str]] = defaultdict(set)
    said: dict[tuple[Value, ...], set[Value]] = defaultdict(set)
    kept = 0
    for each in told:
        quasi = recoding.tell(each.quasi)
        if quasi is not None:
            kept += 1
            people[quasi].add(each.person)
            said[quasi] |= {*each.sensitive} - {None}
    assert min(len(each) for each in people.values()) >= k
    assert min(len(each) for each in said.values()) >= least
    assert len(told) - kept <= most * len(told)


def test_people_are_counted_not_rows(store: DatasetStore) -> None:
    found = anonymised(store, rows(people=9), Fields(quasi=["age", "city"]), Goal(k=4))
    assert (
        min(len(each) for each in classes(store.rows(found.version), "age", "city").values()) >= 4
    )
    with pytest.raises(GuaranteeUnreachable, match="the rows are of 3 people"):
        anonymised(store, rows(people=3), Fields(quasi=["age"]), Goal(k=4), "other")


def test_the_report_says_what_the_rows_show(store: DatasetStore) -> None:
    fields = Fields(quasi=["age", "city"], sensitive=["plan"])
    version = anonymised(store, rows(), fields, Goal(k=5, l=2)).version
    report = version.manifest.anonymity
    assert report is not None
    found = classes(store.rows(version), "age", "city")
    assert report.k_reached == min(len(each) for each in found.values()) >= 5
    assert (report.l_reached, report.classes, report.people_by) == (2, len(found), "subject")
    assert report.measured_by.startswith("pycanon ")
    assert report.rows == version.rows == 60 - report.suppressed
    assert store.get("own").manifest.anonymity == report


def test_only_what_was_named_stays_beside_the_texts(store: DatasetStore) -> None:
    fields = Fields(quasi=["age"], keep=["city"])
    plain = store.add("plain", rows(), what="test").version
    version = anonymised(store, rows(), fields, Goal(k=5, most_suppressed=0)).version
    read = list(store.rows(version))
    assert {tuple(each.metadata) for each in read} == {("age", "city")}
    assert "@example.org" not in msgspec.json.encode(read).decode()
    # The same texts, so the same ids; the rows on the disk must not be the same.
    assert version.digest == plain.digest
    assert list(store.rows(plain)) == rows()


def test_a_version_has_the_anonymised_rows_alone(store: DatasetStore) -> None:
    fields, goal = Fields(quasi=["age"]), Goal(k=5)
    anonymised(store, rows(40), fields, goal)
    second = anonymised(store, rows(60)[20:], fields, goal).version
    assert (second.reference, second.rows) == ("own@2", 40)
    more = store.add("own", rows(1), what="more").version
    assert more.manifest.anonymity is None
    with pytest.raises(DatasetInvalid, match="own@3 has rows that were not anonymised"):
        anonymised(store, rows(), fields, goal)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (Fields(quasi=["agee"]), "no row has a field 'agee'"),
        (Fields(quasi=["age"], sensitive=["age"]), "named as two things"),
        (Fields(quasi=["parts"]), "is no single value"),
        (Fields(quasi=["age"], ladders={"city": Path("x.csv")}), "no quasi-identifier"),
    ],
)
def test_fields_that_would_make_a_false_promise(
    store: DatasetStore, fields: Fields, words: str
) -> None:
    made = [
        msgspec.structs.replace(each, metadata={**each.metadata, "parts": [1]}) for each in rows()
    ]
    with pytest.raises(DatasetInvalid, match=words):
        anonymised(store, made, fields, Goal(k=2))
    assert store.newest() == []


def test_people_who_are_not_named_might_be_one(store: DatasetStore) -> None:
    blank = [msgspec.structs.replace(each, provenance=Provenance()) for each in rows()]
    with pytest.raises(GuaranteeUnreachable, match="of 1 people"):
        anonymised(store, blank, Fields(quasi=["age"], person="user"), Goal(k=2))
    by_row = anonymised(store, blank, Fields(quasi=["age"]), Goal(k=2)).version.manifest.anonymity
    assert by_row is not None
    assert by_row.people_by == "row"


def test_a_ladder_of_ones_own(store: DatasetStore, tmp_path: Path) -> None:
    file = tmp_path / "cities.csv"
    file.write_text("Berlin,Germany\nBonn,Germany\n上海,China\n", "utf-8")
    fields = Fields(quasi=["city"], ladders={"city": file})
    version = anonymised(store, rows(), fields, Goal(k=30)).version
    assert {each.metadata["city"] for each in store.rows(version)} == {NOTHING}
    version = anonymised(
        store, rows(90, people=90), fields, Goal(k=30, most_suppressed=0.4)
    ).version
    assert {each.metadata["city"] for each in store.rows(version)} == {"Berlin", "Bonn", "上海"}
    file.write_text("Berlin,Germany,Europe\nBonn,Germany,World\n", "utf-8")
    with pytest.raises(DatasetInvalid, match=r"cities\.csv:2: 'Germany' becomes 'World'"):
        ladder_from_file(file)


def test_absent_values_count_as_a_class_of_their_own() -> None:
    told = [Told(person=str(at), quasi=(None if at < 2 else "x",)) for at in range(9)]
    assert measured(told)[0] == 2
