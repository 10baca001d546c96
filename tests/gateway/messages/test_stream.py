"""The stream of a message, for every order in which an answer's pieces may come."""

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.gateway.messages.render import whole
from headrace.gateway.messages.stream import MessageStream
from headrace.pipeline.answer import AnswerGatherer
from headrace.pipeline.turn import Turn
from headrace.types import Delta, FunctionDelta, ToolCallDelta

Json: TypeAlias = dict[str, Any]  # as it came over the wire

texts = st.text("ab 世", min_size=1, max_size=4)


def deltas_of(pieces: Sequence[tuple[str, str]]) -> list[Delta]:
    """Pieces as `(what, text)`; a call's first one brings its id and name."""
    known: set[str] = set()
    deltas: list[Delta] = []
    for what, text in pieces:
        if what == "text":
            deltas.append(Delta(text=text))
        elif what == "reasoning":
            deltas.append(Delta(reasoning=text))
        else:
            function = FunctionDelta(arguments=text)
            call = ToolCallDelta(int(what), function=function)
            if what not in known:
                known.add(what)
                function.name, call.id = f"f{what}", f"call_{what}"
            deltas.append(Delta(tool_calls=[call]))
    return [*deltas, Delta(finish_reason="tool_calls" if known else "stop")]


def turn_of(deltas: Sequence[Delta]) -> Turn:
    turn = Turn(principal=Principal("k_1", "test", "user"), messages=[], model="m")
    gathered = AnswerGatherer(turn)
    for delta in deltas:
        gathered.add(delta)
    turn.choices = gathered.choices()
    return turn


@given(st.lists(st.tuples(st.sampled_from(["text", "reasoning", "0", "1", "2"]), texts)))
def test_blocks_follow_one_another_and_nothing_is_lost(pieces: list[tuple[str, str]]) -> None:
    deltas = deltas_of(pieces)
    turn = turn_of(deltas)
    stream = MessageStream(turn)
    sent = b"".join([*(stream.chunk(delta) for delta in deltas), stream.end()])
    blocks: list[Json] = []
    is_open = False
    for line in sent.decode().splitlines():
        if not line.startswith("data: "):
            continue
        event = json.loads(line.removeprefix("data: "))
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append({**event["content_block"], "all": ""})
            is_open = True
        elif event["type"] == "content_block_delta":
            assert is_open
            assert event["index"] == len(blocks) - 1
            delta = event["delta"]
            blocks[-1]["all"] += next(
                delta[k] for k in ("text", "thinking", "partial_json") if k in delta
            )
        elif event["type"] == "content_block_stop":
            assert is_open
            is_open = False
    assert not is_open
    (choice,) = turn.choices
    joined = {
        kind: "".join(b["all"] for b in blocks if b["type"] == kind)
        for kind in ("text", "thinking")
    }
    assert joined == {"text": choice.text, "thinking": choice.reasoning}
    calls = [(b["id"], b["name"], b["all"]) for b in blocks if b["type"] == "tool_use"]
    assert calls == [(c.id, c.function.name, c.function.arguments) for c in choice.tool_calls]
    kinds = [block["type"] for block in json.loads(whole(turn))["content"]]
    assert set(kinds) == {block["type"] for block in blocks}
