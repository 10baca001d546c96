"""What of a conversation belongs together: tool calls with their results."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.memory import Line, RememberedTurn
from headrace.pipeline.steps.ground.block import blocks
from headrace.types import FunctionCall, Message, ToolCall

NEW = [Message(role="user", content="And now?")]
RESULT = [Message(role="tool", content="21 °C", tool_call_id="c1")]


def turn(name: str, asked: str, *, answer: str = "", calls: bool = False) -> RememberedTurn:
    call = ToolCall(id="c1", function=FunctionCall(name="weather", arguments="{}"))
    first = RESULT[0] if asked == "tool" else Message(role="user", content=f"{name}?")
    last = Message(role="assistant", content=answer or None, tool_calls=[call] if calls else None)
    return RememberedTurn(
        id=name, position=name, end=name, subject="", lines=(Line(first), Line(last))
    )


def test_a_call_stays_with_its_result() -> None:
    turns = [
        turn("a", "user", answer="hello"),
        turn("b", "user", calls=True),
        turn("c", "tool", calls=True),
        turn("d", "tool", answer="warm"),
    ]
    found = blocks(turns, NEW)
    assert [[each.id for each in block.turns] for block in found] == [["a"], ["b", "c", "d"]]
    assert list(found[1].positions()) == ["b", "b", "c", "c", "d", "d"]


def test_a_call_whose_result_comes_now_is_kept_as_it_is() -> None:
    found = blocks([turn("a", "user", calls=True)], RESULT)
    assert found[0].messages[-1].tool_calls


def test_a_call_that_nobody_answered_goes_with_its_question() -> None:
    found = blocks([turn("a", "user", calls=True), turn("b", "user", answer="yes")], NEW)
    assert [block.position for block in found] == ["b"]


def test_words_beside_a_call_that_nobody_answered_stay() -> None:
    found = blocks([turn("a", "user", answer="Let me see.", calls=True)], NEW)
    assert found[0].messages[-1] == Message(role="assistant", content="Let me see.")


def test_a_result_whose_call_is_gone_is_left_out() -> None:
    assert blocks([turn("a", "tool", answer="warm")], NEW) == []


KINDS = st.lists(st.tuples(st.sampled_from(["user", "tool"]), st.booleans(), st.booleans()))


@given(kinds=KINDS, is_result=st.booleans())
def test_no_call_is_ever_shown_without_its_result_nor_the_other_way(
    kinds: list[tuple[str, bool, bool]], is_result: bool
) -> None:
    turns = [
        turn(f"{i:04}", asked, answer="words" if words or not calls else "", calls=calls)
        for i, (asked, calls, words) in enumerate(kinds)
    ]
    following = RESULT if is_result else NEW
    found = blocks(turns, following)
    shown = [message for block in found for message in block.messages] + following
    for message, next_one in itertools.pairwise(shown):
        if message.tool_calls:
            assert next_one.role == "tool"
    for block in found:
        assert block.messages[0].role == "user"
    for before, message in itertools.pairwise(shown):
        if message.role == "tool" and message is not shown[-1]:
            assert before.tool_calls
