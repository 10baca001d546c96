"""The audit log in a real browser: chosen from, in both languages, and what was altered is seen."""

import sqlite3

from playwright.sync_api import expect

from tests.console.browser.reader import Reader
from tests.console.visitor import Visitor, make_key


def test_who_changed_what_is_found_by_keyboard_alone(reader: Reader) -> None:
    made, _ = make_key(reader.service, "mill")
    reader.service.run("keys", "revoke", made, "--why", "给 <b>磨坊</b>")
    page = reader.page
    page.get_by_role("link", name="Audit").press("Enter")
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("all as they were written")
    mine = page.get_by_role("row").filter(has_text=made)
    expect(mine).to_have_count(2)
    page.get_by_label("Action").select_option("key.revoke")
    page.get_by_label("From").fill("2026-01-01")
    page.get_by_role("button", name="Show").press("Enter")
    expect(mine).to_have_count(1)
    expect(mine).to_contain_text("API key revoked")
    expect(mine).to_contain_text("给 <b>磨坊</b>")
    mine.get_by_text("Evidence").press("Enter")
    expect(mine.locator("pre")).to_be_visible()
    page.get_by_label("To").fill("2026-01-01")
    page.get_by_role("button", name="Show").press("Enter")
    expect(page.get_by_text("No change fits.")).to_be_visible()


def test_a_changed_entry_is_named_and_the_page_fits_a_telephone_in_chinese(reader: Reader) -> None:
    name = "headrace-language"
    reader.context.add_cookies([{"name": name, "value": "zh", "url": reader.service.url}])
    reader.page.set_viewport_size({"width": 390, "height": 800})

    def write_who(sign: str) -> None:
        connection = sqlite3.connect(reader.service.home / "state.db")
        with connection:
            sql = "UPDATE audit_log SET who = ? || substr(who, 2) WHERE number = 1"
            connection.execute(sql, (sign,))
        connection.close()

    page = reader.open("/audit?before=2")
    before = page.get_by_role("row").last.locator("td").nth(1).inner_text()
    write_who("\N{SNOWMAN}")
    try:
        page = reader.open("/audit")
        expect(page.get_by_role("heading", name="审计日志")).to_be_visible()
        expect(page.get_by_role("status")).to_contain_text("第 1 条被改动或已缺失")
        assert not reader.overflows()
    finally:
        write_who(before[0])
    expect(reader.open("/audit").get_by_role("status")).to_contain_text("均与写入时一致")


def test_it_is_for_administrators_and_names_what_it_cannot_read(
    guest: Visitor, visitor: Visitor
) -> None:
    assert guest.get("/audit").status_code == 403
    for query, status in (
        ("since=yesterday", 400),
        ("before=-1", 400),
        ("until=9999-12-31&before=2&who=%25&action=release", 200),
    ):
        assert visitor.get(f"/audit?{query}").status_code == status, query
