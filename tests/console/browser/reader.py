"""Somebody who reads and writes on the page: what they do, and what they would not see go wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.running import ServiceProcess

__all__ = ["Reader"]

_QUIET = {"log", "info", "debug", "verbose"}


class Reader:
    """One tab of a browser, at one service."""

    def __init__(self, context: BrowserContext, service: ServiceProcess) -> None:
        self.service = service
        self.context = context
        self.problems: list[str] = []
        self.page = context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("dialog", lambda dialog: self._on_dialog(dialog.message, dialog.dismiss))

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.service.url + path)
        return self.page

    def sign_in(self, key: str | None = None) -> Page:
        """Open the page and sign in with the key, else with the admin's."""
        page = self.open()
        page.get_by_label("API key").fill(key or self.service.key)
        page.get_by_role("button", name="Sign in").click()
        self.wait_ready()
        return page

    def wait_ready(self) -> None:
        """Until a question can be asked: the page is there and its scripts run."""
        expect(self.page.locator("#send")).to_be_enabled()
        expect(self.prompt).to_be_focused()

    @property
    def prompt(self) -> Locator:
        return self.page.locator("#prompt")

    @property
    def exchange(self) -> Locator:
        """The last question with its answer."""
        return self.page.locator("#log .exchange").last

    @property
    def answer(self) -> Locator:
        return self.exchange.locator(".answer")

    @property
    def conversations(self) -> Locator:
        """Titles in the side bar."""
        return self.page.locator("#conversations li > a")

    def ask(self, question: str) -> Locator:
        """Send a question; gives the exchange, which is being written."""
        expect(self.page.locator("#send")).to_be_enabled()
        count = self.page.locator("#log .exchange").count()
        self.prompt.fill(question)
        self.prompt.press("Enter")
        expect(self.page.locator("#log .exchange")).to_have_count(count + 1)
        return self.exchange

    def choose(self, model: str) -> None:
        """Pick who answers."""
        self.page.get_by_label("Model").select_option(model)

    def wait_answered(self) -> None:
        """Until the answer is complete and what can be done with it is shown."""
        expect(self.page.locator(".writing")).to_have_count(0)
        expect(self.exchange.locator(".actions")).to_be_visible()

    @contextmanager
    def expecting(self, pattern: str) -> Iterator[None]:
        """Problems that match are what the test is about; there must be at least one."""
        before = len(self.problems)
        yield
        new = self.problems[before:]
        assert any(re.search(pattern, each) for each in new), f"no {pattern!r} among {new}"
        self.problems[before:] = [each for each in new if not re.search(pattern, each)]

    def overflows(self) -> bool:
        """Whether the page can be scrolled sideways."""
        return bool(
            self.page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in _QUIET:
            self.problems.append(f"console {message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and not request.url.startswith(self.service.url):
            self.problems.append(f"request to another site: {request.url}")

    def _on_dialog(self, message: str, dismiss: object) -> None:
        self.problems.append(f"dialog: {message}")
        assert callable(dismiss)
        dismiss()
