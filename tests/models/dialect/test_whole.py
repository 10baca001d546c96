"""Deltas of an answer that came in one piece."""

from headrace.models.dialect.whole import merged
from headrace.types import Delta, FunctionDelta, TokenLogprob, ToolCallDelta, Usage


def test_there_is_one_delta_a_choice_and_then_the_usage() -> None:
    def call(index: int, **more: str) -> ToolCallDelta:
        function = FunctionDelta(more.get("name"), more.get("arguments"))
        return ToolCallDelta(index, id=more.get("id"), function=function)

    token = TokenLogprob("a", -0.1)
    usage = Usage(prompt_tokens=3)
    deltas = [
        Delta(0, reasoning="Hm"),
        Delta(1, text="x", refusal="n"),
        Delta(0, text="a", logprobs=[token]),
        Delta(0, tool_calls=[call(0, id="c0", name="f", arguments="")]),
        Delta(0, tool_calls=[call(0, arguments='{"a"')]),
        Delta(0, tool_calls=[call(0, arguments=":1}"), call(1, id="c1", name="g", arguments="{}")]),
        Delta(1, refusal="o", finish_reason="content_filter"),
        Delta(0, text="b", logprobs=[token], finish_reason="tool_calls"),
        Delta(usage=usage),
    ]
    assert merged(deltas) == [
        Delta(
            0,
            text="ab",
            reasoning="Hm",
            tool_calls=[
                call(0, id="c0", name="f", arguments='{"a":1}'),
                call(1, id="c1", name="g", arguments="{}"),
            ],
            logprobs=[token, token],
            finish_reason="tool_calls",
        ),
        Delta(1, text="x", refusal="no", finish_reason="content_filter"),
        Delta(usage=usage),
    ]
