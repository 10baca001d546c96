"""What looks at rows: splits, near-duplicates, overlaps with suites, figures, cards."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.datasets.card import card_of
from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.guarantee import guarantee_of
from headrace.datasets.overlap import OverlapFinder
from headrace.datasets.parse import parse_object
from headrace.datasets.similar import find_similar
from headrace.datasets.split import split_of
from headrace.datasets.statistics import Looks, measure
from headrace.datasets.store import DatasetStore

WORDS = [
    "the",
    "mill",
    "stands",
    "by",
    "the",
    "river",
    "and",
    "its",
    "owner",
    "wrote",
    "down",
    "every",
    "sack",
    "of",
    "flour",
    "that",
    "left",
]


def sentence(seed: int, words: int = 60) -> str:
    picked = random.Random(seed).choices(WORDS, k=words)
    return " ".join(f"{each}{i % 7}" for i, each in enumerate(picked))


@given(st.integers(0, 2**64 - 1), st.floats(0.01, 0.98), st.floats(0.0, 1.0))
def test_a_smaller_share_moves_rows_out_of_it_and_none_in(
    group: int, share: float, factor: float
) -> None:
    less = share * factor
    small = split_of(group, {"train": less, "rest": 1 - less})
    large = split_of(group, {"train": share, "rest": 1 - share})
    assert (small, large) != ("train", "rest")


def test_shares_that_are_not_a_whole_are_refused() -> None:
    with pytest.raises(DatasetInvalid, match="sum to"):
        split_of(1, {"train": 0.5, "test": 0.4})


def test_rows_that_differ_in_a_word_are_similar_and_others_are_not() -> None:
    base = [sentence(seed) for seed in range(40)]
    changed = [each.replace("mill", "barn", 1) + "!" for each in base[:10]]
    found = find_similar([*base, *changed])
    assert [each for each in found.groups if len(each) == 2] == [[i, 40 + i] for i in range(10)]
    assert found.repeats == 10


def test_case_spaces_and_marks_do_not_make_a_row_another() -> None:
    texts = [
        "你好，今天天气很好，我们去公园吧。",
        "你好,今天天气很好, 我们去公园吧!",
        "别的话题完全不同了吧",
    ]
    assert find_similar(texts).groups == [[0, 1]]
    assert find_similar([]).groups == find_similar(["", ""][:1]).groups == []


def test_a_row_that_gives_a_case_away_is_found() -> None:
    finder = OverlapFinder(
        [
            ("long", sentence(1, 30)),
            ("zh", "水车的轮子直径是七米，每分钟转六圈。"),
            ("short", "Who is it?"),
        ]
    )
    assert finder.skipped == ["short"]
    rows = [
        parse_object({"prompt": "Nothing", "completion": "to see here, move along please."}),
        parse_object({"prompt": "Say it", "completion": f"Well: {sentence(1, 30).upper()}, so."}),
        parse_object({"prompt": "问", "completion": "水车的轮子直径是七米,每分钟转六圈"}),
    ]
    found = list(finder.find(rows))
    assert [(each.row, each.case) for each in found] == [(1, "long"), (2, "zh")]
    assert found[0].example == rows[1].id


def test_figures_and_the_card_say_what_is_in_a_version(store: DatasetStore) -> None:
    rows = [
        parse_object({"prompt": "one two", "completion": sentence(3)}),
        parse_object({"prompt": "one two three", "completion": sentence(3) + "."}),
        parse_object({"prompt": "x", "chosen": "yes", "rejected": "no"}),
    ]
    version = store.add("faq", rows, what="rows.jsonl", digest="ab" * 32).version
    looks = Looks(
        tokens=lambda text: len(text.split()),
        language=lambda text: "en" if len(text) > 20 else None,
        findings=lambda text: ["email"] if "mill" in text else [],
    )
    seen: list[int] = []
    found = measure(store.rows(version), looks, saw=seen.append)
    assert (found.rows, found.kinds) == (3, {"completion": 2, "preference": 1})
    assert (found.prompt.total, found.prompt.p50, found.prompt.longest) == (6, 2, 3)
    assert found.answer.longest == 60
    assert found.languages == {"en": 2, "unknown": 1}
    assert found.similar_rows == 1
    assert seen == [1, 2, 3]
    promised = guarantee_of(version, store.ledger(version))
    card = card_of(version, found, store.split_sizes(version, {"train": 1.0}), promised)
    for part in (version.digest, "rows.jsonl", "- en", "| split `train` | 3 |", "email: in 2 rows"):
        assert part in card
