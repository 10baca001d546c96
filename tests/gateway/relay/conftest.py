"""Two servers that speak OpenAI's protocol, each as the test says."""

from collections.abc import Iterator

import pytest

from tests.upstreams.openai import FakeOpenAI
from tests.upstreams.server import Server, serving


@pytest.fixture(scope="module")
def upstreams() -> Iterator[list[Server]]:
    with serving() as one, serving() as two:
        yield [one, two]


@pytest.fixture(autouse=True)
def answering(upstreams: list[Server]) -> None:
    for each in upstreams:
        each.scripted.clear()
        each.asked.clear()
        FakeOpenAI().mount(each)
