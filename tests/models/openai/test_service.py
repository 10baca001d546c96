"""OpenAI's SDK, unmodified, through a running service to servers of OpenAI's two protocols and Azure.

What the provider says must come out at the other end as if the SDK had asked it itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionUserMessageParam

from tests.running import ServiceProcess
from tests.upstreams.openai import KEY, MODEL, FakeOpenAI, error_answer
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Answer, Server, serving

pytestmark = pytest.mark.service

CITY = Tool("call_DdmO9pD3xa9XTPNJ32zg2hcA", "weather", ('{"ci', 'ty": "海', '牙"}'))
TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object"}},
}
HELLO: ChatCompletionUserMessageParam = {"role": "user", "content": "Say hello"}
MODELS = ["chat", "responses", "azure"]
CONFIG = """\
models:
  chat:
    deployments: [{{backend: openai, model: {model}, base_url: "{openai}/v1"}}]
  responses:
    deployments: [{{backend: openai, model: {model}, base_url: "{openai}/v1", api: responses}}]
  azure:
    deployments: [{{backend: azure_openai, model: {model}, base_url: "{azure}"}}]
pipeline: [generate]
"""


@dataclass
class Ways:
    """A client of the service, and the servers behind it."""

    client: openai.OpenAI
    openai: Server
    fakes: tuple[FakeOpenAI, FakeOpenAI]

    def say(self, *said: Said) -> None:
        for fake in self.fakes:
            fake.said = list(said)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    root = tmp_path_factory.mktemp("service")
    with serving() as upstream, serving() as azure:
        fakes = (FakeOpenAI(), FakeOpenAI(azure=True))
        fakes[0].mount(upstream)
        fakes[1].mount(azure)
        config = CONFIG.format(model=MODEL, openai=upstream.url(), azure=azure.url())
        (root / "headrace.yaml").write_text(config)
        environ = {"OPENAI_API_KEY": KEY, "AZURE_OPENAI_API_KEY": KEY}
        service = ServiceProcess.start(root, root / "home", environ=environ)
        try:
            with openai.OpenAI(
                base_url=f"{service.url}/v1", api_key=service.key, max_retries=0
            ) as client:
                yield Ways(client, upstream, fakes)
        finally:
            service.stop()


@pytest.mark.parametrize("model", MODELS)
def test_text_and_usage_come_through(ways: Ways, model: str) -> None:
    ways.say(Said(("你好，", "水车")))
    whole = ways.client.chat.completions.create(model=model, messages=[HELLO])
    stream = list(
        ways.client.chat.completions.create(
            model=model, messages=[HELLO], stream=True, stream_options={"include_usage": True}
        )
    )
    assert whole.choices[0].message.content == "你好，水车"
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == "你好，水车"
    assert whole.usage is not None
    assert stream[-1].usage == whole.usage
    assert whole.usage.prompt_tokens_details is not None
    assert whole.usage.prompt_tokens_details.cached_tokens


@pytest.mark.parametrize("model", MODELS)
def test_calls_come_through(ways: Ways, model: str) -> None:
    ways.say(Said(tools=(CITY,), finish_reason="tool_calls"))
    with ways.client.chat.completions.stream(model=model, messages=[HELLO], tools=[TOOL]) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert (call.id, call.function.name) == (CITY.id, "weather")
    assert call.function.arguments == '{"city": "海牙"}'


@pytest.mark.parametrize("model", MODELS)
def test_refusals_come_through(ways: Ways, model: str) -> None:
    ways.say(Said(refusal=("I'm sorry", ", no.")))
    with ways.client.chat.completions.stream(model=model, messages=[HELLO]) as stream:
        assert stream.get_final_completion().choices[0].message.refusal == "I'm sorry, no."


@pytest.mark.parametrize("model", ["chat", "azure"])
def test_choices_and_probabilities_come_through(ways: Ways, model: str) -> None:
    ways.say(Said(("one",)), Said(("uno",), finish_reason="length"))
    made = ways.client.chat.completions.create(
        model=model, messages=[HELLO], n=2, logprobs=True, top_logprobs=2
    )
    assert [each.message.content for each in made.choices] == ["one", "uno"]
    assert [each.finish_reason for each in made.choices] == ["stop", "length"]
    assert made.choices[1].logprobs is not None
    assert made.choices[1].logprobs.content is not None
    assert made.choices[1].logprobs.content[0].top_logprobs[1].token == " other"


def test_vectors_come_through(ways: Ways) -> None:
    made = ways.client.embeddings.create(model="azure", input=["one", "three"])
    assert [each.embedding for each in made.data] == [[3.0, 0.5, -1.0], [5.0, 0.5, -1.0]]


@pytest.mark.parametrize(
    ("answer", "code", "param"),
    [
        (
            error_answer(400, "Unknown parameter: 'foo'.", "invalid_request_error", None, "foo"),
            "invalid_request",
            "foo",
        ),
        (
            error_answer(
                400,
                "This model's maximum context length is 8192 tokens. However, your messages "
                "resulted in 8227 tokens.",
                "invalid_request_error",
                "context_length_exceeded",
            ),
            "context_length_exceeded",
            "messages",
        ),
        (error_answer(400, "filtered", "x", "content_filter"), "content_filter", None),
    ],
    ids=["field", "length", "filter"],
)
def test_what_the_request_is_blamed_for_comes_through(
    ways: Ways, answer: Answer, code: str, param: str | None
) -> None:
    ways.openai.script(answer)
    with pytest.raises(openai.BadRequestError) as refused:
        ways.client.chat.completions.create(model="chat", messages=[HELLO])
    assert (refused.value.code, refused.value.param) == (code, param)
    assert not ways.openai.scripted, "it was asked once"
