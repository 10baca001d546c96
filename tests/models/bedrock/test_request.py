"""What a call in OpenAI's words becomes in Converse's."""

import msgspec
import pytest

from headrace.errors import InvalidRequest
from headrace.models.backend import Call
from headrace.models.bedrock.request import body_of
from headrace.models.bedrock.settings import BedrockSettings
from headrace.models.dialect.carried import carry
from headrace.types import FunctionCall, Message, Params, Part, ToolCall

SETTINGS = BedrockSettings(model="us.anthropic.claude-sonnet-4-6-v1:0")
BUDGET = BedrockSettings(model="anthropic.claude-haiku-4-5-20251001-v1:0", thinking="budget")
USER = Message(role="user", content="Hi")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Looks it up.",
        "parameters": SCHEMA,
        "strict": True,
    },
}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "EqQB"}}}


def body(
    *messages: Message, settings: BedrockSettings = SETTINGS, **params: object
) -> dict[str, object]:
    return body_of(Call(list(messages) or [USER], msgspec.convert(params, Params)), settings)


def called(call_id: str = "tooluse_1", arguments: str = '{"city":"Rome"}') -> Message:
    return Message(
        role="assistant",
        content="I look.",
        tool_calls=[ToolCall(call_id, FunctionCall("weather", arguments))],
    )


def result(call_id: str = "tooluse_1", content: str | list[Part] = "sunny") -> Message:
    return Message(role="tool", tool_call_id=call_id, content=content)


def test_a_plain_question() -> None:
    assert body() == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_instructions_move_to_the_front_and_neighbours_of_one_role_are_joined() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    made = body(
        Message(
            role="system",
            content=[{"type": "text", "text": "Be brief.", "cache_control": mark}],
        ),
        USER,
        Message(role="user", content="Are you there?"),
        Message(role="developer", content="Be kind."),
    )
    assert made["system"] == [
        {"text": "Be brief."},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "Be kind."},
    ]
    assert made["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "Are you there?"}]}
    ]


