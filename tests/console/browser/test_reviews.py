"""Confirming in the chat, and deciding what was given to a person, in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.console.browser.reader import Reader
from tests.console.visitor import Visitor
from tests.running import ServiceProcess

EXAMPLE = Path(__file__).parents[3] / "examples" / "policies"


@pytest.fixture(scope="module")
def policy_service(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    """The example of policies."""
    root = tmp_path_factory.mktemp("policy_service") / "service"
    shutil.copytree(EXAMPLE, root)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    running = ServiceProcess.start(root, home)
    yield running
    running.stop()


@pytest.fixture
def reviewer(context: BrowserContext, policy_service: ServiceProcess) -> Iterator[Reader]:
    """An administrator, signed in."""
    with Visitor.of(policy_service, address="127.0.0.1").client as client:
        Visitor(client).sign_in(policy_service.key)
        name, value = next(iter(client.cookies.items()))
    context.add_cookies([{"name": name, "value": value, "url": policy_service.url}])
    reader = Reader(context, policy_service)
    yield reader
    assert reader.problems == []


def test_a_reader_confirms_what_a_policy_asks_about(reviewer: Reader) -> None:
    page = reviewer.open()
    reviewer.wait_ready()
    page.get_by_role("textbox").fill("Say hello to the Bluebird team.")
    page.get_by_role("textbox").press("Enter")
    failure = page.get_by_role("alert")
    expect(failure).to_contain_text("Please confirm first.")
    expect(failure).to_contain_text("This was found: term.codename.")
    page.get_by_role("button", name="Send it all the same").press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("button", name="Copy").first).to_be_visible()


def test_what_waits_is_decided_by_keyboard_alone(reviewer: Reader) -> None:
    page = reviewer.open()
    reviewer.wait_ready()
    page.get_by_role("textbox").fill("I will file a lawsuit about <b>wheels</b>.")
    page.get_by_role("textbox").press("Enter")
    expect(page.get_by_role("button", name="Copy").first).to_be_visible()
    page.get_by_role("link", name="Reviews").press("Enter")
    expect(page.get_by_role("heading", name="Review queue")).to_be_visible()
    entry = page.get_by_role("row").filter(has_text="prompt")
    entry.get_by_role("link").press("Enter")
    expect(page.locator("pre")).to_have_text("user: I will file a lawsuit about <b>wheels</b>.")
    page.get_by_label("Reason").fill("An empty threat.")
    page.get_by_role("button", name="Allow").press("Enter")
    expect(page.get_by_role("heading", name="Review queue")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="prompt")).to_have_count(0)
    page.get_by_role("link", name="What was decided").press("Enter")
    expect(page.get_by_role("row").filter(has_text="prompt")).to_contain_text("allowed")
