"""The stream of a response, for every order in which an answer's pieces may come."""

import json
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from headrace.gateway.responses.continuation import ResponseName
from headrace.gateway.responses.render import ResponseRenderer
from headrace.gateway.responses.stream import ResponseStream
from headrace.gateway.responses.wire import ResponsesRequest
from headrace.ids import new_id
from tests.gateway.messages.test_stream import deltas_of, texts, turn_of

Json: TypeAlias = dict[str, Any]  # as it came over the wire

TEXTS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
}


class Reader:
    """Puts a response together from its events, as a client would."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        self.final: Json = {}

    def read(self, event: Json) -> None:
        family, _, verb = event["type"].rpartition(".")
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(self.items)
            self.items.append(event["item"])
        elif event["type"] == "response.content_part.added":
            parts = self.items[event["output_index"]]["content"]
            assert event["content_index"] == len(parts)
            parts.append(event["part"])
        elif family in TEXTS:
            part = self.items[event["output_index"]]["content"][event["content_index"]]
            if verb == "delta":
                part[TEXTS[family]] += event["delta"]
            else:
                assert part[TEXTS[family]] == event[TEXTS[family]]
        elif family == "response.function_call_arguments":
            item = self.items[event["output_index"]]
            assert item["status"] == "in_progress"
            if verb == "delta":
                item["arguments"] += event["delta"]
            else:
                assert item["arguments"] == event["arguments"]
        elif event["type"] == "response.output_item.done":
            item = self.items[event["output_index"]]
            assert item["status"] == "in_progress"
            item["status"] = event["item"]["status"]
            assert item == event["item"]
        elif event["type"] == "response.completed":
            self.final = event["response"]


@given(st.lists(st.tuples(st.sampled_from(["text", "reasoning", "0", "1", "2"]), texts)))
def test_the_events_come_to_the_response_that_ends_them(pieces: list[tuple[str, str]]) -> None:
    deltas = deltas_of(pieces)
    turn = turn_of(deltas)
    renderer = ResponseRenderer(turn, ResponsesRequest(input="x"), "resp_1", is_stored=False)
    stream = ResponseStream(renderer)
    sent = b"".join([*(stream.chunk(delta) for delta in deltas), stream.end()])
    reader = Reader()
    lines = [line for line in sent.decode().splitlines() if line.startswith("data: ")]
    for number, line in enumerate(lines):
        event = json.loads(line.removeprefix("data: "))
        assert event["sequence_number"] == number
        reader.read(event)
    assert reader.final["output"] == reader.items
    assert all(item["status"] == "completed" for item in reader.items)
    (choice,) = turn.choices
    said = [i for i in reader.items if i["type"] == "message"]
    assert "".join(p["text"] for i in said for p in i["content"]) == choice.text
    thoughts = [i for i in reader.items if i["type"] == "reasoning"]
    assert "".join(p["text"] for i in thoughts for p in i["content"]) == choice.reasoning
    calls = [(i["call_id"], i["arguments"]) for i in reader.items if i["type"] == "function_call"]
    assert calls == [(c.id, c.function.arguments) for c in _in_order(choice.tool_calls, calls)]


def _in_order(calls: list[Any], seen: list[tuple[str, str]]) -> list[Any]:
    return sorted(calls, key=lambda call: [each for each, _ in seen].index(call.id))


@given(st.one_of(st.none(), st.text(min_size=1, max_size=200)))
def test_a_responses_id_says_its_turn_and_conversation(conversation: str | None) -> None:
    name = ResponseName.of(new_id(), conversation)
    assert ResponseName.parse(name.id) == name


def test_a_follow_up_is_named_by_the_turn_that_began_the_conversation() -> None:
    first = ResponseName.of(new_id())
    second = ResponseName.of(new_id(), first.id)
    assert len(second.id) == len("resp_") + 64
    assert ResponseName.parse(second.id) == second


@given(st.text())
def test_any_other_text_is_no_response(text: str) -> None:
    assert ResponseName.parse(f"x{text}") is None
