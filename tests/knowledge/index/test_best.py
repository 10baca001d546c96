"""The best rows are the best there are, however many are alike and wherever they stand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.index.best import best_rows


@given(
    size=st.integers(1, 5000),
    count=st.integers(1, 40),
    levels=st.integers(1, 2000),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_row_left_out_is_better_than_one_that_is_in(
    size: int, count: int, levels: int, seed: int
) -> None:
    count = min(count, size)
    scores = np.random.default_rng(seed).integers(-1, levels, size).astype(np.float32)
    found = best_rows(scores, count)
    assert len(set(found.tolist())) == count
    assert sorted(scores[found]) == sorted(scores)[size - count :]
