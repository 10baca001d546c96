"""Which events come, in which order, for every kind of answer; what reaches the model; errors."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import anthropic
import httpx
import pytest
from anthropic import Anthropic

from headrace.types import Delta, FunctionDelta, ToolCallDelta
from tests.gateway.scripted import script
from tests.running import ServiceProcess

pytestmark = pytest.mark.service

Json: TypeAlias = dict[str, Any]  # as it came over the wire

END = Delta(finish_reason="stop")
MODEL = "scripted"


@pytest.fixture(scope="module")
def client(scripted: ServiceProcess) -> Iterator[Anthropic]:
    with Anthropic(base_url=scripted.url, api_key=scripted.key, max_retries=0) as made:
        yield made


def body_of(text: str, **fields: object) -> Json:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "max_tokens": 64, "messages": messages, **fields}


def ask(service: ServiceProcess, body: Json) -> httpx.Response:
    with service.client() as http:
        return http.post("/v1/messages", json=body)


def events_of(service: ServiceProcess, text: str) -> list[Json]:
    answer = ask(service, body_of(text, stream=True))
    assert answer.status_code == 200, answer.text
    assert answer.headers["request-id"] == answer.headers["x-headrace-trace"]
    events: list[Json] = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    return events


def outline(events: list[Json]) -> list[str]:
    """The blocks, each with what it holds."""
    seen: list[str] = []
    for event in events[2:]:
        kind = event["type"]
        if kind == "content_block_start":
            seen.append(f"{event['index']} {event['content_block']['type']}")
        elif kind == "content_block_delta":
            delta = event["delta"]
            text = delta.get("text") or delta.get("thinking") or delta.get("partial_json")
            seen.append(f"{event['index']} + {text}")
        elif kind == "content_block_stop":
            seen.append(f"{event['index']} stop")
        else:
            seen.append(kind)
    return seen


def call_piece(index: int, arguments: str, **head: str) -> ToolCallDelta:
    if not head:
        return ToolCallDelta(index, function=FunctionDelta(arguments=arguments))
    function = FunctionDelta(name=head["name"], arguments=arguments)
    return ToolCallDelta(index, id=head["id"], type="function", function=function)


def plain(message: anthropic.types.Message) -> list[Json]:
    """The content, without what the SDK's stream helper adds to it."""
    blocks = [block.to_dict() for block in message.content]
    return [{k: v for k, v in block.items() if k != "parsed_output"} for block in blocks]


def test_thoughts_text_and_a_call_are_blocks_in_a_row(scripted: ServiceProcess) -> None:
    events = events_of(
        scripted,
        script(
            Delta(reasoning="Hm"),
            Delta(reasoning="m."),
            Delta(text="I look, "),
            Delta(text="世界."),
            Delta(tool_calls=[call_piece(0, "", id="toolu_a", name="find")]),
            Delta(tool_calls=[call_piece(0, '{"q":')]),
            Delta(tool_calls=[call_piece(0, "1}")], finish_reason="tool_calls"),
        ),
    )
    assert outline(events) == [
        "0 thinking",
        "0 + Hm",
        "0 + m.",
        "0 stop",
        "1 text",
        "1 + I look, ",
        "1 + 世界.",
        "1 stop",
        "2 tool_use",
        '2 + {"q":',
        "2 + 1}",
        "2 stop",
        "message_delta",
        "message_stop",
    ]
    start = next(e for e in events if e.get("content_block", {}).get("type") == "tool_use")
    assert start["content_block"] == {
        "type": "tool_use",
        "id": "toolu_a",
        "name": "find",
        "input": {},
    }
    assert events[-2]["delta"] == {
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
    }
    assert events[-2]["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 6,
        "cache_read_input_tokens": 4,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 2},
    }


def test_one_block_is_open_at_a_time_whatever_comes_late(scripted: ServiceProcess) -> None:
    events = events_of(
        scripted,
        script(
            Delta(tool_calls=[call_piece(0, '{"a":', id="toolu_a", name="one")]),
            Delta(tool_calls=[call_piece(1, "{", id="toolu_b", name="two")]),
            Delta(tool_calls=[call_piece(1, "}")]),
            Delta(text="Done.", tool_calls=[call_piece(0, "1}")], finish_reason="tool_calls"),
        ),
    )
    assert outline(events) == [
        "0 tool_use",
        '0 + {"a":',
        "0 + 1}",
        "0 stop",
        "1 tool_use",
        "1 + {}",
        "1 stop",
        "2 text",
        "2 + Done.",
        "2 stop",
        "message_delta",
        "message_stop",
    ]


