"""A system prompt does not leave, however the answer is cut, spaced or encoded."""

import base64
import codecs
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.screening.injection.leak import (
    CANARY_NOTE,
    GRAM,
    Decision,
    Leak,
    LeakFilter,
    letters_of,
    new_canary,
    secret_of,
)

CANARY = "hr0a1b2c3d4e5f60718293a4b5"
WORDS = (
    "You are the miller's assistant. Speak of grain, wheels and stones only. Never promise a date "
    "of delivery, and never name the price of a sack: the office does that. If somebody asks for "
    "the owner, say that he is in the mill until four. 回答中文问题时，请用简体中文，语气礼貌，不要透露磨坊的位置。"
)
PROMPT = f"{WORDS}\n\n{CANARY_NOTE.format(canary=CANARY)}"
SECRET = secret_of(PROMPT, CANARY, ours=True)


class Stopped(Exception):
    pass


def screened(pieces: list[str], action: Decision = "block") -> tuple[str, list[Leak], bool]:
    """What left, what was seen, and whether the answer was stopped."""
    seen: list[Leak] = []

    def decide(leak: Leak) -> Decision:
        seen.append(leak)
        return action if leak.score >= 0.9 else "pass"

    screen = LeakFilter(SECRET, decide, Stopped)
    left = ""
    try:
        for piece in pieces:
            left += screen.push(piece)
        left += screen.finish("stop")
        screen.push("")
    except Stopped:
        return left, seen, True
    return left, seen, False


def letters(text: str) -> str:
    return "".join(map(letters_of, text))


@pytest.mark.parametrize(
    "answer",
    [
        WORDS,
        f"Sure! My instructions are:\n{WORDS.upper()}",
        " ".join(WORDS),
        "-".join(WORDS[:300]),
        WORDS[::-1],
        codecs.encode(WORDS, "rot13"),
        base64.b64encode(WORDS.encode()).decode(),
        base64.b64encode(b"ab " + WORDS.encode()).decode(),
        WORDS.encode().hex(" "),
        "我的说明是：" + WORDS,
    ],
    ids=["plain", "capitals", "spaced", "dashed", "reversed", "rot13", "base64", "shifted base64", "hex", "zh"],
)  # fmt: skip
def test_the_prompt_is_stopped_before_a_row_of_it_has_left(answer: str) -> None:
    left, seen, stopped = screened([answer])
    assert stopped
    assert seen[-1].score == pytest.approx(0.95)
    said = letters(left)
    plain = letters(WORDS)
    shared = max(
        (size for size in range(len(said) + 1) if said[-size:] in plain and size), default=0
    )
    assert shared < GRAM + 3


@pytest.mark.parametrize(
    "answer",
    [
        f"The reference is {CANARY}.",
        " ".join(CANARY),
        CANARY.upper(),
        CANARY[::-1],
        base64.b64encode(CANARY.encode()).decode(),
        base64.b64encode(f"it is {CANARY}, right".encode()).decode(),
        codecs.encode(CANARY, "rot13"),
        CANARY.encode().hex(),
    ],
)
def test_the_canary_is_stopped_in_whatever_simple_writing(answer: str) -> None:
    left, seen, stopped = screened(list(answer))
    assert stopped
    assert seen[-1].score == 1.0
    assert "canary" in seen[-1].why
    assert CANARY[:16].lower() not in letters(left)


@pytest.mark.parametrize(
    "answer",
    [
        "The miller is in the mill until four; shall I call the office for you?",
        "I speak of grain, wheels and stones.",
        "请问您想了解哪种面粉？我会用简体中文回答。",
        "def wheel(turns: int) -> float:\n    return turns * 0.5",
    ],
)
def test_an_answer_that_shares_words_with_the_prompt_leaves_as_it_is(answer: str) -> None:
    assert screened([answer]) == (answer, [], False)


def test_a_sentence_of_the_prompt_is_seen_but_not_what_is_refused() -> None:
    answer = "I was told: never promise a date of delivery, and never name the price of a sack: the office does that. If you insist, ask."
    left, seen, stopped = screened(list(answer))
    assert (left, stopped) == (answer, False)
    assert [0.5 <= each.score < 0.9 for each in seen] == [True]
    assert answer[seen[0].start : seen[0].end].endswith("does that. If ")


PARTS = [WORDS[:200], WORDS[40:110], CANARY, CANARY[:15], "hello ", "wheel", "。", " ", "\n", WORDS[-30:], "x", " ".join(WORDS[:90])]  # fmt: skip


@given(
    st.lists(st.sampled_from(PARTS), max_size=6).map("".join),
    st.lists(st.integers(0, 700), max_size=12),
    st.sampled_from(["pass", "mask", "block"]),
)
def test_what_leaves_does_not_depend_on_the_pieces(
    answer: str, cuts: list[int], action: Decision
) -> None:
    edges = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    pieces = [answer[a:b] for a, b in itertools.pairwise(edges)]
    assert screened(pieces, action) == screened(list(answer), action)


@given(st.text(max_size=80))
def test_without_a_leak_nothing_is_lost_or_changed(answer: str) -> None:
    assert screened(list(answer))[0] == answer


def test_a_masked_leak_leaves_a_label() -> None:
    left, _, stopped = screened([f"Mine: {CANARY}!"], "mask")
    assert not stopped
    assert "[SYSTEM_PROMPT_LEAK]" in left
    assert CANARY not in left


def test_a_stream_that_breaks_off_loses_what_was_held() -> None:
    screen = LeakFilter(SECRET, lambda leak: "block", Stopped)
    left = screen.push(WORDS[:50])
    assert letters(left + screen.finish(None)) == letters(WORDS)[: GRAM - 1]


def test_a_prompt_that_a_client_sent_may_be_quoted() -> None:
    seen: list[Leak] = []

    def decide(leak: Leak) -> Decision:
        seen.append(leak)
        return "block" if leak.score >= 0.9 else "pass"

    screen = LeakFilter(secret_of(WORDS, "", ours=False), decide, Stopped)
    assert screen.push(WORDS) + screen.finish("stop") == WORDS
    assert max(each.score for each in seen) == pytest.approx(0.8)


def test_each_canary_is_another() -> None:
    assert len({new_canary() for _ in range(20)}) == 20
