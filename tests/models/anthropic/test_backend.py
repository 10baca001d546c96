"""The backend against an upstream that speaks Anthropic's protocol, over real connections."""

import asyncio

import pytest

from headrace.errors import InvalidRequest, ModelUnavailable
from headrace.models.anthropic.backend import AnthropicBackend
from headrace.models.backend import Call, ListedModel, RateLimits
from headrace.models.errors import DeploymentMisconfigured, DeploymentThrottled
from headrace.types import Choice, FunctionCall, Message, Params, ToolCall, Usage
from tests.upstreams.anthropic import AnthropicUpstream, event, failure, streamed
from tests.upstreams.gathered import gathered
from tests.upstreams.server import Answer, Cut, Hold, json_answer

USER = Message(role="user", content="Wetter in 北京?")
TOOL: dict[str, object] = {"type": "function", "function": {"name": "weather"}}


async def ask(
    backend: AnthropicBackend, *messages: Message, stream: bool = True, params: Params | None = None
) -> tuple[Choice, Usage | None]:
    call = Call(messages or [USER], params or Params(), stream=stream)
    return gathered([delta async for delta in backend.generate(call)])


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_comes_through(
    backend: AnthropicBackend, fake: AnthropicUpstream, stream: bool
) -> None:
    fake.headers = (("anthropic-ratelimit-requests-remaining", "49"),)
    choice, usage = await ask(backend, stream=stream)
    assert (choice.text, choice.finish_reason) == ("Hello!", "stop")
    assert usage == Usage(prompt_tokens=12, completion_tokens=6)
    assert backend.rate_limits == RateLimits(requests_remaining=49)
    asked = fake.server.asked[0]
    assert asked.json()["stream"] is stream
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.headers["anthropic-beta"] == "files-api-2025-04-14"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_conversation_with_tools_and_thoughts_goes_on(
    backend: AnthropicBackend, fake: AnthropicUpstream, stream: bool
) -> None:
    """What comes back to the upstream is what it gave, thoughts and all."""
    fake.content = [
        {"type": "thinking", "thinking": "Look it up.", "signature": "EqQBCgIYAhIM"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "北京"}},
        {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {"city": "Rom"}},
    ]
    fake.stop_reason = "tool_use"
    params = Params(tools=[TOOL], extra={"reasoning_effort": "high"})
    choice, _ = await ask(backend, stream=stream, params=params)
    given = fake.content
    fake.content, fake.stop_reason = [{"type": "text", "text": "Sonnig."}], "end_turn"
    calls = [
        ToolCall(call.id, FunctionCall(call.function.name, call.function.arguments))
        for call in choice.tool_calls
    ]
    answered = Message(role="assistant", content=choice.text, tool_calls=calls)
    results = [Message(role="tool", tool_call_id=call.id, content="sunny") for call in calls]
    choice, _ = await ask(backend, USER, answered, *results, stream=stream, params=params)
    assert choice.text == "Sonnig."
    messages = fake.server.asked[1].json()["messages"]
    assert isinstance(messages, list)
    assert messages[1] == {"role": "assistant", "content": given}
    assert [block["tool_use_id"] for block in messages[2]["content"]] == ["toolu_01", "toolu_02"]


async def test_a_wrong_key_says_so_and_is_not_shown(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    fake.server.script(failure(401, "authentication_error", "invalid x-api-key"))
    with pytest.raises(DeploymentMisconfigured, match="invalid x-api-key") as refused:
        await ask(backend)
    assert "api_key" in refused.value.hint
    assert "sk-ant" not in refused.value.message + refused.value.hint


async def test_too_many_requests_say_when_to_come_back(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    limits = (
        ("retry-after", "7"),
        ("anthropic-ratelimit-tokens-remaining", "0"),
        ("anthropic-ratelimit-tokens-reset", "2025-11-24T16:00:07Z"),
    )
    fake.server.script(failure(429, "rate_limit_error", "slow down", *limits))
    with pytest.raises(DeploymentThrottled) as throttled:
        await ask(backend)
    assert throttled.value.retry_after_s == 7.0
    assert backend.rate_limits == RateLimits(tokens_remaining=0, tokens_reset_s=7.0)


async def test_an_upstream_that_breaks_off_gives_no_whole_answer(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    events = fake.events()
    error = {"type": "overloaded_error", "message": "Overloaded"}
    fake.server.script(
        Answer(200, [], [*events[:5], Cut()]),
        Answer(200, [], [*events[:5], Cut(reset=True)]),
        Answer(200, [], events[:5], framing="close"),
        streamed(*events[:5], event("error", error=error)),
        json_answer({"type": "message", "content": "no list"}),
    )
    for _ in range(4):
        text = ""
        with pytest.raises(ModelUnavailable):
            async for delta in backend.generate(Call([USER], Params())):
                text += delta.text
        # A reset may take with it what had not been read yet.
        assert "Hello!".startswith(text)
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await ask(backend, stream=False)


async def test_closing_an_answer_hangs_up(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    hold = Hold()
    fake.server.script(Answer(200, [], [*fake.events()[:4], hold]))
    answer = backend.generate(Call([USER], Params()))
    assert (await anext(answer)).text == "Hello"
    await answer.aclose()
    assert await asyncio.to_thread(fake.server.asked[0].hung_up.wait, 5)


async def test_tokens_are_counted_once_by_the_provider(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    messages = [Message(role="system", content="Be brief."), USER]
    assert await backend.count_tokens(messages) == 2095
    assert await backend.count_tokens(messages) == 2095
    assert [each.path for each in fake.server.asked] == ["/v1/messages/count_tokens"]
    assert fake.server.asked[0].json().keys() == {"model", "messages", "system"}


async def test_an_estimate_stands_in_where_counting_fails(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    fake.server.script(failure(529, "overloaded_error", "Overloaded"))
    assert 0 < await backend.count_tokens([USER]) < 100


def test_a_short_prompt_surely_fits_without_asking(backend: AnthropicBackend) -> None:
    bound = backend.token_upper_bound([USER])
    assert bound is not None
    assert bound < 5000
    picture = Message(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}])
    assert backend.token_upper_bound([picture]) is None


async def test_the_list_says_limits_and_when_models_end(
    backend: AnthropicBackend, fake: AnthropicUpstream
) -> None:
    fake.models = [
        {
            "id": "claude-haiku-4-5",
            "max_input_tokens": 200000,
            "max_tokens": 64000,
            "retires_at": "2027-03-01T00:00:00Z",
        },
        {"id": "claude-new", "max_input_tokens": None, "max_tokens": None, "retires_at": None},
    ]
    assert await backend.listed() == [
        ListedModel(
            id="claude-haiku-4-5",
            context_tokens=200000,
            output_tokens=64000,
            shutdown_date="2027-03-01",
        ),
        ListedModel(id="claude-new"),
    ]


async def test_there_are_no_embeddings(backend: AnthropicBackend) -> None:
    with pytest.raises(InvalidRequest, match="no embeddings"):
        await backend.embed(["x"])
