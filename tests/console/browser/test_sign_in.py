"""Signing in with a key, staying signed in, and being signed out."""

from playwright.sync_api import expect

from tests.console.browser.reader import Reader
from tests.console.visitor import make_key, status_of
from tests.running import wait_for


def test_a_wrong_key_is_refused_and_the_right_one_opens_the_page(newcomer: Reader) -> None:
    reader = newcomer
    page = reader.open("/")
    expect(page.get_by_label("API key")).to_be_focused()
    with reader.expecting("status of 401"):
        page.keyboard.type("hr-nobody")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("No valid key")
    expect(page.get_by_label("API key")).to_have_accessible_description(
        "The first start made an admin key and kept it in .headrace/admin.key "
        "More keys: headrace keys create No valid key. Check that you copied all of it; "
        "a revoked key does not work any more."
    )
    page.get_by_label("API key").fill(f"  {reader.service.key} ")
    page.keyboard.press("Enter")
    expect(page.locator("#welcome h2")).to_have_text("What would you like to know?")
    cookie = next(c for c in reader.context.cookies() if c["name"].startswith("headrace-"))
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert reader.service.key not in cookie["value"]


def test_signing_in_leads_to_the_page_that_was_asked_for(newcomer: Reader) -> None:
    reader = newcomer
    page = reader.open("/c/nothing-here")
    page.get_by_label("API key").fill(reader.service.key)
    with reader.expecting("status of 404"):
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("does not exist")
    page.get_by_role("link", name="Back to the start").click()
    expect(reader.prompt).to_be_focused()


def test_signing_out_ends_it_in_this_browser(newcomer: Reader) -> None:
    reader = newcomer
    page = reader.sign_in()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    reader.open("/")
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_revoked_key_signs_its_reader_out(newcomer: Reader) -> None:
    reader, service = newcomer, newcomer.service
    key_id, secret = make_key(service, "guest")
    page = reader.sign_in(secret)
    expect(page.locator(".who")).to_have_text("guest")
    service.run("keys", "revoke", key_id)
    wait_for(lambda: status_of(service, secret) == 401)
    with reader.expecting("status of 401"):
        reader.prompt.fill("Am I still here?")
        reader.prompt.press("Enter")
        expect(page.get_by_label("API key")).to_be_visible()
