"""Light and dark, small screens, and languages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.console.browser.reader import Reader
from tests.running import ServiceProcess

DARK = "rgb(19, 22, 24)"
LIGHT = "rgb(252, 251, 249)"


@pytest.fixture
def phone(chromium: Browser, scripted: ServiceProcess) -> Iterator[Reader]:
    context = chromium.new_context(
        viewport={"width": 360, "height": 640},
        locale="en-GB",
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    reader = Reader(context, scripted)
    yield reader
    context.close()
    assert reader.problems == []


def background(context: BrowserContext) -> str:
    body = context.pages[0].locator("body")
    return str(body.evaluate("element => getComputedStyle(element).backgroundColor"))


@pytest.mark.parametrize(
    ("system", "before", "after"), [("light", LIGHT, DARK), ("dark", DARK, LIGHT)]
)
def test_the_page_follows_the_system_until_the_reader_says_otherwise(
    reader: Reader, system: str, before: str, after: str
) -> None:
    page, context = reader.page, reader.context
    page.emulate_media(color_scheme="dark" if system == "dark" else "light")
    assert background(context) == before
    page.get_by_role("button", name="Light or dark").click()
    assert background(context) == after
    page.reload()
    assert background(context) == after
    page.get_by_role("button", name="Light or dark").click()
    assert background(context) == before
    assert "headrace-theme" not in {cookie.get("name") for cookie in context.cookies()}


def test_a_narrow_page_never_scrolls_sideways(phone: Reader) -> None:
    page = phone.open()
    assert not phone.overflows()
    phone.sign_in()
    assert not phone.overflows()
    phone.ask("wide")
    phone.wait_answered()
    assert not phone.overflows()
    page.get_by_role("button", name="Good answer").tap()
    expect(page.get_by_label("What was good or bad? (optional)")).to_be_visible()
    assert not phone.overflows()
    page.get_by_role("link", name="Open trace").tap()
    expect(page.locator("#trace .waterfall")).to_be_visible()
    for summary in page.locator("#trace summary").all():
        summary.tap()
    assert not phone.overflows()
    body = page.locator("#trace")
    assert body.evaluate("element => element.scrollWidth <= element.clientWidth")
    page.keyboard.press("Escape")
    page.reload()
    assert not phone.overflows()


def test_on_a_narrow_page_conversations_slide_in(phone: Reader) -> None:
    page = phone.sign_in()
    sidebar = page.locator("#sidebar")
    expect(sidebar).to_be_hidden()
    page.get_by_role("button", name="Show conversations").tap()
    expect(sidebar).to_be_visible()
    expect(page.get_by_role("link", name="Headrace")).to_be_focused()
    page.keyboard.press("Escape")
    expect(sidebar).to_be_hidden()
    expect(page.get_by_role("button", name="Show conversations")).to_be_focused()
    page.get_by_role("button", name="Show conversations").tap()
    page.touchscreen.tap(350, 300)
    expect(sidebar).to_be_hidden()


def test_what_fingers_touch_is_large_enough(phone: Reader) -> None:
    page = phone.sign_in()
    phone.ask("short touch")
    phone.wait_answered()
    targets = page.locator("main button:visible, main a:visible, main textarea:visible")
    for target in targets.all():
        box = target.bounding_box()
        assert box is not None
        # WCAG 2.2, 2.5.8 asks for 24.
        assert min(box["width"], box["height"]) >= 28, target.get_attribute("aria-label")


def test_the_language_is_the_browsers_and_can_be_changed(reader: Reader) -> None:
    page = reader.page
    reader.ask("short language")
    reader.wait_answered()
    address = page.url
    page.get_by_role("button", name="中文").click()
    expect(page).to_have_url(address)
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.get_by_role("link", name="新对话")).to_be_visible()
    expect(page.get_by_placeholder("请输入问题")).to_be_focused()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("link", name="New conversation")).to_be_visible()
