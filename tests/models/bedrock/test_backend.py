"""The backend against an upstream that checks signatures as AWS does, over real connections."""

from pathlib import Path

import msgspec
import pytest

from headrace.errors import InvalidRequest, ModelUnavailable
from headrace.models.backend import Call, ListedModel
from headrace.models.bedrock.backend import BedrockBackend
from headrace.models.bedrock.settings import BedrockSettings, credentials_of, in_region
from headrace.models.bedrock.sigv4 import Credentials
from headrace.models.errors import DeploymentMisconfigured, DeploymentThrottled
from headrace.types import Choice, FunctionCall, Message, Params, ToolCall, Usage
from tests.models.bedrock.conftest import ENVIRON, MODEL
from tests.upstreams.bedrock import API_KEY, BedrockUpstream, exception, failure, streamed
from tests.upstreams.gathered import gathered
from tests.upstreams.server import Answer, Cut, json_answer

USER = Message(role="user", content="Wetter in 北京?")
TOOL: dict[str, object] = {"type": "function", "function": {"name": "weather"}}


async def ask(
    backend: BedrockBackend, *messages: Message, stream: bool = True, params: Params | None = None
) -> tuple[Choice, Usage | None]:
    call = Call(messages or [USER], params or Params(), stream=stream)
    return gathered([delta async for delta in backend.generate(call)])


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_comes_through(
    backend: BedrockBackend, fake: BedrockUpstream, stream: bool
) -> None:
    choice, usage = await ask(backend, stream=stream)
    assert (choice.text, choice.finish_reason) == ("Hello!", "stop")
    assert usage == Usage(prompt_tokens=12, completion_tokens=6)
    asked = fake.server.asked[0]
    verb = "converse-stream" if stream else "converse"
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
    assert asked.path == f"/model/{model}/{verb}"
    assert "SignedHeaders=host;x-amz-custom;x-amz-date," in asked.headers["authorization"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_conversation_with_tools_and_thoughts_goes_on(
    backend: BedrockBackend, fake: BedrockUpstream, stream: bool
) -> None:
    """What comes back to the upstream is what it gave, thoughts and all."""
    thought = {"reasoningText": {"text": "Look it up.", "signature": "EqQB"}}
    fake.content = [
        {"reasoningContent": thought},
        {"text": "One moment."},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "北京"}}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "weather", "input": {"city": "Rom"}}},
    ]
    fake.stop_reason = "tool_use"
    params = Params(tools=[TOOL], extra={"reasoning_effort": "high"})
    choice, _ = await ask(backend, stream=stream, params=params)
    given = fake.content
    fake.content, fake.stop_reason = [{"text": "Sonnig."}], "end_turn"
    calls = [
        ToolCall(each.id, FunctionCall(each.function.name, each.function.arguments))
        for each in choice.tool_calls
    ]
    answered = Message(role="assistant", content=choice.text, tool_calls=calls)
    results = [Message(role="tool", tool_call_id=each.id, content="sunny") for each in calls]
    choice, _ = await ask(backend, USER, answered, *results, stream=stream, params=params)
    assert choice.text == "Sonnig."
    messages = fake.server.asked[1].json()["messages"]
    assert isinstance(messages, list)
    assert messages[1] == {"role": "assistant", "content": given}


async def made(
    fake: BedrockUpstream, tmp_path: Path, environ: dict[str, str], **settings: str
) -> BedrockBackend:
    written = {"model": MODEL, "base_url": fake.server.url(), **settings}
    backend = BedrockBackend(
        msgspec.convert(written, BedrockSettings),
        name="claude",
        root=tmp_path,
        home=tmp_path,
        environ=environ,
    )
    await backend.start()
    return backend


async def test_temporary_credentials_and_an_api_key_work(
    fake: BedrockUpstream, tmp_path: Path
) -> None:
    fake.session_token = "a/session+token=="
    session = await made(fake, tmp_path, {**ENVIRON, "AWS_SESSION_TOKEN": fake.session_token})
    assert (await ask(session))[0].text == "Hello!"
    await session.stop()
    bearer = await made(fake, tmp_path, {**ENVIRON, "AWS_BEARER_TOKEN_BEDROCK": API_KEY})
    assert (await ask(bearer))[0].text == "Hello!"
    assert fake.server.asked[1].headers["authorization"] == f"Bearer {API_KEY}"
    await bearer.stop()


@pytest.mark.parametrize(
    ("settings", "environ", "reason"),
    [
        ({"aws_region": "eu-west-1"}, ENVIRON, "does not match"),
        ({"access_key_id": "AKIDOTHER", "secret_access_key": "x"}, ENVIRON, "token"),
        ({"api_key": "wrong"}, ENVIRON, "API Key"),
        ({}, {"AWS_DEFAULT_REGION": "us-east-1"}, "no AWS credentials"),
    ],
)
async def test_wrong_credentials_say_so_and_are_not_shown(
    fake: BedrockUpstream,
    tmp_path: Path,
    settings: dict[str, str],
    environ: dict[str, str],
    reason: str,
) -> None:
    backend = await made(fake, tmp_path, environ, **settings)
    with pytest.raises(DeploymentMisconfigured, match=reason) as refused:
        await ask(backend)
    assert "wJalr" not in refused.value.message + refused.value.hint
    await backend.stop()


