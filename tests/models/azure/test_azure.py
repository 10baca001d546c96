"""Azure OpenAI: paths, versions, keys and its content filter."""

from pathlib import Path

import msgspec
import pytest

from headrace.errors import ConfigError, PolicyBlocked
from headrace.models.azure.backend import AzureOpenAIBackend, AzureOpenAISettings
from headrace.models.errors import DeploymentMisconfigured
from tests.models.azure.conftest import ServeAzure
from tests.models.reading import ask, collect, finish_of, text_of, usage_of
from tests.upstreams.openai import KEY, MODEL, FakeOpenAI
from tests.upstreams.said import Said
from tests.upstreams.server import Answer, Server, json_answer

HELLO = "你好，水车! Hello"


async def test_a_dated_version_has_a_path_for_each_deployment(
    upstream: Server, serve: ServeAzure
) -> None:
    backend = await serve(api_version="2024-10-21")
    deltas = await collect(backend, ask(max_tokens=5))
    assert (text_of(deltas), finish_of(deltas)) == (HELLO, {0: "stop"})
    assert usage_of(deltas).cached_tokens == 16
    asked = upstream.asked[0]
    assert asked.path == "/openai/deployments/my%20prod/chat/completions"
    assert asked.query == "api-version=2024-10-21"
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers
    assert asked.json()["max_completion_tokens"] == 5
    assert (await backend.embed(["one"])).vectors == [[3.0, 0.5, -1.0]]
    assert next(each.id for each in await backend.listed()) == MODEL
    assert [each.path for each in upstream.asked[1:]] == [
        "/openai/deployments/my%20prod/embeddings",
        "/openai/models",
    ]


async def test_an_old_version_is_asked_in_older_words(upstream: Server, serve: ServeAzure) -> None:
    await collect(await serve(api_version="2024-06-01"), ask(max_tokens=5, seed=1))
    sent = upstream.asked[0].json()
    assert sent["max_tokens"] == 5
    assert "stream_options" not in sent


@pytest.mark.parametrize("suffix", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
async def test_the_undated_version_has_openais_paths(
    upstream: Server, serve: ServeAzure, suffix: str
) -> None:
    backend = await serve(model=MODEL, base_url=upstream.url(suffix))
    assert text_of(await collect(backend, ask(stream=False))) == HELLO
    assert upstream.asked[0].path == "/openai/v1/chat/completions"
    assert upstream.asked[0].query == ""


@pytest.mark.parametrize(
    ("version", "path"),
    [("v1", "/openai/v1/responses"), ("2025-04-01-preview", "/openai/responses")],
)
async def test_responses_are_asked_beside_the_deployments(
    upstream: Server, serve: ServeAzure, version: str, path: str
) -> None:
    backend = await serve(model=MODEL, api="responses", api_version=version)
    assert text_of(await collect(backend)) == HELLO
    assert upstream.asked[0].path == path


async def test_a_token_of_entra_id_goes_as_bearer(upstream: Server, serve: ServeAzure) -> None:
    backend = await serve(entra_token="eyJ0.aaa.bbb")
    with pytest.raises(DeploymentMisconfigured, match="does not accept the key") as refused:
        await collect(backend)
    assert upstream.asked[0].headers["authorization"] == "Bearer eyJ0.aaa.bbb"
    assert "api-key" not in upstream.asked[0].headers
    assert "entra_token" in refused.value.hint


async def test_an_answer_that_the_filter_cuts_ends_so(upstream: Server, serve: ServeAzure) -> None:
    FakeOpenAI([Said(("Well, ",), finish_reason="content_filter")], azure=True).mount(upstream)
    deltas = await collect(await serve(model=MODEL))
    assert (text_of(deltas), finish_of(deltas)) == ("Well, ", {0: "content_filter"})


async def test_results_of_the_asynchronous_filter_are_read_over(
    upstream: Server, serve: ServeAzure
) -> None:
    chunks = [
        (
            b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":'
            b'[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}\n\n'
        ),
        (
            b'data: {"id":"chatcmpl-1","choices":[{"index":0,"finish_reason":null,"delta":{"content":"Hi"}}],'
            b'"usage":null}\n\n'
        ),
        (
            b'data: {"id":"","object":"","choices":[{"index":0,"finish_reason":null,"content_filter_offsets":'
            b'{"check_offset":44,"start_offset":44,"end_offset":198},"content_filter_results":{"violence":'
            b'{"filtered":false,"severity":"safe"}}}]}\n\n'
        ),
        b'data: {"id":"chatcmpl-1","choices":[{"index":0,"finish_reason":"stop","delta":{}}]}\n\n',
        b"data: [DONE]\n\n",
    ]
    upstream.script(Answer(200, [("content-type", "text/event-stream")], chunks))
    deltas = await collect(await serve())
    assert (text_of(deltas), finish_of(deltas)) == ("Hi", {0: "stop"})


async def test_a_prompt_that_the_filter_refuses_is_blocked(
    upstream: Server, serve: ServeAzure
) -> None:
    error = {
        "message": "The response was filtered due to the prompt triggering …",
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
        },
    }
    upstream.script(json_answer({"error": error}, 400))
    with pytest.raises(PolicyBlocked, match=r"violence \(medium\)"):
        await collect(await serve())


async def test_a_deployment_that_is_not_there_is_a_matter_of_settings(
    upstream: Server, serve: ServeAzure
) -> None:
    error = {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}
    upstream.script(json_answer({"error": error}, 404))
    with pytest.raises(DeploymentMisconfigured, match="no model 'my prod'"):
        await collect(await serve())


def test_a_missing_key_or_address_is_named(tmp_path: Path) -> None:
    def make(settings: AzureOpenAISettings) -> AzureOpenAIBackend:
        return AzureOpenAIBackend(settings, name="a", root=tmp_path, home=tmp_path)

    with pytest.raises(ConfigError, match="base_url"):
        make(AzureOpenAISettings(model="m", api_key="k"))
    without = AzureOpenAISettings(model="m", base_url="https://a.openai.azure.com")
    with pytest.raises(ConfigError, match="AZURE_OPENAI_API_KEY"):
        make(without)
    given = msgspec.structs.replace(without, api_key="k")
    assert make(given).provider == "azure.ai.openai"
