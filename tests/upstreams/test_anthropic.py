"""Anthropic's own SDK, unmodified, talks to our fake: so the fake speaks as the real one does."""

from collections.abc import Iterator

import anthropic
import pytest

from tests.upstreams.anthropic import KEY, AnthropicUpstream, event, failure, streamed
from tests.upstreams.server import Server

WEATHER: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


@pytest.fixture
def fake(upstream: Server) -> AnthropicUpstream:
    return AnthropicUpstream(upstream)


@pytest.fixture
def client(upstream: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=KEY, base_url=upstream.url(), max_retries=0) as made:
        yield made


def _ask(client: anthropic.Anthropic) -> anthropic.types.Message:
    return client.messages.create(
        model="claude-sonnet-5", max_tokens=64, messages=[{"role": "user", "content": "Hi"}]
    )


def test_the_sdk_reads_a_whole_message(
    fake: AnthropicUpstream, client: anthropic.Anthropic
) -> None:
    message = _ask(client)
    assert [block.to_dict() for block in message.content] == fake.content
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 6


def test_the_sdk_puts_a_stream_together(
    fake: AnthropicUpstream, client: anthropic.Anthropic
) -> None:
    fake.content = [
        {"type": "thinking", "thinking": "Weather? 查一下。", "signature": "EqQBCgIYAhIM"},
        {"type": "text", "text": "I look it up."},
        {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "北京"}},
    ]
    fake.stop_reason = "tool_use"
    with client.messages.stream(
        model="claude-sonnet-5",
        max_tokens=2048,
        messages=[{"role": "user", "content": "Weather in Beijing?"}],
        tools=[{"name": "weather", "input_schema": WEATHER}],
    ) as stream:
        message = stream.get_final_message()
    assert [block.to_dict() for block in message.content] == fake.content
    assert message.stop_reason == "tool_use"


def test_the_sdk_counts_tokens_and_lists_models(
    fake: AnthropicUpstream, client: anthropic.Anthropic
) -> None:
    fake.models = [
        {
            "id": "claude-sonnet-5",
            "type": "model",
            "display_name": "Claude Sonnet 5",
            "created_at": "2026-02-04T00:00:00Z",
            "lifecycle": "deprecated",
            "max_input_tokens": 200000,
            "max_tokens": 64000,
            "retires_at": "2027-03-01T00:00:00Z",
        }
    ]
    counted = client.messages.count_tokens(
        model="claude-sonnet-5", messages=[{"role": "user", "content": "Hi"}]
    )
    assert counted.input_tokens == 2095
    listed = client.models.list().data
    assert [each.id for each in listed] == ["claude-sonnet-5"]
    assert listed[0].max_input_tokens == 200000
    assert str(listed[0].retires_at) == "2027-03-01 00:00:00+00:00"


def test_the_sdk_knows_each_error(
    fake: AnthropicUpstream, upstream: Server, client: anthropic.Anthropic
) -> None:
    upstream.script(
        failure(429, "rate_limit_error", "slow down", ("retry-after", "7")),
        failure(529, "overloaded_error", "Overloaded"),
        streamed(
            *fake.events()[:3],
            event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        ),
    )
    with pytest.raises(anthropic.RateLimitError) as limited:
        _ask(client)
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        _ask(client)
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(
            model="claude-sonnet-5", max_tokens=64, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        stream.until_done()
    wrong = anthropic.Anthropic(api_key="wrong", base_url=upstream.url(), max_retries=0)
    with wrong, pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
        _ask(wrong)
