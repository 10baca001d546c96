"""What a call in OpenAI's words becomes in Anthropic's."""

import base64

import msgspec
import pytest

from headrace.errors import InvalidRequest
from headrace.models.anthropic.request import body_of
from headrace.models.anthropic.settings import AnthropicSettings
from headrace.models.backend import Call
from headrace.models.dialect.carried import carry
from headrace.types import FunctionCall, Message, Params, Part, ToolCall

SETTINGS = AnthropicSettings(model="claude-sonnet-5")
USER = Message(role="user", content="Hi")
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Looks it up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}


def body(
    *messages: Message, settings: AnthropicSettings = SETTINGS, **params: object
) -> dict[str, object]:
    return body_of(Call(list(messages) or [USER], msgspec.convert(params, Params)), settings)


def called(call_id: str = "toolu_01", arguments: str = '{"city":"Rome"}') -> Message:
    return Message(
        role="assistant",
        content="I look.",
        tool_calls=[ToolCall(call_id, FunctionCall("weather", arguments))],
    )


def result(call_id: str = "toolu_01", content: str | list[Part] = "sunny") -> Message:
    return Message(role="tool", tool_call_id=call_id, content=content)


def test_a_plain_question() -> None:
    assert body() == {
        "model": "claude-sonnet-5",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }


def test_instructions_move_to_the_front_and_neighbours_of_one_role_are_joined() -> None:
    made = body(
        Message(role="system", content="Be brief."),
        USER,
        Message(role="user", content="Are you there?"),
        Message(role="assistant", content=""),
        Message(role="developer", content=[{"type": "text", "text": "Be kind."}]),
        Message(role="user", content="Well?"),
    )
    assert made["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Be kind."},
    ]
    texts = ["Hi", "Are you there?", "Well?"]
    assert made["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}
    ]


def test_tool_calls_and_their_results() -> None:
    both = Message(
        role="assistant",
        tool_calls=[
            ToolCall("call:1", FunctionCall("weather", '{"city":"Rome"}')),
            ToolCall("call:2", FunctionCall("now", "")),
        ],
    )
    picture: Part = {"type": "image_url", "image_url": {"url": "https://a.example/map.png"}}
    made = body(USER, both, result("call:1", [picture]), result("call:2", ""), USER)
    assert made["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "call_2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_1",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "url", "url": "https://a.example/map.png"},
                        }
                    ],
                },
                {"type": "tool_result", "tool_use_id": "call_2"},
                {"type": "text", "text": "Hi"},
            ],
        },
    ]


def test_thoughts_that_a_call_carries_come_back_as_they_were() -> None:
    call_id = carry("toolu_01", "a", msgspec.json.encode([THOUGHT]))
    messages = body(USER, called(call_id), result(call_id))["messages"]
    assert isinstance(messages, list)
    assert messages[1]["content"][0] == THOUGHT
    assert messages[1]["content"][2]["id"] == "toolu_01"
    assert messages[2]["content"][0]["tool_use_id"] == "toolu_01"


def test_pictures_documents_and_cache_marks() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    text = base64.b64encode("Grüße".encode()).decode()
    parts: list[Part] = [
        {"type": "text", "text": "Look:", "cache_control": mark},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
        {
            "type": "file",
            "file": {"file_data": f"data:text/plain;base64,{text}", "filename": "a.txt"},
        },
        {"type": "file", "file": {"file_id": "file_011C"}},
        {"type": "search_result", "source": "x", "title": "y", "content": []},
    ]
    assert body(Message(role="user", content=parts))["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:", "cache_control": mark},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
                },
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                },
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
                    "title": "a.txt",
                },
                {"type": "document", "source": {"type": "file", "file_id": "file_011C"}},
                {"type": "search_result", "source": "x", "title": "y", "content": []},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        (
            {"type": "function", "function": {"name": "weather"}},
            None,
            {"type": "tool", "name": "weather"},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "weather"}}],
                },
            },
            None,
            {"type": "any"},
        ),
    ],
)
def test_tools_and_the_choice_among_them(
    choice: object, parallel: bool | None, expected: object
) -> None:
    native = {"type": "web_search_20260209", "name": "web_search"}
    made = body(tools=[TOOL, native], tool_choice=choice, parallel_tool_calls=parallel)
    assert made.get("tool_choice") == expected
    assert made["tools"] == [
        {
            "name": "weather",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
            "description": "Looks it up.",
            "strict": True,
        },
        native,
    ]


def test_a_json_schema_is_an_output_format_beside_the_effort() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    made = body(
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        extra={"reasoning_effort": "minimal"},
    )
    assert made["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": schema},
    }
    assert made["thinking"] == {"type": "adaptive"}


def test_any_json_object_is_the_input_of_a_tool_that_must_be_called() -> None:
    made = body(response_format={"type": "json_object"})
    assert made["tool_choice"] == {
        "type": "tool",
        "name": "json_answer",
        "disable_parallel_tool_use": True,
    }


