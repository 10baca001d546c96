"""Google's own SDK, unmodified, talks to our fake: so the fake speaks as the real one does."""

import base64
from collections.abc import Iterator

import pytest
from google import genai
from google.genai import errors, types

from tests.upstreams.gemini import KEY, GeminiUpstream, chunk, failure, streamed
from tests.upstreams.server import Server

SIGNATURE = base64.b64encode(b"thoughts, sealed").decode()
CALL: dict[str, object] = {"id": "fc_1", "name": "weather", "args": {"city": "北京"}}


@pytest.fixture
def fake(upstream: Server) -> GeminiUpstream:
    return GeminiUpstream(upstream)


@pytest.fixture
def client(upstream: Server) -> Iterator[genai.Client]:
    made = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=upstream.url()))
    yield made
    made.close()


def test_the_sdk_reads_a_whole_answer(fake: GeminiUpstream, client: genai.Client) -> None:
    answer = client.models.generate_content(model="gemini-3.1-pro", contents="Hi")
    assert answer.text == "Hello!"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == 6


def test_the_sdk_puts_a_stream_together(fake: GeminiUpstream, client: genai.Client) -> None:
    fake.parts = [
        {"text": "Weather? 查一下。", "thought": True},
        {"functionCall": CALL, "thoughtSignature": SIGNATURE},
    ]
    parts = [
        part
        for piece in client.models.generate_content_stream(model="gemini-3.1-pro", contents="Hi")
        for candidate in piece.candidates or []
        if candidate.content is not None
        for part in candidate.content.parts or []
    ]
    assert "".join(part.text or "" for part in parts if part.thought) == "Weather? 查一下。"
    called = parts[-1]
    assert called.function_call is not None
    assert called.function_call.args == {"city": "北京"}
    assert called.thought_signature == b"thoughts, sealed"


def test_the_sdk_goes_on_after_a_tools_result(fake: GeminiUpstream, client: genai.Client) -> None:
    """The SDK's chat sends the signature back; without it the fake refuses, as Gemini does."""
    fake.parts = [{"functionCall": CALL, "thoughtSignature": SIGNATURE}]
    chat = client.chats.create(model="gemini-3.1-pro")
    chat.send_message("Weather?")
    fake.parts = [{"text": "Sunny."}]
    result = types.Part.from_function_response(name="weather", response={"output": "sunny"})
    assert chat.send_message(result).text == "Sunny."
    fake.parts = [{"functionCall": CALL}]
    chat.send_message("And now?")
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        chat.send_message(result)


def test_the_sdk_counts_embeds_and_lists(fake: GeminiUpstream, client: genai.Client) -> None:
    fake.models = [
        {
            "name": "models/gemini-3.1-pro",
            "version": "3.1",
            "displayName": "Gemini 3.1 Pro",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
    ]
    assert client.models.count_tokens(model="gemini-3.1-pro", contents="Hi").total_tokens == 31
    embedded = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert [each.values for each in embedded.embeddings or []] == [[0.0, 0.5], [1.0, 0.5]]
    (listed,) = client.models.list()
    assert (listed.name, listed.input_token_limit) == ("models/gemini-3.1-pro", 1048576)


def test_the_sdk_knows_each_error(
    fake: GeminiUpstream, upstream: Server, client: genai.Client
) -> None:
    exhausted: dict[str, object] = {
        "code": 429,
        "message": "slow down",
        "status": "RESOURCE_EXHAUSTED",
    }
    upstream.script(
        failure(404, "NOT_FOUND", "models/x is not found for API version v1beta"),
        streamed(chunk({"error": exhausted})),
    )
    with pytest.raises(errors.ClientError) as missing:
        client.models.generate_content(model="x", contents="Hi")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.APIError, match="slow down"):
        list(client.models.generate_content_stream(model="x", contents="Hi"))
    options = types.HttpOptions(base_url=upstream.url())
    wrong = genai.Client(api_key="wrong", http_options=options)
    with pytest.raises(errors.ClientError, match="API key not valid"):
        wrong.models.generate_content(model="x", contents="Hi")
    wrong.close()


def test_the_sdk_sees_why_a_prompt_was_blocked(fake: GeminiUpstream, client: genai.Client) -> None:
    fake.blocked = {"blockReason": "PROHIBITED_CONTENT"}
    answer = client.models.generate_content(model="x", contents="Hi")
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