def test_an_empty_answer_has_no_block(scripted: ServiceProcess) -> None:
    assert outline(events_of(scripted, script(END))) == ["message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("lines", "stop_reason"),
    [
        ((Delta(text="a"), END), "end_turn"),
        ((Delta(text="a", finish_reason="length"),), "max_tokens"),
        ((Delta(text="a", finish_reason="content_filter"),), "refusal"),
        ((Delta(refusal="I won't."), END), "refusal"),
        (
            (
                Delta(
                    tool_calls=[call_piece(0, "{}", id="t", name="f")], finish_reason="tool_calls"
                ),
            ),
            "tool_use",
        ),
    ],
    ids=["stop", "length", "filter", "refusal", "call"],
)
def test_why_an_answer_ended_is_said_whole_and_streamed(
    scripted: ServiceProcess, client: Anthropic, lines: tuple[Delta, ...], stop_reason: str
) -> None:
    whole = client.messages.create(**body_of(script(*lines)))
    assert whole.stop_reason == stop_reason
    with client.messages.stream(**body_of(script(*lines))) as stream:
        streamed = stream.get_final_message()
    assert plain(streamed) == plain(whole)
    assert streamed.usage == whole.usage
    assert streamed.stop_reason == stop_reason
    assert (whole.stop_details is not None) == (stop_reason == "refusal")
    assert events_of(scripted, script(*lines))[-2]["delta"]["stop_reason"] == stop_reason


def test_the_sdk_puts_calls_and_thoughts_together(client: Anthropic) -> None:
    lines = (
        Delta(reasoning="Hm."),
        Delta(text="I look."),
        Delta(tool_calls=[call_piece(0, '{"city": "北', id="toolu_a", name="weather")]),
        Delta(tool_calls=[call_piece(0, '京"}'), call_piece(1, "{}", id="toolu_b", name="now")]),
        Delta(finish_reason="tool_calls"),
    )
    with client.messages.stream(**body_of(script(*lines))) as stream:
        message = stream.get_final_message()
    assert plain(message) == plain(client.messages.create(**body_of(script(*lines))))
    thinking, text, first, second = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking == "Hm."
    assert text.type == "text"
    assert first.type == "tool_use"
    assert first.input == {"city": "北京"}
    assert second.type == "tool_use"
    assert second.id == "toolu_b"


def test_what_is_asked_reaches_the_model_in_its_words(client: Anthropic) -> None:
    mark: Any = {"type": "ephemeral"}
    message = client.messages.create(
        model=MODEL,
        max_tokens=99,
        system=[{"type": "text", "text": "Be brief.", "cache_control": mark}],
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
                    },
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "AA==",
                        },
                    },
                    {"type": "text", "text": "Look"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": ""},
                    {"type": "text", "text": "I find"},
                    {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "nothing"}],
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        tools=[{"name": "find", "description": "Finds", "input_schema": {"type": "object"}}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 4096},
        stop_sequences=["END"],
        extra_body={"top_k": 3, "temperature": 0.5},
    )
    (block,) = message.content
    assert block.type == "text"
    call = json.loads(block.text)
    assert call["messages"] == [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be brief.", "cache_control": mark}],
        },
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {
                    "type": "file",
                    "file": {
                        "file_data": "data:application/pdf;base64,AA==",
                        "filename": "a.pdf",
                    },
                },
                {"type": "text", "text": "Look"},
            ],
        },
        {
            "role": "assistant",
            "content": "I find",
            "reasoning_content": "Hm",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "find", "arguments": '{"q":1}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "nothing"},
        {"role": "user", "content": "And?"},
    ]
    assert call["params"] == {
        "temperature": 0.5,
        "max_tokens": 99,
        "n": 1,
        "stop": ["END"],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "find",
                    "description": "Finds",
                    "parameters": {"type": "object"},
                },
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "extra": {"top_k": 3, "reasoning_effort": "medium"},
    }


