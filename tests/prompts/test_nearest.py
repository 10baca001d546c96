"""Few-shot examples by meaning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.prompts.example import Examples
from headrace.prompts.file import ExampleEntry, ExamplesSpec
from headrace.prompts.nearest import nearest
from headrace.prompts.vector import Vectors
from headrace.types import Embedder


def examples_of(*texts: str, **spec: object) -> Examples:
    entries = [ExampleEntry(user=each, assistant="ok") for each in texts]
    return Examples(tuple(entries), ExamplesSpec(entries=entries, choose="nearest", **spec))  # type: ignore[arg-type]


def unit(*given: tuple[float, ...]) -> NDArray[np.float32]:
    rows = np.array(given, np.float32)
    made: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


VECTORS = unit((1, 0.05, 0), (1, 0, 0), (0.7, 0, 0.7), (0, 1, 0))


def chosen(examples: Examples) -> list[str]:
    found = nearest(examples, None, unit((1, 0, 0.3))[0], VECTORS)
    return [each.user for each in found]


def test_the_likest_stand_last() -> None:
    assert chosen(examples_of("a", "b", "c", "d", most=3, diversity=0.0)) == ["c", "a", "b"]


def test_diversity_prefers_another_kind_to_a_double() -> None:
    assert chosen(examples_of("a", "b", "c", "d", most=2, diversity=0.0)) == ["a", "b"]
    assert chosen(examples_of("a", "b", "c", "d", most=2, diversity=0.5)) == ["c", "b"]


def test_what_does_not_fit_makes_room_for_what_does() -> None:
    examples = examples_of("a" * 300, "b" * 300, "c", "d", max_tokens=60, diversity=0.0)
    assert chosen(examples) == ["d", "c"]


@given(
    lengths=st.lists(st.integers(1, 400), min_size=4, max_size=4),
    most=st.one_of(st.none(), st.integers(1, 5)),
    room=st.one_of(st.none(), st.integers(16, 400)),
    diversity=st.floats(0, 1),
)
def test_the_bounds_hold_and_nobody_comes_twice(
    lengths: list[int], most: int | None, room: int | None, diversity: float
) -> None:
    texts = [letter * length for letter, length in zip("abcd", lengths, strict=True)]
    examples = examples_of(*texts, most=most, max_tokens=room, diversity=diversity)
    found = chosen(examples)
    assert len(found) == len(set(found)) <= (most or 4)
    total = sum(examples.tokens(ExampleEntry(user=each, assistant="ok")) for each in found)
    assert room is None or total <= room
    if most is None and room is None:
        assert len(found) == 4


@pytest.mark.model
async def test_the_examples_of_the_subject_are_found(multilingual: Embedder) -> None:
    examples = examples_of(
        "Where is my parcel?",
        "How do I reset my password?",
        "My delivery is late.",
        "Can I pay by invoice?",
        most=2,
    )
    vectors = Vectors(multilingual)
    known = await vectors.of([each.user for each in examples.entries])
    found = nearest(examples, None, await vectors.one("The package has not come yet"), known)
    assert {each.user for each in found} == {"Where is my parcel?", "My delivery is late."}
