"""One server that no test harms, and the handler behind it."""

from collections.abc import Iterator

import pytest

from tests.server.http1.site import Client, Echo, Site


@pytest.fixture(scope="session")
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="session")
def site(echo: Echo) -> Iterator[Site]:
    with Site.serving(echo) as running:
        yield running


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with site.client() as connected:
        yield connected