def test_tool_calls_and_their_results() -> None:
    long = "call_" + "x" * 80
    picture: Part = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}}
    both = Message(
        role="assistant",
        tool_calls=[
            ToolCall("toolu.1", FunctionCall("weather", '{"city":"Rome"}')),
            ToolCall(long, FunctionCall("now", "")),
        ],
    )
    messages = body(USER, both, result("toolu.1", [picture]), result(long, ""), tools=[TOOL])[
        "messages"
    ]
    assert isinstance(messages, list)
    first, second = (block["toolUse"] for block in messages[1]["content"])
    assert first == {"toolUseId": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
    assert len(second["toolUseId"]) <= 64
    assert messages[2]["content"] == [
        {
            "toolResult": {
                "toolUseId": "toolu_1",
                "content": [{"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}}],
            }
        },
        {"toolResult": {"toolUseId": second["toolUseId"], "content": [{"json": {}}]}},
    ]


def test_thoughts_that_a_call_carries_come_back_as_they_were() -> None:
    call_id = carry("tooluse_1", "b", msgspec.json.encode([THOUGHT]))
    messages = body(USER, called(call_id), result(call_id), tools=[TOOL])["messages"]
    assert isinstance(messages, list)
    assert messages[1]["content"][0] == THOUGHT
    assert messages[1]["content"][2]["toolUse"]["toolUseId"] == "tooluse_1"


def test_pictures_documents_and_sound() -> None:
    parts: list[Part] = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/a.JPG"}},
        {
            "type": "file",
            "file": {
                "file_data": "data:application/pdf;base64,JVBE",
                "filename": "Q3  report/final.pdf",
            },
        },
        {"type": "file", "file": {"file_data": "data:text/plain;base64,eA=="}},
        {"type": "file", "file": {"file_id": "s3://bucket/b.docx"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
    ]
    assert body(Message(role="user", content=parts))["messages"] == [
        {
            "role": "user",
            "content": [
                {"text": "Look:"},
                {"image": {"source": {"bytes": "iVBO"}, "format": "png"}},
                {
                    "image": {
                        "source": {"s3Location": {"uri": "s3://bucket/a.JPG"}},
                        "format": "jpeg",
                    }
                },
                {
                    "document": {
                        "name": "Q3 report final",
                        "source": {"bytes": "JVBE"},
                        "format": "pdf",
                    }
                },
                {"document": {"name": "document 5", "source": {"bytes": "eA=="}, "format": "txt"}},
                {
                    "document": {
                        "name": "document 6",
                        "source": {"s3Location": {"uri": "s3://bucket/b.docx"}},
                        "format": "docx",
                    }
                },
                {"audio": {"format": "wav", "source": {"bytes": "UklG"}}},
                {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "weather"}}, {"tool": {"name": "weather"}}),
    ],
)
def test_tools_and_the_choice_among_them(choice: object, expected: object) -> None:
    config = body(tools=[TOOL, {"systemTool": {"name": "nova_grounding"}}], tool_choice=choice)[
        "toolConfig"
    ]
    assert isinstance(config, dict)
    assert config.get("toolChoice") == expected
    assert config["tools"] == [
        {
            "toolSpec": {
                "name": "weather",
                "inputSchema": {"json": SCHEMA},
                "description": "Looks it up.",
                "strict": True,
            }
        },
        {"systemTool": {"name": "nova_grounding"}},
    ]


def test_no_tool_may_be_called_where_none_is_named() -> None:
    assert "toolConfig" not in body(tools=[TOOL], tool_choice="none")
    with pytest.raises(InvalidRequest) as refused:
        body(USER, called(), result(), tools=[TOOL], tool_choice="none")
    assert refused.value.param == "tool_choice"


def test_a_json_schema_is_json_text_there() -> None:
    json_schema = {"name": "x", "schema": {"type": "object"}, "description": "An x."}
    made = body(
        response_format={"type": "json_schema", "json_schema": json_schema},
        extra={"reasoning_effort": "high"},
    )
    assert made["outputConfig"] == {
        "effort": "high",
        "textFormat": {
            "type": "json_schema",
            "structure": {
                "jsonSchema": {"schema": '{"type":"object"}', "name": "x", "description": "An x."}
            },
        },
    }
    assert made["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}


def test_any_json_object_is_the_input_of_a_tool_that_must_be_called() -> None:
    config = body(response_format={"type": "json_object"})["toolConfig"]
    assert isinstance(config, dict)
    assert config["toolChoice"] == {"tool": {"name": "json_answer"}}


def test_parameters_and_fields_of_converse_and_of_the_model() -> None:
    made = body(
        temperature=0.2,
        top_p=0.9,
        max_tokens=7,
        stop=["END"],
        seed=3,
        extra={
            "top_k": 5,
            "guardrailConfig": {"guardrailIdentifier": "g"},
            "additionalModelRequestFields": {"reasoningConfig": {"type": "enabled"}},
            "service_tier": "flex",
            "store": False,
        },
    )
    assert made["inferenceConfig"] == {
        "temperature": 0.2,
        "topP": 0.9,
        "maxTokens": 7,
        "stopSequences": ["END"],
    }
    assert made["guardrailConfig"] == {"guardrailIdentifier": "g"}
    assert made["serviceTier"] == {"type": "flex"}
    assert made["additionalModelRequestFields"] == {
        "reasoningConfig": {"type": "enabled"},
        "top_k": 5,
    }


def test_effort_in_each_models_way() -> None:
    effort = {"reasoning_effort": "low"}
    budget = body(settings=BUDGET, max_tokens=2000, extra=effort)
    assert budget["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 1500}
    }
    gpt = BedrockSettings(model="openai.gpt-oss-120b-1:0", thinking="field")
    assert body(settings=gpt, extra=effort)["additionalModelRequestFields"] == effort
    off = body(extra={"reasoning_effort": "none"})
    assert off["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}
    unsigned = body(USER, called(), result(), settings=BUDGET, tools=[TOOL], extra=effort)
    assert "additionalModelRequestFields" not in unsigned


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -0.5}, "frequency_penalty"),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, "response_format"),
        ({"extra": {"service_tier": "scale"}}, "service_tier"),
        ({"extra": {"reasoning_effort": "extreme"}}, "reasoning_effort"),
        ({"extra": {"verbosity": "high"}}, "verbosity"),
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
        ([USER, called(arguments="[]")], "messages[1].tool_calls[0].function.arguments"),
        (
            [
                Message(
                    role="user",
                    content=[
                        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
                    ],
                )
            ],
            "messages[0]",
        ),
        (
            [
                Message(
                    role="user",
                    content=[{"type": "file", "file": {"file_data": "data:a/b;base64,eA=="}}],
                )
            ],
            "messages[0]",
        ),
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
