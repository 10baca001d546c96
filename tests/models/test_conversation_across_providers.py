"""A running service between unmodified SDKs and upstreams that speak three providers' protocols.

A conversation with a tool call of any provider goes on at every other one: ids, signatures and
thoughts find their way through a client that knows nothing of them.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import anthropic
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.running import ServiceProcess
from tests.upstreams import anthropic as anthropics
from tests.upstreams import bedrock as amazons
from tests.upstreams import gemini as googles
from tests.upstreams.server import Server, serving

CONFIG = """\
models:
  claude:
    deployments:
      - {{backend: anthropic, model: claude-sonnet-5, base_url: "{claude}", api_key: {claude_key}}}
  gemini:
    deployments:
      - {{backend: gemini, model: gemini-3.1-pro, base_url: "{gemini}/v1", api_key: {gemini_key}}}
  aws:
    deployments:
      - backend: bedrock
        model: us.anthropic.claude-sonnet-4-6-v1:0
        base_url: "{aws}"
        aws_region: us-east-1
        region: us-east
pipeline:
  - generate
"""
NAMES = ("claude", "gemini", "aws")
USER: ChatCompletionMessageParam = {"role": "user", "content": "Wetter in 北京?"}
TOOL: ChatCompletionToolParam = {"type": "function", "function": {"name": "weather"}}


@dataclass
class Circle:
    """The service, its three upstreams, and clients."""

    service: ServiceProcess
    claude: anthropics.AnthropicUpstream
    gemini: googles.GeminiUpstream
    aws: amazons.BedrockUpstream

    def openai(self) -> openai.OpenAI:
        url = f"{self.service.url}/v1"
        return openai.OpenAI(base_url=url, api_key=self.service.key, max_retries=0)

    def say(self, text: str) -> None:
        """All three answer with this text."""
        self.claude.content, self.claude.stop_reason = [{"type": "text", "text": text}], "end_turn"
        self.gemini.parts = [{"text": text}]
        self.aws.content, self.aws.stop_reason = [{"text": text}], "end_turn"

    def call_the_tool(self) -> None:
        """All three call it, having thought."""
        given = {"city": "北京"}
        self.claude.content = [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": given},
        ]
        call: dict[str, object] = {"id": "fc_1", "name": "weather", "args": given}
        self.gemini.parts = [{"functionCall": call, "thoughtSignature": "c2ln"}]
        thought = {"reasoningText": {"text": "Hm.", "signature": "EqQB"}}
        use = {"toolUseId": "tooluse_1", "name": "weather", "input": given}
        self.aws.content = [{"reasoningContent": thought}, {"toolUse": use}]
        self.claude.stop_reason = self.aws.stop_reason = "tool_use"


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Circle]:
    root: Path = tmp_path_factory.mktemp("circle")
    home = root / "home"
    home.mkdir(mode=0o700)
    with ExitStack() as stack:
        servers: list[Server] = [stack.enter_context(serving()) for _ in NAMES]
        urls = {name: server.url() for name, server in zip(NAMES, servers, strict=True)}
        config = CONFIG.format(claude_key=anthropics.KEY, gemini_key=googles.KEY, **urls)
        (root / "headrace.yaml").write_text(config)
        keys = {
            "AWS_ACCESS_KEY_ID": amazons.KEY_ID,
            "AWS_SECRET_ACCESS_KEY": amazons.SECRET,
        }
        service = ServiceProcess.launch(root, home, environ=keys)
        stack.callback(service.stop)
        service.wait_ready()
        yield Circle(
            service,
            anthropics.AnthropicUpstream(servers[0]),
            googles.GeminiUpstream(servers[1]),
            amazons.BedrockUpstream(servers[2]),
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_openai_sdk_reaches_each_provider(circle: Circle, name: str) -> None:
    circle.say("Sonnig: 北京")
    with circle.openai() as client:
        whole = client.chat.completions.create(model=name, messages=[USER])
        chunks = list(client.chat.completions.create(model=name, messages=[USER], stream=True))
    assert whole.choices[0].message.content == "Sonnig: 北京"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (12, 6)
    pieces = [each.choices[0].delta.content or "" for each in chunks if each.choices]
    assert "".join(pieces) == "Sonnig: 北京"
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", NAMES)
def test_anthropics_sdk_reaches_each_provider(circle: Circle, name: str) -> None:
    circle.say("Sonnig.")
    key, url = circle.service.key, circle.service.url
    with anthropic.Anthropic(api_key=key, base_url=url, max_retries=0) as client:
        answer = client.messages.create(
            model=name, max_tokens=50, messages=[{"role": "user", "content": "Hi"}]
        )
    assert next(block.to_dict() for block in answer.content)["text"] == "Sonnig."
    assert (answer.stop_reason, answer.usage.input_tokens) == ("end_turn", 12)


@pytest.mark.parametrize("second", NAMES)
@pytest.mark.parametrize("first", NAMES)
def test_a_call_of_one_provider_is_answered_at_another(
    circle: Circle, first: str, second: str
) -> None:
    circle.call_the_tool()
    with circle.openai() as client:
        called = client.chat.completions.create(model=first, messages=[USER], tools=[TOOL])
        message = called.choices[0].message
        assert called.choices[0].finish_reason == "tool_calls"
        assert message.tool_calls is not None
        circle.say("Sonnig.")
        history: list[ChatCompletionMessageParam] = [
            USER,
            {
                "role": "assistant",
                "content": message.content,
                "tool_calls": [call.to_dict() for call in message.tool_calls],  # type: ignore[misc]  # as the SDK's guide has it
            },
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"},
        ]
        answer = client.chat.completions.create(model=second, messages=history, tools=[TOOL])
    assert answer.choices[0].message.content == "Sonnig."


def test_what_a_provider_cannot_do_is_said_by_name(circle: Circle) -> None:
    with circle.openai() as client, pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="claude", messages=[USER], n=2)
    assert refused.value.param == "n"
    assert "Anthropic has no 'n'" in refused.value.message
