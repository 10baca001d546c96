"""Full text: BM25 over arrays, against the formula written out, and for Chinese."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.index.postings import Postings
from headrace.knowledge.index.term import query_terms, terms

WORDS = st.lists(
    st.sampled_from(["mill", "wheel", "water", "race", "水", "水车", "磨坊", "a_b"]), max_size=9
)
TEXTS = st.lists(WORDS.map(" ".join), max_size=8)


def built(texts: list[str]) -> Postings:
    return Postings.empty().changed(np.zeros(0, np.int64), texts)


def plain(texts: list[str], query: str) -> list[float]:
    """BM25 as it stands in the books."""
    counts = [Counter(terms(text)) for text in texts]
    average = max(sum(each.total() for each in counts) / max(len(texts), 1), 1)
    scores = [0.0] * len(texts)
    for term in query_terms(query):
        having = sum(term in each for each in counts)
        rarity = math.log1p((len(texts) - having + 0.5) / (having + 0.5))
        for row, each in enumerate(counts):
            below = each[term] + 1.2 * (0.25 + 0.75 * each.total() / average)
            scores[row] += rarity * each[term] * 2.2 / below if each[term] else 0
    return scores


@given(texts=TEXTS, query=WORDS.map(" ".join))
def test_scores_are_those_of_the_formula(texts: list[str], query: str) -> None:
    postings = built(texts)
    assert postings.scores(query, postings.norms()).tolist() == pytest.approx(
        plain(texts, query), rel=1e-4
    )


@given(texts=TEXTS, more=TEXTS, data=st.data())
def test_a_changed_index_equals_one_built_anew(
    texts: list[str], more: list[str], data: st.DataObject
) -> None:
    kept = [i for i in range(len(texts)) if data.draw(st.booleans())]
    changed = built(texts).changed(np.array(kept, np.int64), more)
    anew = built([*(texts[i] for i in kept), *more])
    for query in ("mill wheel", "水车", "race"):
        assert changed.scores(query, changed.norms()).tolist() == pytest.approx(
            anew.scores(query, anew.norms()).tolist()
        )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("水", "这座磨坊用水驱动"),
        ("磨坊", "这座磨坊用水驱动"),
        ("怎么设置max_tokens参数", "max_tokens 是参数，限制长度"),
        ("ＭＩＬＬ", "the mill"),
        ("cafe", "Café Müller"),
        ("tokens", "set max_tokens to 5"),
        ("libraries", "a library of words"),
        ("한국어", "한국어 문서"),
    ],
)
def test_a_query_finds_its_text(query: str, text: str) -> None:
    postings = built([text, "nothing of that", "别的事情"])
    scores = postings.scores(query, postings.norms())
    assert scores.argmax() == 0
    assert scores[0] > 0
