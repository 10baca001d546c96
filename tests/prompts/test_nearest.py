"""Few-shot examples by meaning."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.prompts import vector
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
@pytest.mark.asyncio(loop_scope="session")
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


class Counting:
    """An embedder that says what it was asked for."""

    id = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        self.asked += texts
        return unit(*((1.0, len(each)) for each in texts))


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
async def test_a_later_process_computes_new_texts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    folder, first, second = tmp_path / "vectors", Counting(), Counting()
    monkeypatch.setattr(vector, "_kept", {})
    await Vectors(first).ready(["a", "bb", "a"], folder)
    assert first.asked == ["a", "bb"]
    [path] = folder.iterdir()
    if damage is not None:
        path.write_bytes(damage)
    monkeypatch.setattr(vector, "_kept", {})
    vectors = Vectors(second)
    await vectors.ready(["bb", "ccc"], folder)
    assert second.asked == (["ccc"] if damage is None else ["bb", "ccc"])
    found = await vectors.of(["bb", "ccc"])
    assert found == pytest.approx(unit((1, 2), (1, 3)), abs=1e-3)
    assert list(folder.iterdir()) == [path]
