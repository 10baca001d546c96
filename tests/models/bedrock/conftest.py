"""An upstream that speaks Bedrock's protocol, and a backend that asks it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headrace.models.bedrock.backend import BedrockBackend
from headrace.models.bedrock.settings import BedrockSettings
from tests.upstreams.bedrock import KEY_ID, REGION, SECRET, BedrockUpstream
from tests.upstreams.server import Server, serving

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ENVIRON = {
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def fake(server: Server) -> BedrockUpstream:
    return BedrockUpstream(server)


@pytest.fixture
async def backend(fake: BedrockUpstream, tmp_path: Path) -> AsyncIterator[BedrockBackend]:
    settings = BedrockSettings(
        model=MODEL,
        base_url=fake.server.url(),
        control_url=fake.server.url(),
        headers={"x-amz-custom": "signed,  too", "x-trace": "not signed"},
    )
    made = BedrockBackend(settings, name="claude", root=tmp_path, home=tmp_path, environ=ENVIRON)
    await made.start()
    yield made
    await made.stop()
