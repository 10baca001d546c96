"""What people write as rows, and what they are told of rows that cannot be used."""

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.datasets.parse import RowInvalid, parse_object, parse_row
from headrace.types import Message

CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def row(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def test_a_prompt_and_its_completion() -> None:
    example = parse_row(row({"prompt": "水车有多高？", "completion": "七米。"}))
    assert example.kind == "completion"
    assert [(each.role, each.text()) for each in example.messages] == [
        ("user", "水车有多高？"),
        ("assistant", "七米。"),
    ]


def test_a_conversation_says_which_answers_are_learned() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hm", "weight": 0},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": "Hello", "weight": 1},
    ]
    example = parse_row(row({"messages": messages, "metadata": {"ticket": 7}}))
    assert example.kind == "chat"
    assert example.untrained == [2]
    assert example.metadata == {"ticket": 7}


def test_a_preference_is_the_same_in_either_format() -> None:
    ours = parse_row(row({"prompt": "Hi", "chosen": "Hello", "rejected": "What"}))
    theirs = parse_row(
        row(
            {
                "input": {"messages": [{"role": "user", "content": "Hi"}]},
                "preferred_output": [{"role": "assistant", "content": "Hello"}],
                "non_preferred_output": [{"role": "assistant", "content": "What"}],
            }
        )
    )
    assert ours == theirs
    assert ours.id == theirs.id


def test_what_both_answers_of_a_preference_begin_with_was_asked() -> None:
    asked = {"role": "user", "content": "Hi"}
    example = parse_row(
        row(
            {
                "prompt": "Hi",
                "chosen": [asked, {"role": "assistant", "content": "Hello"}],
                "rejected": [asked, {"role": "assistant", "content": "What"}],
            }
        )
    )
    assert [each.text() for each in example.messages] == ["Hi"]
    assert [each.text() for each in example.chosen] == ["Hello"]


def test_a_tool_call_and_its_result() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "height", "arguments": "{}"}}
    messages: list[dict[str, object]] = [
        {"role": "user", "content": "How high?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
        {"role": "assistant", "content": "7 m"},
    ]
    tools = [{"type": "function", "function": {"name": "height"}}]
    example = parse_row(row({"messages": messages, "tools": tools, "parallel_tool_calls": False}))
    assert example.tools == tools
    messages[2]["tool_call_id"] = "c2"
    with pytest.raises(RowInvalid, match="answers no tool call"):
        parse_row(row({"messages": messages}))


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        (b"not json", "not JSON", "each line"),
        (b"[", "not JSON", "jq -c"),
        (b"{'prompt': 'Hi'}", "not JSON", "double quotes"),
        (b'{"prompt": "\xff"}', "not UTF-8", "save the file"),
        (b"[1, 2]", "not a JSON object", "expected"),
        (b"{}", "nothing to learn", "write"),
        (row({"promt": "Hi", "completion": "Hello"}), "'promt'", "did you mean 'prompt'?"),
        (row({"instruction": "Hi", "output": "Hello"}), "'instruction'", "did you mean 'prompt'?"),
        (row({**CHAT, "ticket_number": 1}), "'ticket_number'", "metadata"),
        (row({"prompt": "Hi"}), "'completion' is missing", ""),
        (row({"prompt": "Hi", "completion": ""}), "'completion' is empty", ""),
        (row({"prompt": "  ", "completion": "Hello"}), "'prompt' is empty", ""),
        (row({"prompt": "Hi", "chosen": "A", "rejected": "A"}), "are the same", "prefer"),
        (row({"messages": []}), "'messages' is empty", ""),
        (row({"messages": CHAT["messages"][:1]}), "no answer to learn", "assistant"),
        (row({"messages": CHAT["messages"][1:]}), "nobody asks", "user"),
        (row({"messages": [{"role": "bot", "content": "x"}]}), "'messages[0].role'", ""),
        (row({"messages": [{"role": "user", "content": 7}]}), "'messages[0].content'", ""),
        (row({**CHAT, "prompt": "Hi"}), "does not go with", ""),
    ],
)
def test_a_wrong_row_says_what_is_wrong_and_what_to_do(line: bytes, what: str, fix: str) -> None:
    with pytest.raises(RowInvalid) as caught:
        parse_row(line)
    assert what in caught.value.what
    assert fix in caught.value.fix


@given(st.binary(max_size=200))
def test_any_bytes_are_a_row_or_are_explained(line: bytes) -> None:
    try:
        parse_row(line)
    except RowInvalid as invalid:
        assert invalid.what


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_names = st.sampled_from(["messages", "prompt", "completion", "chosen", "rejected", "input", "x"])


@given(st.dictionaries(_names, _json))
def test_any_object_is_a_row_or_is_explained(value: dict[str, object]) -> None:
    for parse in (partial(parse_object, value), partial(parse_row, row(value))):
        try:
            parse()
        except RowInvalid as invalid:
            assert invalid.what


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_an_id_depends_on_what_is_learned_alone(prompt: str, completion: str) -> None:
    plain = parse_object({"prompt": prompt, "completion": completion})
    noted = parse_object({"completion": completion, "prompt": prompt, "metadata": {"a": 1}})
    other = parse_object({"prompt": prompt, "completion": completion + "."})
    assert plain.id == noted.id != other.id
    assert plain.group == other.group
    assert plain.messages[-1] == Message(role="assistant", content=completion)
