"""Markers of passages: one form, none of passages that are not there, spans of what the user reads."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.knowledge.passage import Passage
from headrace.pipeline.citation import MarkerFilter, MarkerScanner, cited
from headrace.pipeline.turn import Turn
from headrace.types import Citation, Delta, Deltas

TEXT = (
    "Leave is 25 days [1], see [2, 9] and 【3】。 Not [7]. Link [1](http://x), interval [0, 1], "
    "code `a[1]` and\n```\nb[2]\n```\n[2][1] open [1"
)


def passages(count: int) -> list[Passage]:
    return [
        Passage(
            id=f"p{n}", uri=f"{n}.md", title=f"T{n}", headings=(), page=None,
            start=n, end=n + 5, text=f"text {n}", score=1.0,
        )
        for n in range(1, count + 1)
    ]  # fmt: skip


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(min(at, len(text)) for at in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def filtered(pieces: list[str], known: int = 3) -> str:
    made = MarkerFilter(known)
    return "".join([*map(made.push, pieces), made.finish("stop")])


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("25 days [1].", "25 days [1]."),
        ("25 days [1, 3].", "25 days [1][3]."),
        ("十五天【2】。", "十五天[2]。"),
        ("25 days [7].", "25 days."),
        ("25 days [1, 7].", "25 days [1]."),
        ("see [1](http://example.org)", "see [1](http://example.org)"),
        ("x in [0, 1]", "x in [0, 1]"),
        ("use `list[7]` here [7]", "use `list[7]` here"),
        ("```\na[7]\n\nb[7]\n```\n[7]", "```\na[7]\n\nb[7]\n```\n"),
        ("in [2024] it", "in [2024] it"),
    ],
)
def test_a_marker_has_one_form_and_names_a_passage(written: str, shown: str) -> None:
    assert filtered([written]) == shown


def test_numbers_without_a_passage_are_counted() -> None:
    made = MarkerFilter(2)
    made.push("a [3] b [1, 9] c")
    assert made.unknown == 2


@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_what_is_shown_does_not_depend_on_how_the_answer_was_cut(cuts: list[int]) -> None:
    assert filtered(cut(TEXT, cuts)) == filtered([TEXT])


@given(text=st.text(alphabet="[]【】 `\n(1209,a。"), cuts=st.lists(st.integers(0, 40), max_size=8))
def test_pieces_add_up_to_the_text_however_it_was_cut(text: str, cuts: list[int]) -> None:
    scanner = MarkerScanner()
    pieces = [piece for part in cut(text, cuts) for piece in scanner.push(part)]
    pieces += scanner.finish()
    assert "".join(piece.text for piece in pieces) == text
    assert filtered(cut(text, cuts)) == filtered([text])


async def citations(pieces: list[str], count: int = 3) -> tuple[str, list[Citation]]:
    turn = Turn(principal=Principal("k", "k", "user"), messages=[])
    turn.passages = passages(count)

    async def deltas() -> Deltas:
        for piece in pieces:
            yield Delta(text=piece)
        yield Delta(finish_reason="stop")

    text, found = "", list[Citation]()
    async for delta in cited(turn, deltas()):
        text += delta.text
        found += [each for each in delta.annotations or () if isinstance(each, Citation)]
    return text, found


async def test_a_citation_names_its_passage_and_spans_its_marker_across_deltas() -> None:
    text, found = await citations(["Leave is 25 days [", "2", "]", " and `x[1]` [1]"])
    assert [(text[each.start : each.end], each.passage) for each in found] == [
        ("[2]", "p2"),
        ("[1]", "p1"),
    ]
    assert (found[0].uri, found[0].source_start, found[0].source_end) == ("2.md", 2, 7)


async def test_choices_are_counted_apart() -> None:
    turn = Turn(principal=Principal("k", "k", "user"), messages=[])
    turn.passages = passages(1)

    async def deltas() -> Deltas:
        yield Delta(index=0, text="long before [1")
        yield Delta(index=1, text="[1]!")
        yield Delta(index=0, text="].")

    spans = [
        (delta.index, each.start)
        async for delta in cited(turn, deltas())
        for each in delta.annotations or ()
    ]
    assert spans == [(1, 0), (0, 12)]
