"""Servers and environments for the tests of the model box."""

import os
from collections.abc import Iterator

import pytest

from tests.models.origin import Origin, serving


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A server of files on this machine."""
    with serving() as running:
        yield running


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No package index, hub or proxy of whoever runs the suite is heard of."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "HF_", "SSL_CERT")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return monkeypatch