def test_sampling() -> None:
    made = body(temperature=0.2, top_p=0.9, stop=["END"], max_tokens=7, seed=3, n=1, logprobs=False)
    assert (made["temperature"], made["top_p"]) == (0.2, 0.9)
    assert (made["stop_sequences"], made["max_tokens"]) == (["END"], 7)
    assert not {"seed", "n", "logprobs"} & made.keys()


def test_sampling_is_refused_where_the_version_has_none_unless_it_changes_nothing() -> None:
    newer = AnthropicSettings(model="claude-opus-5", version="2026-10-21")
    assert "temperature" not in body(settings=newer, temperature=1.0, top_p=1.0)
    with pytest.raises(InvalidRequest, match="temperature") as refused:
        body(settings=newer, temperature=0.2)
    assert refused.value.param == "temperature"


BUDGET = AnthropicSettings(model="claude-haiku-4-5", thinking="budget", thinking_display="omitted")


def test_effort_as_a_budget_stays_below_the_answers_length() -> None:
    made = body(settings=BUDGET, extra={"reasoning_effort": "high"})
    thinking = {"type": "enabled", "budget_tokens": 6144, "display": "omitted"}
    assert made["thinking"] == thinking
    with pytest.raises(InvalidRequest) as refused:
        body(settings=BUDGET, max_tokens=1000, extra={"reasoning_effort": "high"})
    assert refused.value.param == "max_tokens"


def test_no_budget_where_another_model_began_the_turn() -> None:
    extra = {"reasoning_effort": "low"}
    assert "thinking" not in body(USER, called(), result(), settings=BUDGET, extra=extra)
    own = carry("toolu_01", "a", msgspec.json.encode([THOUGHT]))
    assert "thinking" in body(USER, called(own), result(own), settings=BUDGET, extra=extra)
    ended = [USER, called(), result(), Message(role="assistant", content="Sunny."), USER]
    assert "thinking" in body(*ended, settings=BUDGET, extra=extra)


def test_fields_of_anthropics_own_go_through_and_come_over_ours() -> None:
    made = body(
        extra={
            "reasoning_effort": "high",
            "thinking": {"type": "adaptive", "display": "summarized"},
            "top_k": 5,
            "context_management": {"edits": []},
            "store": True,
            "service_tier": "default",
            "modalities": ["text"],
        }
    )
    assert made["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert (made["top_k"], made["context_management"]) == (5, {"edits": []})
    assert made["service_tier"] == "standard_only"
    assert not {"store", "reasoning_effort", "modalities"} & made.keys()


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -0.5}, "frequency_penalty"),
        ({"temperature": 1.5}, "temperature"),
        ({"extra": {"verbosity": "low"}}, "verbosity"),
        ({"extra": {"audio": {"voice": "x"}}}, "audio"),
        ({"extra": {"service_tier": "flex"}}, "service_tier"),
        ({"extra": {"reasoning_effort": "extreme"}}, "reasoning_effort"),
        ({"extra": {"reasoning_effort": 3}}, "reasoning_effort"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
        ),
        ({"tools": [TOOL], "tool_choice": {"type": "grammar"}}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0]"),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
    ],
)
def test_what_the_protocol_cannot_say_is_refused_by_name(
    params: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body_of(Call([USER], msgspec.convert(params, Params)), SETTINGS)
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([Message(role="system", content="x")], "messages"),
        ([Message(role="function", name="f", content="x")], "messages[0].role"),
        ([USER, Message(role="tool", content="x")], "messages[1].tool_call_id"),
        ([USER, called(arguments="[1]")], "messages[1].tool_calls[0].function.arguments"),
        ([USER, called(arguments="{")], "messages[1].tool_calls[0].function.arguments"),
        (
            [USER, called(arguments='{"a":' + "[" * 99_999)],
            "messages[1].tool_calls[0].function.arguments",
        ),
        (
            [
                Message(
                    role="user",
                    content=[{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
                )
            ],
            "messages[0]",
        ),
        (
            [
                Message(
                    role="user",
                    content=[{"type": "image_url", "image_url": {"url": "data:image/png,x"}}],
                )
            ],
            "messages[0].content[0]",
        ),
        (
            [
                Message(
                    role="user",
                    content=[{"type": "file", "file": {"file_data": "data:text/csv;base64,eA=="}}],
                )
            ],
            "messages[0]",
        ),
        ([Message(role="user", content=[{"type": "image_url"}])], "messages[0].content[0]"),
    ],
)
def test_messages_that_cannot_be_said_are_refused_by_name(
    messages: list[Message], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body(*messages)
    assert refused.value.param == field


def test_a_bare_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        body_of(Call([USER], Params(), completion=True), SETTINGS)
    assert refused.value.param == "prompt"
