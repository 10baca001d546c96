"""The unmodified OpenAI Python SDK's `responses` against a running service with the real model."""

import json
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model]

MODEL = "smollm2-135m"
QUESTION = "What is the capital of France? One sentence."


class Place(BaseModel):
    """What a structured answer is read into."""

    yes: bool


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0) as made:
        yield made


def test_an_answer_has_text_usage_and_identity(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(
        model=MODEL, input=QUESTION, max_output_tokens=32, temperature=0
    )
    answer = raw.parse()
    assert "Paris" in answer.output_text
    assert answer.id == f"resp_{raw.headers['x-headrace-trace'].replace('-', '')}"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer.max_output_tokens == 32


def test_the_same_answer_streams_and_the_sdk_puts_it_together(client: OpenAI) -> None:
    whole = client.responses.create(
        model=MODEL, input=QUESTION, max_output_tokens=24, temperature=0
    )
    with client.responses.stream(
        model=MODEL, input=QUESTION, max_output_tokens=24, temperature=0
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(deltas) > 3
    assert "".join(deltas) == final.output_text == whole.output_text
    assert final.usage == whole.usage


def test_a_limit_leaves_the_answer_incomplete(client: OpenAI) -> None:
    answer = client.responses.create(
        model=MODEL, input="Tell a long story about a mill.", max_output_tokens=5
    )
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_a_structured_answer_is_parsed(client: OpenAI) -> None:
    answer = client.responses.parse(
        model=MODEL, input=QUESTION, text_format=Place, max_output_tokens=64
    )
    assert isinstance(answer.output_parsed, Place)


def test_log_probabilities_come_when_included(client: OpenAI) -> None:
    answer = client.responses.create(
        model=MODEL,
        input=QUESTION,
        max_output_tokens=8,
        temperature=0,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    (message,) = answer.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs
    assert all(len(each.top_logprobs) == 2 for each in part.logprobs)


def test_a_tool_is_called_and_its_output_goes_back(client: OpenAI) -> None:
    first = client.responses.create(
        model=MODEL,
        input="What is the weather in Paris?",
        tools=[
            {
                "type": "function",
                "name": "get_weather",
                "description": "Current weather of a city",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "maxLength": 30}},
                    "required": ["city"],
                },
                "strict": False,
            }
        ],
        tool_choice="required",
        max_output_tokens=96,
        temperature=0,
    )
    call = next(item for item in first.output if item.type == "function_call")
    assert call.name == "get_weather"
    assert "city" in json.loads(call.arguments)
    second = client.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21"}],
        max_output_tokens=24,
    )
    assert second.output_text
    assert second.previous_response_id == first.id


def test_a_response_is_continued(client: OpenAI) -> None:
    first = client.responses.create(
        model=MODEL, input="My name is Ada. Say hello.", max_output_tokens=24, temperature=0
    )
    question = "What is my name?"
    second = client.responses.create(
        model=MODEL, input=question, previous_response_id=first.id, max_output_tokens=24
    )
    alone = client.responses.create(model=MODEL, input=question, max_output_tokens=1)
    assert second.usage is not None
    assert alone.usage is not None
    assert second.usage.input_tokens > alone.usage.input_tokens + 10


def test_errors_are_what_the_sdk_expects(client: OpenAI, service: ServiceProcess) -> None:
    with pytest.raises(openai.NotFoundError, match="smollm2-135m"):
        client.responses.create(model="smollm-135", input=QUESTION)
    with pytest.raises(openai.BadRequestError, match="4096 tokens") as caught:
        client.responses.create(model=MODEL, input="water " * 6000)
    assert caught.value.code == "context_length_exceeded"
    with (
        OpenAI(base_url=f"{service.url}/v1", api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.responses.create(model=MODEL, input=QUESTION)


async def test_leaving_a_stream_frees_the_slot(service: ServiceProcess) -> None:
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key) as client:
        for _ in range(6):  # more than the model has slots
            stream = await client.responses.create(
                model=MODEL, input="A very long story.", max_output_tokens=2000, stream=True
            )
            async for event in stream:
                if event.type == "response.output_text.delta":
                    break
            await stream.close()
        answer = await client.responses.create(
            model=MODEL, input=QUESTION, max_output_tokens=4, timeout=20
        )
    assert answer.output_text
