"""Everything can be done without a mouse."""

from playwright.sync_api import expect

from tests.console.browser.reader import Reader


def test_a_reader_without_a_mouse_signs_in_asks_rates_and_opens_a_trace(
    newcomer: Reader,
) -> None:
    reader, page = newcomer, newcomer.open()
    page.keyboard.type(reader.service.key)
    page.keyboard.press("Enter")
    reader.wait_ready()
    page.keyboard.type("short")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and sweet")
    expect(reader.prompt).to_have_value("short\nand sweet")
    page.keyboard.press("Enter")
    expect(reader.exchange.locator(".question p")).to_have_text("short\nand sweet")
    reader.wait_answered()
    expect(reader.prompt).to_be_focused()
    walk_back_to(reader, "Good answer")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Good answer")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("What was good or bad? (optional)")).to_be_focused()
    page.keyboard.type("Just right.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you.")).to_be_visible()
    page.keyboard.press("/")
    expect(reader.prompt).to_be_focused()
    walk_back_to(reader, "Open trace")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#trace .row").first).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_page_can_be_skipped_to_the_message_box(reader: Reader) -> None:
    page = reader.page
    first = page.locator("a, button, input, textarea").first
    expect(first).to_have_text("Skip to the message box")
    first.focus()
    expect(first).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.type("x")
    expect(reader.prompt).to_have_value("x")


def test_a_conversation_is_deleted_with_the_keyboard(reader: Reader) -> None:
    page = reader.page
    reader.ask("short keys")
    reader.wait_answered()
    page.get_by_role("button", name="Delete “short keys”").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(reader.conversations.first).to_have_text("short keys")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#welcome")).to_be_visible()


def test_an_input_method_keeps_its_enter(reader: Reader) -> None:
    """Enter that picks a word while composing must not send."""
    page = reader.page
    session = reader.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "ni", "selectionStart": 2, "selectionEnd": 2})
    reader.prompt.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    expect(page.locator("#log .exchange")).to_have_count(0)
    session.send("Input.insertText", {"text": "你"})
    expect(reader.prompt).to_have_value("你")
    page.keyboard.press("Enter")
    expect(page.locator("#log .exchange")).to_have_count(1)
    reader.wait_answered()


def walk_back_to(reader: Reader, name: str) -> None:
    """Shift+Tab until the thing of this name has the focus."""
    for _ in range(30):
        reader.page.keyboard.press("Shift+Tab")
        focused = reader.page.evaluate("document.activeElement.getAttribute('aria-label')")
        if focused == name:
            return
    raise AssertionError(f"Shift+Tab never came to {name!r}")
