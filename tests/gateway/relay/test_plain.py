"""What the direct way reads of a request means the same on the ordinary way."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidRequest
from headrace.gateway.relay.plain import messages_of, read_plain
from headrace.gateway.wire import ChatRequest, decode, params_of
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.estimate import estimate_tokens
from headrace.models.model import prefix_of

_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool"]),
            "content": st.one_of(st.text(max_size=30), st.none(), st.just("水" * 1500)),
        },
        optional={
            "name": st.one_of(st.none(), st.just("ada")),
            "tool_calls": st.none(),
            "refusal": st.none(),
        },
    ),
    max_size=4,
)
_REQUESTS = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "模型", None]), "messages": _MESSAGES},
    optional={
        "stream": st.sampled_from([True, False, None]),
        "stream_options": st.sampled_from([{}, {"include_usage": True}, None]),
        "temperature": st.sampled_from([0, 1, 2.0, 2.1, -1, None, "hot"]),
        "top_p": st.sampled_from([0, 1, 1.5, None]),
        "max_tokens": st.sampled_from([1, 0, 1 << 25, None]),
        "max_completion_tokens": st.sampled_from([7, None]),
        "stop": st.sampled_from(["x", ["x", "y"], ["x"] * 17, None]),
        "seed": st.sampled_from([0, 5, None]),
        "presence_penalty": st.sampled_from([-2, 2, 3, None]),
        "frequency_penalty": st.sampled_from([0.5, None]),
        "n": st.just(2),
        "user": st.just("ada"),
        "tools": st.just([]),
    },
)


@given(_REQUESTS)
def test_whatever_is_taken_is_read_alike(said: dict[str, object]) -> None:
    body = msgspec.json.encode(said)
    try:
        plain = read_plain(body)
    except UNREADABLE:
        return
    request, extra = decode(body, ChatRequest)
    assert not extra
    assert plain.params() == params_of(request, extra)
    assert bool(plain.stream) == bool(request.stream)
    tokens, prefix = plain.measure()
    assert tokens == estimate_tokens(request.messages)
    assert prefix == prefix_of(request.messages)
    assert messages_of(body) == msgspec.json.encode(request.messages).decode()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 1, "max_tokens": 5, "stop": ["x"], "seed": 0},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"max_completion_tokens": 5, "top_p": None},
    ],
)
def test_usual_requests_are_taken(fields: dict[str, object]) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello!", "refusal": None, "annotations": []},
        {"role": "user", "content": "你好"},
    ]
    assert read_plain(msgspec.json.encode({"model": "m", "messages": messages, **fields}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", 3), ("max_tokens", 0), ("stop", ["x"] * 17), ("presence_penalty", -3)],
)
def test_what_is_out_of_range_is_left_to_who_says_so(field: str, value: object) -> None:
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], field: value}
    body = msgspec.json.encode(said)
    with pytest.raises(UNREADABLE):
        read_plain(body)
    with pytest.raises(InvalidRequest):
        params_of(*decode(body, ChatRequest))


def test_requests_that_differ_in_parameters_differ_in_shape() -> None:
    def shape(**fields: object) -> object:
        said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
        return read_plain(msgspec.json.encode(said)).shape

    shapes = [shape(), shape(temperature=1), shape(max_tokens=5), shape(stream=True)]
    assert len(set(shapes)) == len(shapes)
    assert shape(seed=0) is None
    assert shape(stop="x") is None
