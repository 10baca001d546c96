"""Filters over an answer's deltas: choices, channels, cuts, blocks and log probabilities."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.errors import PolicyBlocked
from headrace.pipeline.step import Channel, Settings, Step, TextFilter
from headrace.pipeline.stream import filtered
from headrace.pipeline.turn import Turn
from headrace.types import (
    Delta,
    Deltas,
    FinishReason,
    FunctionDelta,
    Params,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

TEXT = "The mill turns; 水车转动。 <A> and <B> meet at the weir."


class _Held:
    """Swaps `<X>` for `[x]`, holding back what may still become one."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._text = ""

    def push(self, text: str) -> str:
        self._text += text
        if "weird" in self._text:
            raise PolicyBlocked("no weird things")
        if "halt" in self._text:
            self._turn.stop_generation = True
        at = self._text.rfind("<")
        cut = at if at >= 0 and ">" not in self._text[at:] else len(self._text)
        out, self._text = self._text[:cut], self._text[cut:]
        return out.replace("<A>", "[a]").replace("<B>", "[b]")

    def finish(self, reason: FinishReason | None) -> str:
        return self._text if reason is not None else ""


class HoldingStep(Step[Settings]):
    name = "hold"

    def filter(self, turn: Turn, channel: Channel, index: int) -> TextFilter | None:
        return _Held(turn) if channel != "reasoning" else None


def new_turn(**params: object) -> Turn:
    principal = Principal("key", "test", "user")
    return Turn(principal=principal, messages=[], params=Params(**params))  # type: ignore[arg-type]


async def given_out(turn: Turn, deltas: Sequence[Delta], steps: int = 1) -> list[Delta]:
    async def upstream() -> Deltas:
        for delta in deltas:
            yield delta

    chain = [(position, HoldingStep(Settings())) for position in range(steps)]
    return [each async for each in filtered(turn, chain, upstream(), [0.0] * steps)]


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    edges = [0, *sorted(cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12), steps=st.integers(1, 3))
async def test_the_text_does_not_depend_on_how_it_was_cut(cuts: list[int], steps: int) -> None:
    deltas = [Delta(text=piece) for piece in pieces(TEXT, cuts)]
    out = await given_out(new_turn(), [*deltas, Delta(finish_reason="stop")], steps)
    assert "".join(each.text for each in out) == TEXT.replace("<A>", "[a]").replace("<B>", "[b]")
    assert [each.finish_reason for each in out if each.finish_reason] == ["stop"]


async def test_choices_and_channels_do_not_mix() -> None:
    out = await given_out(
        new_turn(n=2),
        [
            Delta(index=0, text="zero <"),
            Delta(index=1, text="one <"),
            Delta(index=0, reasoning="thinking <A"),
            Delta(index=0, text="A>"),
            Delta(index=1, text="B>"),
            Delta(index=1, finish_reason="length"),
            Delta(index=0, finish_reason="stop"),
            Delta(usage=Usage(1, 2)),
        ],
    )
    said = {i: "".join(each.text for each in out if each.index == i) for i in (0, 1)}
    assert said == {0: "zero [a]", 1: "one [b]"}
    assert "".join(each.reasoning for each in out) == "thinking <A"
    assert out[-1].usage == Usage(1, 2)


async def test_tool_arguments_are_filtered_as_one_text() -> None:
    def call(arguments: str, name: str | None = None) -> Delta:
        function = FunctionDelta(name=name, arguments=arguments)
        return Delta(tool_calls=[ToolCallDelta(index=0, id=name and "c1", function=function)])

    out = await given_out(
        new_turn(), [call('{"x":"<', "f"), call('A>"}'), Delta(finish_reason="tool_calls")]
    )
    calls = [call for each in out for call in each.tool_calls or ()]
    assert "".join(c.function.arguments or "" for c in calls if c.function) == '{"x":"[a]"}'
    assert calls[0].id == "c1"


