"""An answer's Markdown is shown as such; nothing else that an answer or a title says does anything."""

from playwright.sync_api import Page, expect

from tests.console.browser.reader import Reader

HOSTILE_TITLE = """<img src=x onerror="window.broken='title'"><script>window.broken='t'</script>"""
ATTACKS = (
    "document.body.innerHTML = '<img src=x>'",
    "document.write('<p>x</p>')",
    "new DOMParser().parseFromString('<p>x</p>', 'text/html')",
    "trustedTypes.createPolicy('mine', { createHTML: (html) => html })",
    "document.body.setAttribute('onclick', 'window.broken = 1')",
    "Object.assign(document.createElement('script'), { text: 'window.broken = 1' })",
)


def test_markdown_is_rendered(reader: Reader) -> None:
    reader.ask("markdown")
    reader.wait_answered()
    answer = reader.answer
    expect(answer.get_by_role("heading", name="Fruit")).to_be_visible()
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator("em")).to_have_text("slanted")
    expect(answer.locator("ol li")).to_have_text(["apples", "pears"])
    expect(answer.locator("ul li")).to_have_text(["☑ bought", "☐ eaten"])
    expect(answer.locator("td")).to_have_text(["apple", "red"])
    expect(answer.locator("pre code")).to_have_text('print("hello")')
    expect(answer.locator("blockquote")).to_have_text("quoted")
    link = answer.get_by_role("link")
    expect(link).to_have_attribute("href", "https://example.org/fruit")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_a_hostile_answer_does_nothing(reader: Reader) -> None:
    reader.ask("hostile")
    reader.wait_answered()
    check_harmless(reader)


def test_a_hostile_answer_does_nothing_when_it_comes_from_the_store(
    reader: Reader,
) -> None:
    reader.ask("hostile")
    reader.wait_answered()
    reader.page.reload()
    check_harmless(reader)


def check_harmless(reader: Reader) -> None:
    page, answer = reader.page, reader.answer
    expect(answer).to_contain_text("The end of it.")
    # What it says is shown as the text it is.
    expect(answer).to_contain_text("""<img src="x" onerror="window.broken = 'img'">""")
    forbidden = "script, img, svg, iframe, form, style, math, [onerror], [onload], [hx-get], [id]"
    expect(answer.locator(forbidden)).to_have_count(0)
    for link in answer.locator("a").all():
        href = link.get_attribute("href") or ""
        assert href.startswith(("https://", "http://", "mailto:")), href
        link.dispatch_event("mouseover")
    assert not is_broken(page)
    expect(page.locator("#composer")).to_be_visible()


def test_a_hostile_title_does_nothing(reader: Reader) -> None:
    page = reader.page
    reader.ask(HOSTILE_TITLE)
    reader.wait_answered()
    expect(reader.conversations.first).to_contain_text("<img src=x onerror=")
    page.reload()
    expect(reader.exchange.locator(".question p")).to_have_text(HOSTILE_TITLE)
    item = page.locator("#conversations li").first
    item.hover()
    item.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("<img src=x onerror=")
    page.get_by_role("button", name="Keep", exact=True).click()
    item.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("New name")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Open trace").click()
    page.get_by_role("dialog").get_by_text("Texts", exact=True).click()
    expect(page.locator("#trace pre").first).to_have_text(HOSTILE_TITLE)
    assert not is_broken(page)


def test_the_browser_itself_refuses_to_turn_text_into_the_page(reader: Reader) -> None:
    page = reader.page
    for attack in ATTACKS:
        with reader.expecting("Trusted|trusted"):
            refused = page.evaluate(
                f"() => {{ try {{ {attack}; return '' }} catch (error) {{ return String(error) }} }}"
            )
            assert refused.startswith("TypeError"), (attack, refused)
        assert not is_broken(page), attack


def is_broken(page: Page) -> bool:
    """Whether any of the attacks left its mark."""
    return bool(page.evaluate("'broken' in window"))
