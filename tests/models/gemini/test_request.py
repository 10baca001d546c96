"""What a call in OpenAI's words becomes in Gemini's."""

import msgspec
import pytest

from headrace.errors import InvalidRequest
from headrace.models.backend import Call
from headrace.models.dialect.carried import carry
from headrace.models.gemini.request import body_of
from headrace.models.gemini.settings import GeminiSettings
from headrace.types import FunctionCall, Message, Params, Part, ToolCall

SETTINGS = GeminiSettings(model="gemini-3.1-pro")
BUDGET = GeminiSettings(model="gemini-2.5-flash", thinking="budget")
USER = Message(role="user", content="Hi")
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Looks it up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
STRICT: dict[str, object] = {"type": "function", "function": {"name": "now", "strict": True}}


def body(
    *messages: Message, settings: GeminiSettings = SETTINGS, **params: object
) -> dict[str, object]:
    return body_of(Call(list(messages) or [USER], msgspec.convert(params, Params)), settings)


def called(*ids: str) -> Message:
    calls = [ToolCall(each, FunctionCall("weather", '{"city":"Rome"}')) for each in ids]
    return Message(role="assistant", tool_calls=calls)


def result(call_id: str, content: str | list[Part] = "sunny") -> Message:
    return Message(role="tool", tool_call_id=call_id, content=content)


def test_a_plain_question() -> None:
    assert body() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_instructions_are_one_and_neighbours_of_one_role_are_joined() -> None:
    made = body(
        Message(role="system", content="Be brief."),
        USER,
        Message(role="assistant", content="Hello"),
        Message(role="assistant", content="again"),
        Message(role="developer", content="Be kind."),
        Message(role="user", content="Well?"),
    )
    assert made["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert made["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Hello"}, {"text": "again"}]},
        {"role": "user", "parts": [{"text": "Well?"}]},
    ]


def test_calls_and_results_find_each_other_and_signatures_come_back() -> None:
    signed = carry("fc_1", "g", b"c2lnbmVk")
    own = "hrcall-0197"
    picture: Part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    made = body(USER, called(signed, own), result(signed), result(own, [picture]))
    args = {"name": "weather", "args": {"city": "Rome"}}
    assert made["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "fc_1", **args}, "thoughtSignature": "c2lnbmVk"},
                {"functionCall": args},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "fc_1",
                        "name": "weather",
                        "response": {"output": "sunny"},
                    }
                },
                {
                    "functionResponse": {
                        "name": "weather",
                        "response": {"output": ""},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
                    }
                },
            ],
        },
    ]


@pytest.mark.parametrize(
    ("settings", "signature"), [(SETTINGS, "skip_thought_signature_validator"), (BUDGET, None)]
)
def test_calls_of_another_model_have_no_signature(
    settings: GeminiSettings, signature: str | None
) -> None:
    other = carry("toolu_1", "a", b"[]")
    contents = body(USER, called(other, "call_2"), settings=settings)["contents"]
    assert isinstance(contents, list)
    first, second = contents[1]["parts"]
    assert first["functionCall"]["id"] == "toolu_1"
    assert first.get("thoughtSignature") == signature
    assert "thoughtSignature" not in second


def test_pictures_sound_and_documents() -> None:
    parts: list[Part] = [
        {"type": "text", "text": "Look:", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/map.png?x=1"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/map"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_id": "https://a.example/v1/files/x"}},
        {"videoMetadata": {"fps": 1}},
    ]
    assert body(Message(role="user", content=parts))["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "Look:"},
                {
                    "fileData": {
                        "fileUri": "https://a.example/map.png?x=1",
                        "mimeType": "image/png",
                    }
                },
                {"fileData": {"fileUri": "https://a.example/map"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
                {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
                {"fileData": {"fileUri": "https://a.example/v1/files/x"}},
                {"videoMetadata": {"fps": 1}},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("tool", "choice", "expected"),
    [
        (TOOL, None, None),
        (TOOL, "auto", {"mode": "AUTO"}),
        (TOOL, "none", {"mode": "NONE"}),
        (TOOL, "required", {"mode": "ANY"}),
        (
            TOOL,
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        (STRICT, None, {"mode": "VALIDATED"}),
        (STRICT, "auto", {"mode": "VALIDATED"}),
    ],
)
def test_the_choice_among_tools(tool: dict[str, object], choice: object, expected: object) -> None:
    made = body(tools=[tool, {"googleSearch": {}}], tool_choice=choice)
    config = made.get("toolConfig")
    assert config == (None if expected is None else {"functionCallingConfig": expected})


def test_tools() -> None:
    assert body(tools=[TOOL, {"googleSearch": {}}])["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Looks it up.",
                    "parametersJsonSchema": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                    },
                }
            ]
        },
        {"googleSearch": {}},
    ]


def test_parameters() -> None:
    made = body(
        temperature=1.5,
        top_p=0.9,
        max_tokens=7,
        stop=["END"],
        seed=3,
        n=2,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logprobs=True,
        top_logprobs=4,
        response_format={"type": "json_object"},
        extra={"top_k": 5, "safetySettings": [], "generationConfig": {"mediaResolution": "LOW"}},
    )
    assert made["safetySettings"] == []
    assert made["generationConfig"] == {
        "temperature": 1.5,
        "topP": 0.9,
        "maxOutputTokens": 7,
        "stopSequences": ["END"],
        "seed": 3,
        "candidateCount": 2,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 4,
        "topK": 5,
        "responseMimeType": "application/json",
        "mediaResolution": "LOW",
    }
    assert "generationConfig" not in body(logprobs=False)


def test_a_json_schema() -> None:
    schema = {"type": "object", "properties": {}}
    json_schema = {"name": "x", "schema": schema}
    made = body(response_format={"type": "json_schema", "json_schema": json_schema})
    assert made["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


def test_effort_is_a_level_or_a_budget() -> None:
    level = body(extra={"reasoning_effort": "low"})["generationConfig"]
    assert level == {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}}
    budget = body(settings=BUDGET, extra={"reasoning_effort": "medium"})["generationConfig"]
    assert budget == {"thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": True}}
    off = body(settings=BUDGET, extra={"reasoning_effort": "none"})["generationConfig"]
    assert off == {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": False}}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"extra": {"reasoning_effort": "none"}}, "reasoning_effort"),
        ({"extra": {"reasoning_effort": "max"}}, "reasoning_effort"),
        ({"extra": {"modalities": ["audio"]}}, "modalities"),
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
        ([USER, result("unknown")], "messages[1].tool_call_id"),
        (
            [
                Message(
                    role="user",
                    content=[{"type": "file", "file": {"file_data": "data:;base64,eA=="}}],
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