async def test_what_stands_before_the_path_is_signed_too(
    fake: BedrockUpstream, tmp_path: Path
) -> None:
    fake.server.routes["POST", "/aws/bedrock/model/*"] = fake.server.routes["POST", "/model/*"]
    url = fake.server.url("/aws/bedrock/")
    backend = await made(fake, tmp_path, ENVIRON, base_url=url)
    assert (await ask(backend))[0].text == "Hello!"
    await backend.stop()


async def test_a_missing_region_is_said_at_the_start(fake: BedrockUpstream, tmp_path: Path) -> None:
    with pytest.raises(DeploymentMisconfigured, match="region"):
        await made(fake, tmp_path, {})


async def test_an_upstream_that_breaks_off_gives_no_whole_answer(
    backend: BedrockBackend, fake: BedrockUpstream
) -> None:
    events = fake.events()
    fake.server.script(
        Answer(200, [], [*events[:2], Cut()]),
        Answer(200, [], events[:2], framing="close"),
        Answer(200, [], [*events[:2], b"\x00" * 40]),
        streamed(*events[:2], exception("modelStreamErrorException", "oops")),
        streamed(*events[:2], exception("throttlingException", "slow down")),
        json_answer({"output": 3}),
    )
    for _ in range(5):
        text = ""
        with pytest.raises(ModelUnavailable):
            async for delta in backend.generate(Call([USER], Params())):
                text += delta.text
        assert text == "Hello"
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await ask(backend, stream=False)


async def test_too_many_requests_are_throttling(
    backend: BedrockBackend, fake: BedrockUpstream
) -> None:
    fake.server.script(failure(429, "ThrottlingException", "Too many tokens, please wait"))
    with pytest.raises(DeploymentThrottled, match="Too many tokens"):
        await ask(backend)


async def test_tokens_are_counted_by_the_provider(
    backend: BedrockBackend, fake: BedrockUpstream
) -> None:
    assert await backend.count_tokens([Message(role="system", content="Be brief."), USER]) == 31
    # The profile's prefix `us.` is gone.
    model = "anthropic.claude-sonnet-4-5-20250929-v1%3A0"
    assert fake.server.asked[0].path == f"/model/{model}/count-tokens"
    assert fake.server.asked[0].json() == {
        "input": {
            "converse": {
                "messages": [{"role": "user", "content": [{"text": "Wetter in 北京?"}]}],
                "system": [{"text": "Be brief."}],
            }
        }
    }


async def test_a_model_without_a_counter_is_estimated(
    backend: BedrockBackend, fake: BedrockUpstream
) -> None:
    text = "The provided model doesn't support counting tokens."
    fake.server.script(failure(400, "ValidationException", text))
    assert 0 < await backend.count_tokens([USER]) < 100


async def test_the_list_says_when_models_end(
    backend: BedrockBackend, fake: BedrockUpstream
) -> None:
    fake.models = [
        {"modelId": "a", "modelLifecycle": {"endOfLifeTime": "2027-03-01T00:00:00Z"}},
        {"modelId": "b", "modelLifecycle": {"endOfLifeTime": 1803859200.0}},
        {"modelId": "c", "modelLifecycle": {"status": "ACTIVE"}},
        {"modelId": "d"},
    ]
    assert await backend.listed() == [
        ListedModel(id="a", shutdown_date="2027-03-01"),
        ListedModel(id="b", shutdown_date="2027-03-01"),
        ListedModel(id="c"),
        ListedModel(id="d"),
    ]


async def test_there_are_no_embeddings(backend: BedrockBackend) -> None:
    with pytest.raises(InvalidRequest, match="no embeddings"):
        await backend.embed(["x"])


def test_addresses_follow_the_region() -> None:
    settings = in_region(BedrockSettings(model="m"), {"AWS_DEFAULT_REGION": "eu-west-1"})
    assert settings.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert settings.control_url == "https://bedrock.eu-west-1.amazonaws.com"
    china = in_region(BedrockSettings(model="m", aws_region="cn-north-1"), {})
    assert china.base_url == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"


def test_settings_come_before_the_environment_and_api_keys_before_access_keys() -> None:
    settings = BedrockSettings(model="m", access_key_id="A", secret_access_key="B")
    with_token = {**ENVIRON, "AWS_BEARER_TOKEN_BEDROCK": API_KEY}
    assert credentials_of(settings, with_token) == Credentials("A", "B")
    assert credentials_of(BedrockSettings(model="m", api_key="K"), with_token) == "K"
    assert credentials_of(BedrockSettings(model="m"), with_token) == API_KEY
    assert credentials_of(BedrockSettings(model="m"), {}) is None
