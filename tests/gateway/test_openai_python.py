"""The unmodified OpenAI Python SDK against a running service with the real model."""

import asyncio
import base64
import json
import struct

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model]

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France? One sentence."}
]
MODEL = "smollm2-135m"


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> OpenAI:
    return OpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0)


def test_an_answer_has_text_usage_and_identity(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=QUESTION, max_tokens=32, temperature=0
    )
    answer = raw.parse()
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert raw.headers["x-headrace-trace"] == raw.headers["x-request-id"]
    assert answer.id == f"chatcmpl-{raw.headers['x-headrace-trace']}"
    assert raw.headers["x-headrace-release"].startswith("sha256:")


def test_the_same_answer_streams_in_pieces(client: OpenAI) -> None:
    whole = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=24, temperature=0
    )
    stream = client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        max_tokens=24,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in ("stop", "length")
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 3


def test_usage_is_absent_from_a_stream_unless_asked_for(client: OpenAI) -> None:
    chunks = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=4, stream=True
    )
    assert all(chunk.usage is None for chunk in chunks)


def test_the_sdks_stream_helper_accumulates(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=QUESTION, stop=["."]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content


def test_several_choices_come_back(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=6, n=2, temperature=1, seed=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.message.content for choice in answer.choices)


def test_several_choices_stream_apart(client: OpenAI) -> None:
    chunks = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=6, n=2, stream=True
    )
    ended = [c.choices[0].index for c in chunks if c.choices and c.choices[0].finish_reason]
    assert sorted(ended) == [0, 1]


def test_a_stop_sequence_ends_the_answer_before_it(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Count: one, two, three, four, five, six, seven."}],
        max_tokens=64,
        temperature=0,
        stop=[","],
    )
    assert "," not in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"


def test_max_tokens_cuts_with_length(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell a long story about a mill."}],
        max_completion_tokens=5,
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


def test_log_probabilities_match_the_text(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=8, temperature=0, logprobs=True, top_logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    text = "".join(token.token for token in logprobs.content)
    assert text.strip().startswith((answer.choices[0].message.content or "").strip()[:10])
    assert all(token.logprob <= 0 for token in logprobs.content)
    assert all(len(token.top_logprobs) == 2 for token in logprobs.content)


def test_a_json_schema_is_kept_to(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "country": {"enum": ["FR"]}},
        "required": ["city", "country"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        max_tokens=64,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "place", "schema": schema, "strict": True},
        },
    )
    found = json.loads(answer.choices[0].message.content or "")
    assert found["country"] == "FR"
    assert set(found) == {"city", "country"}


def test_a_tool_is_called(client: OpenAI) -> None:
    tool: ChatCompletionToolUnionParam = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Current weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 30}},
                "required": ["city"],
            },
        },
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[tool],
        tool_choice="required",
        max_tokens=96,
        temperature=0,
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    assert call.id


def test_a_tools_result_goes_back_to_the_model(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "user", "content": "What is the weather in Paris?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny, 21 degrees"},
        ],
        max_tokens=24,
    )
    assert answer.choices[0].message.content


def test_text_parts_are_understood(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "What is the capital of France?"}],
            }
        ],
        max_tokens=16,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")


def test_a_bare_prompt_is_continued(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=4, temperature=0
    )
    assert "Paris" in answer.choices[0].text
    assert answer.object == "text_completion"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


def test_several_prompts_are_numbered_in_order(client: OpenAI) -> None:
    prompts = ["One, two,", "The sky is"]
    answer = client.completions.create(
        model=MODEL, prompt=prompts, max_tokens=3, temperature=0, echo=True
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice, prompt in zip(answer.choices, prompts, strict=True):
        assert choice.text.startswith(prompt)


def test_probabilities_of_an_echoed_prompt_are_refused_and_not_left_out(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'logprobs' of an echoed prompt") as refused:
        client.completions.create(model=MODEL, prompt="One", max_tokens=1, echo=True, logprobs=1)
    assert refused.value.param == "logprobs"


def test_a_bare_prompt_streams(client: OpenAI) -> None:
    begin = "Once upon a time"
    whole = client.completions.create(model=MODEL, prompt=begin, max_tokens=8, temperature=0)
    chunks = client.completions.create(
        model=MODEL, prompt=begin, max_tokens=8, temperature=0, stream=True
    )
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text


def test_embeddings_come_as_floats_and_as_base64(client: OpenAI) -> None:
    texts = ["a mill by the river", "水车在河边"]
    floats = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    raw = client.embeddings.with_raw_response.create(
        model=MODEL, input=texts, encoding_format="base64"
    )
    first = json.loads(raw.text)["data"][0]["embedding"]
    size = len(floats.data[0].embedding)
    assert [each.index for each in floats.data] == [0, 1]
    assert len(floats.data[1].embedding) == size
    assert struct.unpack(f"<{size}f", base64.b64decode(first)) == pytest.approx(
        floats.data[0].embedding, rel=1e-5
    )
    assert floats.usage.prompt_tokens > 4


def test_models_are_listed_and_shown(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == [MODEL, "embedding", "embedding-multilingual"]
    assert client.models.retrieve(MODEL).object == "model"


def test_an_unknown_model_names_the_nearest(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="smollm2-135m") as caught:
        client.chat.completions.create(model="smollm-135", messages=QUESTION)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_wrong_key_is_an_authentication_error(service: ServiceProcess) -> None:
    stranger = OpenAI(base_url=f"{service.url}/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.chat.completions.create(model=MODEL, messages=QUESTION)
    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)


def test_empty_messages_are_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[])
    assert caught.value.param == "messages"


def test_too_long_a_prompt_is_counted(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"4096 tokens.*come to \d{4,5} tokens") as e:
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "water " * 6000}]
        )
    assert e.value.code == "context_length_exceeded"


def test_a_conversation_is_remembered(client: OpenAI) -> None:
    question: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is my name?"}]
    client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "My name is Ada. Say hello."}],
        max_tokens=24,
        temperature=0,
        extra_headers={"x-headrace-conversation": "memory-test"},
    )
    answer = client.chat.completions.create(
        model=MODEL,
        messages=question,
        max_tokens=24,
        temperature=0,
        extra_body={"conversation": "memory-test"},
    )
    alone = client.chat.completions.create(model=MODEL, messages=question, max_tokens=1)
    assert answer.usage is not None
    assert alone.usage is not None
    assert answer.usage.prompt_tokens > alone.usage.prompt_tokens + 10


async def test_many_answers_at_once(service: ServiceProcess) -> None:
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=8)
                for _ in range(8)
            )
        )
    assert all(answer.choices[0].message.content for answer in answers)
    assert len({answer.id for answer in answers}) == 8


async def test_leaving_a_stream_frees_the_slot(service: ServiceProcess) -> None:
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key) as client:
        for _ in range(6):  # more than the model has slots
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Write a very long story."}],
                max_tokens=2000,
                stream=True,
            )
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    break
            await stream.close()
        answer = await client.chat.completions.create(
            model=MODEL, messages=QUESTION, max_tokens=4, timeout=20
        )
    assert answer.choices[0].message.content
