"""The prompt library in a real browser: by keyboard, in both languages, light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.console.browser.reader import Reader
from tests.console.visitor import Visitor
from tests.running import ServiceProcess


@pytest.fixture
def librarian(context: BrowserContext, prompt_service: ServiceProcess) -> Iterator[Reader]:
    """An administrator of a service with two versions of a template."""
    with Visitor.of(prompt_service, address="127.0.0.1").client as client:
        Visitor(client).sign_in(prompt_service.key)
        name, value = next(iter(client.cookies.items()))
    context.add_cookies([{"name": name, "value": value, "url": prompt_service.url}])
    reader = Reader(context, prompt_service)
    yield reader
    assert reader.problems == []


def test_from_the_chat_to_what_changed_by_keyboard_alone(librarian: Reader) -> None:
    page = librarian.open()
    librarian.wait_ready()
    page.get_by_role("link", name="Prompts").press("Enter")
    expect(page.get_by_role("heading", name="Prompt library")).to_be_visible()
    page.get_by_role("link", name="shop", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="shop")).to_be_visible()
    before = page.get_by_label("Before")
    before.focus()
    before.select_option("v1")
    page.get_by_label("After").select_option("v2")
    page.get_by_role("button", name="Compare").press("Enter")
    changes = page.get_by_role("region", name="What changed")
    expect(changes.locator("tr.changed .was")).to_contain_text("Answer briefly.")
    expect(changes.locator("tr.changed .now")).to_contain_text("Answer in <b>one</b> word.")
    rendered = page.get_by_role("region", name="What the model reads")
    expect(rendered.locator("tr.changed .was")).to_contain_text("Answer briefly.")


def test_both_versions_are_tried_on_chosen_cases(librarian: Reader) -> None:
    page = librarian.open("/prompts/shop?left=v1&right=v2")
    page.get_by_role("checkbox", name="It greets").press("Space")
    page.get_by_role("checkbox", name="It sings").press("Space")
    page.get_by_role("button", name="Run").press("Enter")
    pairs = page.locator(".pair")
    expect(pairs).to_have_count(2)
    expect(pairs.nth(0).locator(".badge.passed")).to_have_count(2)
    expect(pairs.nth(1).locator(".badge.failed")).to_have_count(2)
    expect(pairs.nth(1)).to_contain_text("Tralala")
    pairs.nth(0).get_by_role("link", name="Trace").first.click()
    expect(page.get_by_role("heading", name="Trace")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_its_window_in_both_themes_and_in_chinese(
    librarian: Reader, theme: str, width: int
) -> None:
    name = "headrace-language"
    librarian.context.add_cookies([{"name": name, "value": "zh", "url": librarian.service.url}])
    librarian.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    librarian.page.set_viewport_size({"width": width, "height": 800})
    page = librarian.open("/prompts")
    expect(page.get_by_role("heading", name="提示词库")).to_be_visible()
    assert not librarian.overflows()
    page = librarian.open("/prompts/shop?left=v1&right=v2")
    expect(page.get_by_role("heading", name="改动")).to_be_visible()
    assert not librarian.overflows()
