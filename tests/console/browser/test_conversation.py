"""Conversations are kept, listed, renamed and deleted; answers are rated; traces opened."""

import re

from playwright.sync_api import expect

from tests.console.browser.reader import Reader


def test_a_conversation_is_there_after_a_reload(reader: Reader) -> None:
    page = reader.page
    reader.ask("short one, the first")
    reader.wait_answered()
    reader.ask("short two")
    reader.wait_answered()
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}$"))
    expect(page).to_have_title("short one, the first · Headrace")
    page.reload()
    expect(page.locator("#log .question p")).to_have_text(["short one, the first", "short two"])
    expect(page.locator("#log .answer")).to_have_text(["A short answer."] * 2)
    expect(reader.conversations.first).to_have_text("short one, the first")
    expect(reader.conversations.first).to_have_attribute("aria-current", "page")


def test_the_address_is_the_conversations_before_the_list_has_it(reader: Reader) -> None:
    page = reader.page
    page.route("**/conversations?open=*", lambda _: None)  # the list never comes
    reader.ask("short and quickly reloaded")
    reader.wait_answered()
    assert re.search(r"/c/[0-9a-f-]{36}$", page.url)
    page.reload()
    expect(page.locator("#log .question p")).to_have_text("short and quickly reloaded")


def test_a_new_conversation_does_not_know_the_old_one(reader: Reader) -> None:
    page = reader.page
    reader.ask("short old")
    reader.wait_answered()
    page.get_by_role("link", name="New conversation").click()
    expect(page.locator("#welcome")).to_be_visible()
    reader.ask("short new")
    reader.wait_answered()
    expect(page.locator("#log .question")).to_have_count(1)
    expect(reader.conversations.nth(0)).to_have_text("short new")
    expect(reader.conversations.nth(1)).to_have_text("short old")


def test_a_conversation_can_be_renamed(reader: Reader) -> None:
    page = reader.page
    reader.ask("short name")
    reader.wait_answered()
    page.get_by_role("button", name="Rename “short name”").click()
    name = page.get_by_label("New name")
    expect(name).to_be_focused()
    name.fill("Notes on <b>rain</b>")
    name.press("Enter")
    expect(reader.conversations.first).to_have_text("Notes on <b>rain</b>")
    expect(page.locator(".bar h1")).to_have_text("Notes on <b>rain</b>")
    page.reload()
    expect(reader.conversations.first).to_have_text("Notes on <b>rain</b>")


def test_renaming_can_be_given_up(reader: Reader) -> None:
    page = reader.page
    reader.ask("short keep")
    reader.wait_answered()
    page.get_by_role("button", name="Rename “short keep”").click()
    page.get_by_label("New name").fill("something else")
    page.keyboard.press("Escape")
    expect(page.get_by_label("New name")).to_have_count(0)
    expect(reader.conversations.first).to_have_text("short keep")


def test_deleting_asks_first_and_then_deletes_for_good(reader: Reader) -> None:
    page = reader.page
    reader.ask("short gone")
    reader.wait_answered()
    address = page.url
    delete = page.get_by_role("button", name="Delete “short gone”")
    delete.click()
    expect(page.get_by_role("dialog")).to_contain_text("short gone")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    delete.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#welcome")).to_be_visible()
    expect(reader.conversations.filter(has_text="short gone")).to_have_count(0)
    with reader.expecting("status of 404"):
        page.goto(address)
        expect(page.get_by_role("alert")).to_contain_text("does not exist")


def test_an_answer_is_rated_and_commented(reader: Reader) -> None:
    page = reader.page
    reader.ask("short rated")
    reader.wait_answered()
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("What was good or bad? (optional)").fill("Too <i>short</i>.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you.")).to_be_visible()
    page.get_by_role("link", name="Open trace").click()
    expect(page.locator("#trace .ratings")).to_contain_text("Too <i>short</i>.")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "false")


def test_a_trace_opens_as_a_waterfall(reader: Reader) -> None:
    page = reader.page
    reader.ask("short card 4111 1111 1111 1111")
    reader.wait_answered()
    page.get_by_role("link", name="Open trace").click()
    dialog = page.get_by_role("dialog", name="Trace")
    rows = dialog.locator(".waterfall .row")
    expect(rows.locator(".name")).to_have_text(
        ["Normalise", "Ground", "Screen", "Generate", "scripted"]
    )
    drawing = rows.locator("svg.bar").first.bounding_box()
    assert drawing is not None
    starts = []
    for bar in rows.locator("svg.bar rect").all():
        box = bar.bounding_box()
        assert box is not None
        assert box["width"] > 0
        assert box["x"] >= drawing["x"] - 1
        assert box["x"] + box["width"] <= drawing["x"] + drawing["width"] + 1
        starts.append(box["x"])
    assert starts == sorted(starts)
    expect(dialog.locator(".facts")).to_contain_text("TTFT")
    expect(dialog.get_by_role("table")).to_contain_text("masked")
    rows.filter(has_text="Generate").locator("summary").click()
    expect(rows.filter(has_text="Generate")).to_contain_text("gen_ai.usage.output_tokens")
    dialog.get_by_text("Texts", exact=True).click()
    expect(dialog.locator(".texts pre").first).to_have_text("short card 4111 1111 1111 1111")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("link", name="Open trace")).to_be_focused()


def test_a_trace_has_an_address_of_its_own(reader: Reader) -> None:
    page = reader.page
    reader.ask("short address")
    reader.wait_answered()
    address = page.get_by_role("link", name="Open trace").get_attribute("href")
    assert address is not None
    reader.open(address)
    expect(page.locator(".waterfall .row")).to_have_count(5)
    page.get_by_role("link", name="Headrace").click()
    expect(reader.prompt).to_be_focused()


def test_an_answer_is_copied_as_it_was_written(reader: Reader) -> None:
    page = reader.page
    reader.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reader.ask("markdown")
    reader.wait_answered()
    page.get_by_role("button", name="Copy answer").click()
    expect(page.locator("#status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("## Fruit\n\nSome **bold**")
    page.get_by_role("button", name="Copy", exact=True).click()
    assert page.evaluate("navigator.clipboard.readText()") == 'print("hello")'
