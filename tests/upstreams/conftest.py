"""The scripted server for the tests of the fakes themselves."""

from collections.abc import Iterator

import pytest

from tests.upstreams.server import Server, serving


@pytest.fixture
def upstream() -> Iterator[Server]:
    """A scripted HTTP server on this machine."""
    with serving() as running:
        yield running
