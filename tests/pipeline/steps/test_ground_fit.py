"""What fits of a conversation, and what a request says again."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.steps.ground.fit import Counter, fit
from headrace.pipeline.steps.ground.overlap import overlap
from headrace.types import Message


def turn(name: str, size: int = 10) -> list[Message]:
    return [
        Message(role="user", content=f"{name}?" + "x" * size),
        Message(role="assistant", content=f"{name}!"),
    ]


def tokens(messages: Sequence[Message]) -> int:
    """A tokenizer for which a character is a token and a message costs four more."""
    return sum(len(each.text()) + 4 for each in messages)


class Tokenizer:
    def __init__(self) -> None:
        self.asked = 0

    async def count(self, messages: Sequence[Message]) -> int:
        self.asked += 1
        return tokens(messages)


SIZES = st.lists(st.integers(0, 60), max_size=40)
AHEAD = [Message(role="system", content="Be kind.")]
BEHIND = [Message(role="user", content="And now?")]


@given(sizes=SIZES, budget=st.integers(0, 1500))
async def test_what_stays_is_the_newest_and_fits(sizes: list[int], budget: int) -> None:
    turns = [turn(str(i), size) for i, size in enumerate(sizes)]
    tokenizer = Tokenizer()
    fitted = await fit(AHEAD, turns, BEHIND, budget, Counter(tokenizer.count, lambda _: None))
    kept = [message for each in turns[fitted.first :] for message in each]
    whole = tokens([*AHEAD, *kept, *BEHIND])
    assert fitted.tokens == whole
    if fitted.first < len(turns):
        assert whole <= budget
    elif turns:
        assert tokens([*AHEAD, *turns[-1], *BEHIND]) > budget
    if fitted.first and fitted.first < len(turns) - 1:
        one_more = [message for each in turns[fitted.first - 1 :] for message in each]
        assert tokens([*AHEAD, *one_more, *BEHIND]) > budget * 0.75 - 1
    assert tokenizer.asked <= 3 + len(turns).bit_length()


@given(sizes=SIZES)
async def test_all_stays_when_all_fits_and_nobody_is_asked(sizes: list[int]) -> None:
    turns = [turn(str(i), size) for i, size in enumerate(sizes)]
    tokenizer = Tokenizer()
    counter = Counter(tokenizer.count, lambda messages: 2 * tokens(messages))
    fitted = await fit(AHEAD, turns, BEHIND, 20_000, counter)
    assert (fitted.first, fitted.tokens, tokenizer.asked) == (0, None, 0)


@given(count=st.integers(0, 8), repeated=st.integers(0, 8), new=st.integers(1, 3))
def test_a_request_that_repeats_the_conversation_adds_only_what_is_new(
    count: int, repeated: int, new: int
) -> None:
    turns = [turn(str(i)) for i in range(count)]
    repeated = min(repeated, count)
    given = [message for each in turns[count - repeated :] for message in each]
    given += [Message(role="user", content=f"new {i}") for i in range(new)]
    found = overlap(turns, given)
    assert found.turns == count - repeated
    assert found.repeated == 2 * repeated


def test_a_request_with_another_history_stands_alone() -> None:
    turns = [turn("one"), turn("two")]
    edited = [*turn("one"), *turn("changed"), Message(role="user", content="three?")]
    found = overlap(turns, edited)
    assert (found.turns, found.repeated) == (0, 4)


def test_a_tools_result_alone_continues_the_conversation() -> None:
    found = overlap([turn("one")], [Message(role="tool", content="21", tool_call_id="c1")])
    assert (found.turns, found.repeated) == (1, 0)
