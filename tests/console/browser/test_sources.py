"""Footnotes of an answer: shown below it, opened by mouse and keyboard, and only by who may read."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.console.browser.reader import Reader
from tests.console.scripted import ScriptedService
from tests.console.visitor import make_key
from tests.running import HEADRACE, ServiceProcess, wait_for

_KNOWLEDGE = """
knowledge:
  sources:
    - {path: knowledge}
"""
_LEAVE = "Full-time employees receive 25 days of paid leave per calendar year."


@pytest.fixture(scope="module")
def handbook(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path, embedding_folder: Path
) -> Iterator[ServiceProcess]:
    """A real knowledge base; the model's words are replaced by a file that cites (answers/)."""
    assert weights_folder == embedding_folder
    scripted = ScriptedService(tmp_path_factory.mktemp("sources"), weights_folder)
    declared = scripted.root / "headrace.yaml"
    text = declared.read_text().replace("- ground", "- ground: {knowledge: {passages: 2}}")
    declared.write_text(text + _KNOWLEDGE)
    folder = scripted.root / "knowledge"
    folder.mkdir()
    (folder / "leave.md").write_text(f"# Leave\n\n## Paid leave\n{_LEAVE}\n")
    (folder / "secret.md").write_text("# Board\n\n## Cites\nThe board receives 60 days of leave.\n")
    environ = {**os.environ, "HEADRACE_HOME": str(scripted.home)}
    run = [HEADRACE, "knowledge", "sync"]
    subprocess.run(run, cwd=scripted.root, env=environ, check=True, timeout=60)
    running = scripted.start()
    yield running
    running.stop()
    shutil.rmtree(folder)


@pytest.fixture
def employee(context: BrowserContext, handbook: ServiceProcess) -> Iterator[Reader]:
    reader = Reader(context, handbook)
    yield reader
    assert reader.problems == []


def ask(reader: Reader) -> None:
    reader.ask("cites How many days of paid leave do employees receive?")
    reader.wait_answered()


def test_a_mark_opens_the_passage_with_its_place(employee: Reader) -> None:
    page = employee.sign_in()
    ask(employee)
    expect(employee.exchange.locator(".sources li")).to_have_count(1)
    expect(employee.exchange.locator(".sources")).to_contain_text("Leave › Paid leave")
    expect(employee.answer.locator("code")).to_have_text("a[1]")
    expect(employee.answer.locator("a.mark")).to_have_count(1)
    employee.answer.locator("a.mark").first.click()
    dialog = page.locator("#passage")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text(_LEAVE)
    expect(dialog).to_contain_text("knowledge/leave.md")
    expect(dialog.locator(".path")).to_contain_text("Paid leave")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_the_keyboard_opens_and_closes_it_and_comes_back(employee: Reader) -> None:
    page = employee.sign_in()
    ask(employee)
    source = employee.exchange.locator(".sources a")
    source.focus()
    source.press("Enter")
    dialog = page.get_by_role("dialog", name="Passage")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(source).to_be_focused()


def test_they_are_there_after_a_reload_in_chinese_and_in_the_dark(employee: Reader) -> None:
    page = employee.sign_in()
    ask(employee)
    light = employee.answer.locator("a.mark").first.evaluate("e => getComputedStyle(e).color")
    page.emulate_media(color_scheme="dark")
    dark = employee.answer.locator("a.mark").first.evaluate("e => getComputedStyle(e).color")
    assert light != dark
    language = {"name": "headrace-language", "value": "zh", "url": employee.service.url}
    employee.context.add_cookies([language])  # type: ignore[list-item]
    page.reload()
    expect(employee.exchange.locator(".sources h3")).to_have_text("来源")
    mark = employee.answer.locator("a.mark").first
    expect(mark).to_have_attribute("aria-label", re.compile("Paid leave"))
    mark.click()
    expect(page.locator("#passage")).to_contain_text(_LEAVE)
    assert not employee.overflows()


def test_a_passage_that_a_reader_may_not_read_any_more_does_not_open(employee: Reader) -> None:
    service = employee.service
    _, secret = make_key(service, "guest")
    page = employee.sign_in(secret)
    ask(employee)
    address = employee.exchange.locator(".sources a").get_attribute("href") or ""
    assert page.request.get(service.url + address).status == 200
    declared = service.log.parent / "headrace.yaml"
    declared.write_text(
        declared.read_text().replace("{path: knowledge}", "{path: knowledge, readers: [admin]}")
    )
    service.run("knowledge", "sync")
    wait_for(lambda: page.request.get(service.url + address).status == 404)
    page.reload()
    expect(employee.exchange.locator(".sources a")).to_have_count(0)
    expect(employee.exchange.locator(".sources")).to_contain_text("not open to you")
    assert _LEAVE not in page.request.get(service.url + address).text()