async def test_a_block_before_anything_was_said_gives_the_policys_words() -> None:
    turn = new_turn()
    out = await given_out(turn, [Delta(text="weird"), Delta(text=" never seen")])
    assert [(each.text, each.finish_reason) for each in out] == [
        ("no weird things", "content_filter")
    ]
    assert turn.blocked == "no weird things"


async def test_a_block_in_the_middle_only_ends_the_answer() -> None:
    out = await given_out(new_turn(), [Delta(text="fine "), Delta(text="weird"), Delta(text="!")])
    assert "".join(each.text for each in out) == "fine "
    assert out[-1].finish_reason == "content_filter"


async def test_a_filter_may_end_the_answer() -> None:
    out = await given_out(
        new_turn(), [Delta(text="so halt "), Delta(text="never"), Delta(text="!")]
    )
    assert "".join(each.text for each in out) == "so halt "
    assert out[-1].finish_reason == "stop"


async def test_what_is_held_back_is_lost_when_the_stream_breaks_off() -> None:
    async def breaking() -> Deltas:
        yield Delta(text="sent <A")
        raise ConnectionError

    out: list[Delta] = []
    steps = [(0, HoldingStep(Settings()))]
    with pytest.raises(ConnectionError):
        async for each in filtered(new_turn(), steps, breaking(), [0.0]):
            out.append(each)
    assert "".join(each.text for each in out) == "sent "


def logprobs(*tokens: str) -> list[TokenLogprob]:
    return [TokenLogprob(token, -1.0, list(token.encode())) for token in tokens]


async def test_a_tokens_log_probability_leaves_with_its_text() -> None:
    out = await given_out(
        new_turn(logprobs=True),
        [
            Delta(text="a ", logprobs=logprobs("a ")),
            Delta(text="<", logprobs=logprobs("<")),
            Delta(text="c>", logprobs=logprobs("c>")),
            Delta(finish_reason="stop"),
        ],
    )
    left = [[t.token for t in each.logprobs or ()] for each in out if each.text]
    assert left == [["a "], ["<", "c>"]]


async def test_no_log_probability_leaves_once_text_was_changed() -> None:
    out = await given_out(
        new_turn(logprobs=True),
        [
            Delta(text="a <", logprobs=logprobs("a <")),
            Delta(text="A> z", logprobs=logprobs("A>", " z")),
            Delta(finish_reason="stop"),
        ],
    )
    assert "".join(each.text for each in out) == "a [a] z"
    assert not any(each.logprobs for each in out)


async def test_log_probabilities_of_another_text_do_not_leave() -> None:
    # A server that counts the tokens of its chain of thought in.
    out = await given_out(
        new_turn(logprobs=True),
        [
            Delta(reasoning="secret ", logprobs=logprobs("secret ")),
            Delta(text="public ", logprobs=logprobs("public ")),
            Delta(finish_reason="stop"),
        ],
    )
    assert not any(each.logprobs for each in out)


TOOLS = [{"type": "function", "function": {"name": "<A>", "parameters": {}}}]


def named(name: str | None, arguments: str | None = None) -> Delta:
    function = FunctionDelta(name=name, arguments=arguments)
    return Delta(tool_calls=[ToolCallDelta(index=0, id=name and "c1", function=function)])


@pytest.mark.parametrize("end", [named(None, "{}"), Delta(finish_reason="tool_calls")])
async def test_the_name_of_a_tool_that_nobody_offered_is_filtered_whole(end: Delta) -> None:
    out = await given_out(new_turn(tools=TOOLS), [named("mail_<"), named("B>"), end])
    calls = [call for each in out for call in each.tool_calls or ()]
    assert [c.function.name for c in calls if c.function and c.function.name] == ["mail_[b]"]


async def test_the_name_of_an_offered_tool_leaves_at_once_as_it_is() -> None:
    out = await given_out(new_turn(tools=TOOLS), [named("<A>", ""), named(None, "{}")])
    calls = [call for each in out for call in each.tool_calls or ()]
    assert [(c.function.name, c.function.arguments) for c in calls if c.function] == [
        ("<A>", ""),
        (None, "{}"),
    ]
