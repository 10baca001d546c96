"""A real browser for the page, and a reader who sits at it.

Every test ends with the question whether anything went wrong that the reader could not see: an
error in the console, a violated security policy, a request to another site.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.console.browser.reader import Reader
from tests.console.visitor import Visitor
from tests.running import ServiceProcess

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS = 30_000
"""For a model of which two cores are shared by everything that runs."""

expect.set_options(timeout=_PATIENCE_MS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium. One a module: while Playwright runs, asyncio tests cannot."""
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if path is None:
        assert "CI" not in os.environ, "CI must have a Chromium"
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile: wide window, English, light."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(_PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def assistant_reader(context: BrowserContext, service: ServiceProcess) -> Iterator[Reader]:
    """Somebody at the built-in assistant's page, not signed in yet."""
    reader = Reader(context, service)
    yield reader
    assert reader.problems == []


@pytest.fixture
def newcomer(context: BrowserContext, scripted: ServiceProcess) -> Iterator[Reader]:
    """Somebody at the page of a service whose answers are known, not signed in yet."""
    reader = Reader(context, scripted)
    yield reader
    assert reader.problems == []


@pytest.fixture
def reader(newcomer: Reader, session: tuple[str, str]) -> Reader:
    """The same, signed in, at an empty page."""
    name, value = session
    newcomer.context.add_cookies([{"name": name, "value": value, "url": newcomer.service.url}])
    newcomer.open()
    newcomer.wait_ready()
    return newcomer


@pytest.fixture(scope="session")
def session(scripted: ServiceProcess) -> tuple[str, str]:
    """The cookie of an administrator who is signed in: its name and value."""
    with Visitor.of(scripted, address="127.0.0.1").client as client:
        Visitor(client).sign_in(scripted.key)
        return next(iter(client.cookies.items()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that stands in this folder drives the browser and needs the real service."""
    folder = re.escape(str(Path(__file__).parent))
    for item in items:
        if re.match(folder, str(item.path)):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.service)
            item.add_marker(pytest.mark.model)
