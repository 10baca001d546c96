"""The unmodified Anthropic Python SDK against a running service with the real model."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, ToolParam

from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model]

MODEL = "smollm2-135m"
QUESTION: list[MessageParam] = [
    {"role": "user", "content": "What is the capital of France? One sentence."}
]
GREEDY: dict[str, Any] = {"temperature": 0}  # the SDK leaves it to `extra_body`
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 30}},
        "required": ["city"],
    },
}


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> Iterator[Anthropic]:
    with Anthropic(base_url=service.url, api_key=service.key, max_retries=0) as made:
        yield made


def test_an_answer_has_text_usage_and_identity(client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=32, messages=QUESTION, extra_body=GREEDY
    )
    message = raw.parse()
    (block,) = message.content
    assert block.type == "text"
    assert "Paris" in block.text
    assert message.id == f"msg_{raw.headers['x-headrace-trace'].replace('-', '')}"
    assert message._request_id == raw.headers["x-headrace-trace"]
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.output_tokens > 3
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 5


def test_the_same_answer_streams_and_the_sdk_puts_it_together(client: Anthropic) -> None:
    fields: dict[str, Any] = {"model": MODEL, "max_tokens": 24, "messages": QUESTION}
    whole = client.messages.create(**fields, extra_body=GREEDY)
    with client.messages.stream(**fields, extra_body=GREEDY) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    (block,) = whole.content
    assert block.type == "text"
    assert len(pieces) > 3
    assert "".join(pieces) == block.text == stream.get_final_text()
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_a_limit_and_a_stop_sequence_end_the_answer(client: Anthropic) -> None:
    story: list[MessageParam] = [{"role": "user", "content": "Count: one, two, three, four."}]
    cut = client.messages.create(model=MODEL, max_tokens=3, messages=story, extra_body=GREEDY)
    assert cut.stop_reason == "max_tokens"
    assert cut.usage.output_tokens == 3
    stopped = client.messages.create(
        model=MODEL, max_tokens=64, messages=story, stop_sequences=[","], extra_body=GREEDY
    )
    assert stopped.stop_reason == "end_turn"
    assert "," not in "".join(block.text for block in stopped.content if block.type == "text")


def test_a_tool_is_called_and_its_result_goes_back(client: Anthropic) -> None:
    asked: list[MessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.messages.create(
        model=MODEL,
        max_tokens=96,
        messages=asked,
        tools=[WEATHER],
        tool_choice={"type": "any"},
        extra_body=GREEDY,
    )
    assert first.stop_reason == "tool_use"
    use = next(block for block in first.content if block.type == "tool_use")
    assert use.name == "get_weather"
    assert "city" in use.input
    second = client.messages.create(
        model=MODEL,
        max_tokens=24,
        system="Be brief.",
        messages=[
            *asked,
            {"role": "assistant", "content": first.content},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": use.id, "content": "sunny, 21 degrees"}
                ],
            },
        ],
        tools=[WEATHER],
        tool_choice={"type": "none"},
    )
    assert second.content


def test_a_streamed_call_has_its_input(client: Anthropic) -> None:
    with client.messages.stream(
        model=MODEL,
        max_tokens=96,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
        extra_body=GREEDY,
    ) as stream:
        message = stream.get_final_message()
    use = next(block for block in message.content if block.type == "tool_use")
    assert "city" in use.input


def test_marked_blocks_are_understood(client: Anthropic) -> None:
    message = client.messages.create(
        model=MODEL,
        max_tokens=16,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "What is the capital of France?",
                        "cache_control": {"type": "ephemeral"},
                    }
                ],
            }
        ],
        extra_body=GREEDY,
    )
    (block,) = message.content
    assert block.type == "text"
    assert "Paris" in block.text


def test_tokens_are_counted_as_the_model_counts_them(client: Anthropic) -> None:
    short = client.messages.count_tokens(model=MODEL, messages=QUESTION)
    longer = client.messages.count_tokens(
        model=MODEL, messages=QUESTION, system="Be brief.", tools=[WEATHER]
    )
    assert 8 < short.input_tokens < 80
    assert longer.input_tokens > short.input_tokens + 30


def test_too_long_a_prompt_is_an_invalid_request(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="4096 tokens") as caught:
        client.messages.create(
            model=MODEL, max_tokens=8, messages=[{"role": "user", "content": "water " * 6000}]
        )
    assert caught.value.type == "invalid_request_error"


async def test_leaving_a_stream_frees_the_slot(service: ServiceProcess) -> None:
    async with AsyncAnthropic(base_url=service.url, api_key=service.key) as client:
        for _ in range(6):  # more than the model has slots
            async with client.messages.stream(
                model=MODEL,
                max_tokens=2000,
                messages=[{"role": "user", "content": "Write a very long story."}],
            ) as stream:
                async for _ in stream.text_stream:
                    break
        message = await client.messages.create(
            model=MODEL, max_tokens=4, messages=QUESTION, timeout=20
        )
    assert message.content
