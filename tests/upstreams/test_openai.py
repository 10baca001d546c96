"""The fake of OpenAI's is right: OpenAI's own SDK, unmodified, understands it."""

from collections.abc import Iterator

import openai
import pytest

from tests.upstreams.openai import KEY, MODEL, FakeOpenAI
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Server

HELLO = "你好，水车! Hello"
WEATHER = Tool("call_DdmO9pD3xa9XTPNJ32zg2hcA", "weather", ('{"ci', 'ty": "海', '牙"}'))


@pytest.fixture
def client(upstream: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY, base_url=upstream.url("/v1"), max_retries=0) as made:
        yield made


def test_a_chat_is_whole_or_streamed(upstream: Server, client: openai.OpenAI) -> None:
    FakeOpenAI().mount(upstream)
    whole = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hi"}], logprobs=True
    )
    assert whole.choices[0].message.content == HELLO
    assert whole.choices[0].logprobs is not None
    assert whole.usage is not None
    stream = list(
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == HELLO
    assert stream[-1].usage == whole.usage


def test_tool_calls_and_refusals_stream(upstream: Server, client: openai.OpenAI) -> None:
    FakeOpenAI([Said(tools=(WEATHER,), finish_reason="tool_calls")]).mount(upstream)
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls is not None
    assert (calls[0].id, calls[0].function.arguments) == (WEATHER.id, '{"city": "海牙"}')
    FakeOpenAI([Said(refusal=("I'm sorry", ", no."))]).mount(upstream)
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        assert stream.get_final_completion().choices[0].message.refusal == "I'm sorry, no."


def test_a_bare_completion_is_whole_or_streamed(upstream: Server, client: openai.OpenAI) -> None:
    FakeOpenAI().mount(upstream)
    whole = client.completions.create(model=MODEL, prompt="hi", logprobs=2)
    assert whole.choices[0].text == HELLO
    stream = client.completions.create(model=MODEL, prompt="hi", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == HELLO


def test_responses_are_whole_or_streamed(upstream: Server, client: openai.OpenAI) -> None:
    FakeOpenAI([Said(thoughts=("First.", "Then."))]).mount(upstream)
    whole = client.responses.create(model=MODEL, input="hi")
    assert whole.output_text == HELLO
    with client.responses.stream(model=MODEL, input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == HELLO
    assert final.usage == whole.usage
    assert kinds[-1] == "response.completed"


def test_a_call_streams_in_a_response(upstream: Server, client: openai.OpenAI) -> None:
    FakeOpenAI([Said(tools=(WEATHER,))]).mount(upstream)
    with client.responses.stream(model=MODEL, input="hi") as stream:
        item = stream.get_final_response().output[0]
    assert item.type == "function_call"
    assert (item.call_id, item.arguments) == (WEATHER.id, '{"city": "海牙"}')


def test_vectors_and_models_are_listed(upstream: Server, client: openai.OpenAI) -> None:
    FakeOpenAI().mount(upstream)
    vectors = client.embeddings.create(model=MODEL, input=["one", "three"])
    assert [each.embedding for each in vectors.data] == [[3.0, 0.5, -1.0], [5.0, 0.5, -1.0]]
    assert [each.shutdown_date for each in client.models.list()] == [None, "2027-02-01"]


def test_refusals_have_the_sdks_own_classes(upstream: Server) -> None:
    FakeOpenAI().mount(upstream)
    wrong = openai.OpenAI(api_key="sk-wrong", base_url=upstream.url("/v1"), max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError) as refused:
        wrong.models.list()
    assert refused.value.code == "invalid_api_key"
    right = openai.OpenAI(api_key=KEY, base_url=upstream.url("/v1"), max_retries=0)
    with right, pytest.raises(openai.NotFoundError):
        right.responses.create(model="gpt-99", input="hi")


def test_azure_is_understood_by_its_client(upstream: Server) -> None:
    FakeOpenAI(azure=True).mount(upstream)
    with openai.AzureOpenAI(
        api_key=KEY, azure_endpoint=upstream.url(), api_version="2024-10-21", max_retries=0
    ) as client:
        stream = client.chat.completions.create(
            model="prod", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text == HELLO
    assert upstream.asked[0].path == "/openai/deployments/prod/chat/completions"
    assert upstream.asked[0].query == "api-version=2024-10-21"
