"""The service goes away and comes back: the reader stays signed in and can try again."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, expect

from tests.console.browser.reader import Reader
from tests.console.scripted import ScriptedService


def test_a_service_that_dies_in_mid_answer_leaves_a_way_to_try_again(
    context: BrowserContext, tmp_path: Path, weights_folder: Path
) -> None:
    folder = ScriptedService(tmp_path, weights_folder)
    mortal = folder.start()
    reader = Reader(context, mortal)
    page = reader.sign_in()
    reader.choose("endless")
    reader.ask("Tell the story of a river.")
    expect(reader.answer).to_have_text(re.compile(r"\w{3}"))
    with reader.expecting("ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION"):
        mortal.kill()
        expect(page.get_by_role("alert")).to_contain_text("The connection to the service was lost.")
        # Nobody is there yet: it says so again, and the question is not lost.
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".writing")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_count(1)
    again = folder.start(port=urlsplit(mortal.url).port or 0)
    try:
        page.get_by_role("button", name="Try again").click()
        expect(reader.answer).to_have_text(re.compile(r"\w{3}"))
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator("#log .exchange")).to_have_count(1)
        page.keyboard.press("Escape")
        reader.wait_answered()
        page.reload()
        expect(page.locator("#log .exchange").last).to_contain_text("Tell the story of a river.")
        assert reader.problems == []
    finally:
        again.stop()
