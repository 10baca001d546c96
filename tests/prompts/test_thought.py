"""How a streamed answer is split into thought and answer."""

import itertools
from collections.abc import AsyncGenerator, Iterable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.prompts.thought import Marker, ThoughtSplitter, keep_apart
from headrace.types import Delta, FinishReason, TokenLogprob, ToolCallDelta, Usage

MARKER = Marker.compiled(["Final answer:", "最终答案："])
TAG = Marker.compiled(["</think>"])
PIECES = [
    *"Final answer:",
    *"最终答案：",
    *"<</think>>",
    *" \t\n*_#>aFſ",
    "Final answer:",
    "**Final answer:**",
    "\n最终答案：",
    "</think>",
    "</thi",
    "fINAL ANSWER",
    "\n\n",
    "the steps",
]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def split(pieces: Iterable[str], marker: Marker = MARKER) -> tuple[str, str, bool]:
    splitter = ThoughtSplitter(marker)
    thought = answer = ""
    for piece in pieces:
        more = splitter.push(piece)
        thought, answer = thought + more[0], answer + more[1]
    more = splitter.finish(answered=True)
    return thought + more[0], answer + more[1], splitter.marked


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("3 + 4 is 7.\nFinal answer: 7", "3 + 4 is 7.\n", "7"),
        ("3 + 4 is 7.\n**Final answer:** 7", "3 + 4 is 7.\n", "7"),
        ("3 + 4 is 7.\n**Final answer**: 7", "3 + 4 is 7.\n", "7"),
        ("3 + 4 is 7.\n**Final answer: 7**", "3 + 4 is 7.\n", "**7**"),
        ("3 + 4 is 7.\n\n### Final answer\n\n7", "3 + 4 is 7.\n\n", "7"),
        ("So.\n> final answer : 7", "So.\n", "7"),
        ("So.\nFinal answer：\n* one\n* two", "So.\n", "* one\n* two"),
        ("三加四等于七。\n最终答案：七", "三加四等于七。\n", "七"),
        ("三加四等于七。\n最终答案:七", "三加四等于七。\n", "七"),
        ("Final answer: 7\nFinal answer: 8", "", "7\nFinal answer: 8"),
    ],
)
def test_what_follows_the_marker_is_the_answer(text: str, thought: str, answer: str) -> None:
    assert split([text]) == (thought, answer, True)


@pytest.mark.parametrize(
    "text",
    [
        "I will write Final answer: at the end. It is 7.",
        "Final answers: there are none.",
        "The final answer is 7.",
        "It is 7.\nFinal answer:",
        "It is 7.\n**Final answer:** \n",
        "",
    ],
)
def test_without_a_marked_answer_the_whole_text_is_the_answer(text: str) -> None:
    _, answer, marked = split([text])
    assert not marked
    assert text.startswith(answer)
    assert bool(answer) == bool(text)


def test_a_tag_marks_the_answer_in_the_middle_of_a_line() -> None:
    assert split(["so 7.</think>7"], TAG) == ("so 7.", "7", True)


@pytest.mark.parametrize("marker", [MARKER, TAG, Marker.compiled(["Answer:", "</think>"])])
@given(text=texts, cuts=st.lists(st.integers(0, 200), max_size=8))
@example(text="a\n**Final answer:** 7", cuts=[3, 4, 17])
def test_the_split_does_not_depend_on_how_the_text_is_cut(
    marker: Marker, text: str, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    whole = split([text], marker)
    assert split([text[a:b] for a, b in itertools.pairwise(edges)], marker) == whole
    assert split(text, marker) == whole


@given(text=texts)
def test_nothing_is_lost_or_made_up(text: str) -> None:
    thought, answer, marked = split(text)
    assert text.startswith(thought)
    if marked:
        assert text.endswith(answer.lstrip("*_"))
        assert len(thought) + len(answer) < len(text)


def test_a_thought_is_let_go_as_it_comes() -> None:
    splitter = ThoughtSplitter(MARKER)
    assert splitter.push("First, ") == ("First, ", "")
    assert splitter.push("add.\n") == ("add.\n", "")
    assert splitter.push("Final ") == ("", "")
    assert splitter.push("step.") == ("Final step.", "")


async def streamed(deltas: Iterable[Delta]) -> AsyncGenerator[Delta, None]:
    for delta in deltas:
        yield delta


async def kept_apart(*deltas: Delta) -> tuple[list[Delta], dict[int, str]]:
    outcomes: dict[int, str] = {}
    source = streamed(deltas)
    split = [each async for each in keep_apart(source, MARKER, ended=outcomes.__setitem__)]
    return split, outcomes


def joined(deltas: list[Delta], index: int = 0) -> tuple[str, str]:
    own = [each for each in deltas if each.index == index]
    return "".join(each.reasoning for each in own), "".join(each.text for each in own)


async def test_choices_are_split_each_on_its_own() -> None:
    deltas, outcomes = await kept_apart(
        Delta(index=0, text="One.\nFinal "),
        Delta(index=1, text="Just two"),
        Delta(index=0, text="answer: 1"),
        Delta(index=1, finish_reason="stop"),
        Delta(index=0, finish_reason="stop"),
        Delta(usage=Usage(completion_tokens=9)),
    )
    assert joined(deltas, 0) == ("One.\n", "1")
    assert joined(deltas, 1) == ("Just two", "Just two")
    assert outcomes == {0: "marked", 1: "unmarked"}
    assert deltas[-1].usage is not None


@pytest.mark.parametrize(
    ("reason", "answer"),
    [("stop", "Hm"), ("length", "Hm"), ("tool_calls", ""), ("content_filter", "")],
)
async def test_only_an_answer_that_ended_is_given_whole(reason: FinishReason, answer: str) -> None:
    deltas, _ = await kept_apart(Delta(text="Hm"), Delta(finish_reason=reason))
    assert joined(deltas) == ("Hm", answer)
    assert deltas[-1].finish_reason == reason


async def test_a_model_that_thinks_by_itself_is_left_as_it_is() -> None:
    given_deltas = [
        Delta(reasoning="3 + 4"),
        Delta(text="Seven.\nFinal answer: 7"),
        Delta(finish_reason="stop"),
    ]
    deltas, outcomes = await kept_apart(*given_deltas)
    assert deltas == given_deltas
    assert outcomes == {0: "native"}


async def test_tool_calls_pass() -> None:
    call = ToolCallDelta(index=0, id="c1")
    deltas, _ = await kept_apart(Delta(tool_calls=[call]), Delta(finish_reason="tool_calls"))
    assert deltas[0].tool_calls == [call]


def tokens(*words: str) -> list[Delta]:
    return [Delta(text=word, logprobs=[TokenLogprob(word, -0.1)]) for word in words]


def logprobs(deltas: list[Delta]) -> str:
    return "".join(token.token for each in deltas for token in each.logprobs or ())


async def test_log_probabilities_of_a_thought_do_not_leave_with_the_answer() -> None:
    words = tokens("So", ".", "\n", "Final", " answer", ":", " ", "se", "ven")
    deltas, _ = await kept_apart(*words, Delta(finish_reason="stop"))
    assert logprobs(deltas) == "seven"


async def test_log_probabilities_come_with_an_answer_that_was_not_marked() -> None:
    deltas, _ = await kept_apart(*tokens("It", " is", " 7"), Delta(finish_reason="stop"))
    assert logprobs(deltas) == "It is 7"


async def test_a_delta_is_not_changed_in_place() -> None:
    delta = Delta(text="Thought")
    before = msgspec.structs.replace(delta)
    await kept_apart(delta, Delta(finish_reason="stop"))
    assert delta == before
