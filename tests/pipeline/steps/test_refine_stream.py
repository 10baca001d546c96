import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.pipeline.steps.refine import RefineSettings, RefineStep
from headrace.pipeline.steps.refine.span import SpanReader
from headrace.pipeline.turn import Turn
from headrace.types import FinishReason, Message

PIECES = st.sampled_from(
    [
        *"abz AZ 019 .,;:!?\"'`~<>[]|*-_=/\\()\t\n",
        *"你好，。！？「」ไท ",
        "\n\n",
        "   ",
        "`",
        "``",
        "```",
        "```py\n",
        "\n```\n",
        "~~~\n",
        "\n- ",
        "\n1. ",
        "> ",
        "| a | b |\n",
        "the ",
        "the the ",
        "a a",
        "of",
        " of of ",
        " the",
        " of",
        "th",
        " (a",
        "\nof of",
        " was 12 was",
        "ha ",
        "Yes. ",
        "<|im_end|>",
        "<|im_start|>",
        "<|im_start|>assistant\n",
        "<|im_start|>user",
        "assistant",
        "Assistant:",
        "### Response:",
        "<s>",
        "</s>",
        "[INST]",
        "<|",
        "|>",
        "http://a.b/c",
        '"quoted"',
        "it's",
        "cut off. Here",
        "我用Python写",
        "The cat sat on the mat and looked around the room. ",
    ]
)
REPEATED = st.tuples(PIECES, st.integers(1, 60)).map(lambda pair: pair[0] * pair[1])
ANSWERS = st.lists(st.one_of(PIECES, PIECES, PIECES, REPEATED), max_size=30).map("".join)
SETTINGS = st.builds(
    RefineSettings,
    max_repeats=st.sampled_from([0, 2, 4]),
    doubled_words=st.booleans(),
    drop_unfinished=st.booleans(),
    typography=st.sampled_from(["off", "auto"]),
)
REASONS: st.SearchStrategy[FinishReason | None] = st.sampled_from(["stop", "length", None])
LANGUAGES = st.sampled_from([None, "en", "fr", "zh", "de"])


def cut(text: str, lengths: list[int]) -> Iterator[str]:
    at = 0
    for length in lengths:
        yield text[at : at + length]
        at += length
    yield text[at:]


def refine(
    pieces: Iterator[str],
    settings: RefineSettings,
    language: str | None,
    reason: FinishReason | None,
) -> tuple[str, dict[str, int] | str]:
    turn = Turn(
        principal=Principal(key_id="k", name="n", role="user"),
        messages=[Message(role="user", content="Hello?")],
        language=language,
    )
    text_filter = RefineStep(settings).filter(turn, "text", 0)
    assert text_filter is not None
    out = "".join(text_filter.push(piece) for piece in pieces if piece)
    out += text_filter.finish(reason)
    counts = turn.state["refine"]
    assert isinstance(counts, dict)
    # Behind the end of a loop, how much was read before it was thrown away is up to the cuts.
    return out, counts if "loop" not in counts else "ended"


@example_settings(max_examples=300)
@given(ANSWERS, st.lists(st.integers(1, 12), max_size=200), SETTINGS, LANGUAGES, REASONS)
def test_the_result_does_not_depend_on_where_the_stream_was_cut(
    answer: str,
    lengths: list[int],
    settings: RefineSettings,
    language: str | None,
    reason: FinishReason | None,
) -> None:
    whole = refine(iter([answer]), settings, language, reason)
    assert refine(cut(answer, lengths), settings, language, reason) == whole
    assert refine(iter(answer), settings, language, reason) == whole
    tokens = re.findall(r" ?\w{1,8}|[^\w ]| +", answer)
    assert refine(iter(tokens), settings, language, reason) == whole


@given(
    st.integers(1_900, 2_100),
    st.text(".!)) 。\n`ab", max_size=30),
    st.lists(st.integers(1, 12), max_size=8),
    REASONS,
)
def test_a_sentence_too_long_to_hold_back_is_let_go_however_it_was_cut(
    length: int, rest: str, lengths: list[int], reason: FinishReason | None
) -> None:
    answer = "One. " + "x" * length + rest
    settings = RefineSettings(drop_unfinished=True)
    whole = refine(iter([answer]), settings, "en", reason)
    assert refine(iter(answer), settings, "en", reason) == whole
    late_cuts = iter([answer[:length], *cut(answer[length:], lengths)])
    assert refine(late_cuts, settings, "en", reason) == whole


FENCES = [
    "```",
    "````",
    "```py\n",
    "\n```\n",
    "~~~\n",
    "`",
    "``",
    "\n",
    "\n- ",
    "> ",
    "\n   ",
    "Yes. ",
    "a",
]


@given(st.lists(st.sampled_from(FENCES), max_size=20).map("".join))
def test_an_answer_whose_fences_were_closed_has_none_left_open(answer: str) -> None:
    once, _ = refine(iter([answer]), RefineSettings(), "en", "stop")
    again, changes = refine(iter([once]), RefineSettings(), "en", "stop")
    assert isinstance(changes, str) or "fences" not in changes, (once, again)


@given(ANSWERS, st.lists(st.integers(1, 12), max_size=200))
def test_spans_add_up_to_the_text_and_do_not_depend_on_cuts(
    answer: str, lengths: list[int]
) -> None:
    def kinds(pieces: Iterator[str]) -> list[tuple[str, str]]:
        reader = SpanReader()
        spans = [span for piece in pieces if piece for span in reader.push(piece)]
        return [(char, span.kind) for span in [*spans, *reader.finish()] for char in span.text]

    whole = kinds(iter([answer]))
    assert "".join(char for char, _ in whole) == answer
    assert kinds(cut(answer, lengths)) == whole


@given(st.text("bcd XYZ.,é你好", min_size=1))
def test_plain_words_leave_at_once(text: str) -> None:
    turn = Turn(principal=Principal(key_id="k", name="n", role="user"), messages=[])
    text_filter = RefineStep(RefineSettings()).filter(turn, "text", 0)
    assert text_filter is not None
    text_filter.push("Start")
    assert text_filter.push(text).strip() == text.rstrip().strip()


@pytest.mark.parametrize(
    "piece",
    [
        "`",
        "``` ",
        "\n```\n",
        "<|im_",
        "<",
        "the ",
        "a ",
        " ",
        "\n",
        "- ",
        "1. ",
        "a",
        "我",
        '"',
        ">",
        "word. ",
    ],
)
@pytest.mark.timeout(20)
def test_a_hostile_stream_takes_linear_time(piece: str) -> None:
    # Quadratic work on 20,000 deltas would run into the time limit.
    settings = RefineSettings(max_repeats=10_000, drop_unfinished=True, typography="auto")
    refine(iter([piece] * 20_000), settings, "en", "stop")