def test_json_is_asked_for_by_its_schema(client: Anthropic) -> None:
    schema: Json = {"type": "object", "properties": {}}
    message = client.messages.create(
        **body_of("Hi"), output_config={"format": {"type": "json_schema", "schema": schema}}
    )
    (block,) = message.content
    assert block.type == "text"
    wanted = json.loads(block.text)["params"]["response_format"]
    assert wanted["json_schema"]["schema"] == schema


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"messages": []}, "'messages' is empty"),
        ({"messages": "hi"}, "messages"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": ["x"] * 17}, "stop_sequences"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        (
            {"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "tool"}},
            "tool_choice.name",
        ),
        ({"mcp_servers": [{"url": "https://example.com"}]}, "mcp_servers"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
        (
            {"messages": [{"role": "user", "content": [{"type": "server_tool_use"}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
                    }
                ]
            },
            "messages[0].content[0].source.type",
        ),
        ({"metadata": {"user_id": f"s_{'0a' * 16}"}}, "internal subject id"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_be_done_is_refused_by_its_name(
    scripted: ServiceProcess, fields: Json, says: str
) -> None:
    answer = ask(scripted, {**body_of("Hi"), **fields})
    assert answer.status_code == 400, answer.text
    error = answer.json()
    assert set(error) == {"type", "error", "request_id"}
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert says in error["error"]["message"]
    assert error["request_id"] == answer.headers["request-id"]


def test_a_model_that_is_down_is_an_overload(client: Anthropic) -> None:
    for failure in ("unavailable", "throttled"):
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(**body_of(script({"fail": failure})))
        assert caught.value.status_code == 529
        assert caught.value.type == "overloaded_error"


def test_a_stream_that_breaks_off_is_an_error_to_the_sdk(
    scripted: ServiceProcess, client: Anthropic
) -> None:
    text = script(Delta(text="Once"), {"fail": "unavailable"})
    seen: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError, match="the model broke off"),
        client.messages.stream(**body_of(text)) as stream,
    ):
        seen.extend(stream.text_stream)
    assert seen == ["Once"]
    last = events_of(scripted, text)[-1]
    assert last["type"] == "error"
    assert last["error"] == {"type": "overloaded_error", "message": "the model broke off"}


def test_a_wrong_key_and_an_unknown_model_are_what_the_sdk_expects(
    scripted: ServiceProcess, client: Anthropic
) -> None:
    with (
        Anthropic(base_url=scripted.url, api_key="sk-ant-wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError) as refused,
    ):
        stranger.messages.create(**body_of("Hi"))
    assert refused.value.type == "authentication_error"
    assert "sk-ant-wrong" not in str(refused.value)
    with pytest.raises(anthropic.NotFoundError, match="scripted") as unknown:
        client.messages.create(**{**body_of("Hi"), "model": "claude-sonnet-5"})
    assert unknown.value.type == "not_found_error"
    assert unknown.value.request_id
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-sonnet-5")
    with pytest.raises(anthropic.NotFoundError):
        client.get("/v1/nothing", cast_to=object)


def test_a_key_may_come_as_a_bearer_token(scripted: ServiceProcess) -> None:
    with Anthropic(base_url=scripted.url, auth_token=scripted.key, max_retries=0) as bearer:
        assert bearer.messages.create(**body_of(script(Delta(text="Hi"), END))).content


def test_a_body_that_is_too_large_is_request_too_large(client: Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**body_of("x" * 5_000_000))
    assert caught.value.status_code == 413
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "request_too_large"


def test_models_are_listed_in_either_apis_shape(
    scripted: ServiceProcess, client: Anthropic
) -> None:
    (model,) = client.models.list()
    assert (model.id, model.type, model.lifecycle) == (MODEL, "model", "active")
    assert model.max_input_tokens == 1_000_000
    assert client.models.retrieve(MODEL).created_at == model.created_at
    with scripted.client() as http:
        assert http.get("/v1/models").json()["object"] == "list"


def test_tokens_are_counted_with_system_and_tools(client: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "one two three"}]
    plain = client.messages.count_tokens(model=MODEL, messages=messages)
    assert plain.input_tokens == 3
    more = client.messages.count_tokens(
        model=MODEL,
        messages=messages,
        system="four five",
        tools=[{"name": "f", "input_schema": {"type": "object"}}],
    )
    assert more.input_tokens == 6


def test_a_conversation_is_remembered_and_a_user_is_its_subject(
    scripted: ServiceProcess, client: Anthropic
) -> None:
    for text in (script(Delta(text="Hello Ada"), END), "And now?"):
        message = client.messages.create(
            **body_of(text),
            metadata={"user_id": "ada"},
            extra_headers={"x-headrace-conversation": "letters"},
        )
    (block,) = message.content
    assert block.type == "text"
    messages = json.loads(block.text)["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "user"]
    trace = message.id.removeprefix("msg_")
    shown = json.loads(scripted.run("trace", "show", trace[-12:], "--json").stdout)
    assert shown["subject"].startswith("s_")
    assert shown["conversation"] == "letters"
