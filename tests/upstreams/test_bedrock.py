"""botocore, unmodified, talks to our fake: so the fake speaks as AWS does."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol, cast

import botocore.session  # type: ignore[import-untyped]  # it has no types
import pytest
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, EventStreamError  # type: ignore[import-untyped]

from tests.upstreams.bedrock import (
    KEY_ID,
    REGION,
    SECRET,
    BedrockUpstream,
    exception,
    failure,
    streamed,
)
from tests.upstreams.server import Server

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
USER = [{"role": "user", "content": [{"text": "Hi"}]}]


class _Stream(Protocol):
    def __iter__(self) -> Iterator[dict[str, dict[str, object]]]: ...

    def close(self) -> None: ...


class _Client(Protocol):
    """What botocore makes at run time from its model of the service."""

    def converse(self, **fields: object) -> dict[str, object]: ...

    def converse_stream(self, **fields: object) -> dict[str, object]: ...

    def count_tokens(self, **fields: object) -> dict[str, object]: ...

    def list_foundation_models(self) -> dict[str, object]: ...

    def close(self) -> None: ...


@contextmanager
def connected(
    upstream: Server, service: str = "bedrock-runtime", *, secret: str = SECRET, **more: str
) -> Iterator[_Client]:
    made = botocore.session.get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=upstream.url(),
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
        **more,
    )
    with closing(cast(_Client, made)) as client:
        yield client


def read(answer: dict[str, object]) -> list[dict[str, dict[str, object]]]:
    """The events of a streamed answer."""
    with closing(cast(_Stream, answer["stream"])) as stream:
        return list(stream)


@pytest.fixture
def fake(upstream: Server) -> BedrockUpstream:
    return BedrockUpstream(upstream)


def test_botocore_reads_a_whole_answer(fake: BedrockUpstream) -> None:
    with connected(fake.server) as client:
        answer = client.converse(modelId=MODEL, messages=USER)
    assert answer["output"] == {"message": {"role": "assistant", "content": fake.content}}
    assert (answer["stopReason"], answer["usage"]) == ("end_turn", fake.usage)


def test_botocore_reads_each_event_of_a_stream(fake: BedrockUpstream) -> None:
    thought = {"reasoningText": {"text": "查一下。", "signature": "EqQB"}}
    fake.content = [
        {"reasoningContent": thought},
        {"text": "One moment: 北京"},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "北京"}}},
    ]
    fake.stop_reason = "tool_use"
    with connected(fake.server) as client:
        events = read(client.converse_stream(modelId=MODEL, messages=USER))
    deltas = [each["contentBlockDelta"]["delta"] for each in events if "contentBlockDelta" in each]
    texts = [each["text"] for each in deltas if isinstance(each, dict) and "text" in each]
    assert "".join(texts) == "One moment: 北京"
    assert events[-2] == {"messageStop": {"stopReason": "tool_use"}}
    assert events[-1]["metadata"]["usage"] == fake.usage


def test_botocore_counts_tokens_and_lists_models(fake: BedrockUpstream) -> None:
    fake.models = [
        {
            "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/x",
            "modelId": MODEL,
            "modelLifecycle": {"status": "LEGACY", "endOfLifeTime": "2027-03-01T00:00:00Z"},
        }
    ]
    with connected(fake.server) as client:
        counted = client.count_tokens(modelId=MODEL, input={"converse": {"messages": USER}})
    assert counted["inputTokens"] == 31
    with connected(fake.server, "bedrock") as client:
        listed = client.list_foundation_models()["modelSummaries"]
    assert isinstance(listed, list)
    assert listed[0]["modelId"] == MODEL
    assert str(listed[0]["modelLifecycle"]["endOfLifeTime"]) == "2027-03-01 00:00:00+00:00"


def test_botocore_knows_each_error(fake: BedrockUpstream) -> None:
    fake.server.script(
        failure(429, "ThrottlingException", "Too many requests"),
        streamed(fake.events()[0], exception("throttlingException", "slow down")),
    )
    with connected(fake.server) as client:
        with pytest.raises(ClientError) as throttled:
            client.converse(modelId=MODEL, messages=USER)
        assert throttled.value.response["Error"]["Code"] == "ThrottlingException"
        with pytest.raises(EventStreamError, match="slow down"):
            read(client.converse_stream(modelId=MODEL, messages=USER))


def test_a_signature_by_another_secret_is_refused(fake: BedrockUpstream) -> None:
    with (
        connected(fake.server, secret="wrong") as client,
        pytest.raises(ClientError, match="does not match"),
    ):
        client.converse(modelId=MODEL, messages=USER)
    with (
        connected(fake.server, aws_session_token="old") as client,
        pytest.raises(ClientError, match="expired"),
    ):
        client.converse(modelId=MODEL, messages=USER)
