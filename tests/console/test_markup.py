"""What a reader with a screen reader, or with weak eyes, depends on."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import headrace.console
from tests.console.visitor import Visitor
from tests.running import ServiceProcess

STYLE = (Path(str(headrace.console.__path__[0])) / "static/headrace.css").read_text("utf-8")
VOID = {"br", "hr", "img", "input", "link", "meta", "path", "rect", "line"}


class Element:
    """A tag with its attributes, its ancestors' tags and the text within it."""

    def __init__(self, tag: str, attributes: dict[str, str], within: list[str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.within = within
        self.text = ""

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}>"


class Document(HTMLParser):
    """All elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"attribute twice: <{tag} {attrs}>"
        element = Element(tag, given, [each.tag for each in self._open])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        closed = self._open.pop()
        assert closed.tag == tag, f"</{tag}> closes {closed}"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]


@pytest.fixture(scope="module")
def pages(scripted: ServiceProcess) -> dict[str, str]:
    """Each of the pages as HTML."""
    with Visitor.of(scripted, address="127.0.0.1").client as client:
        visitor = Visitor(client)
        found = {"sign-in": visitor.get("/sign-in").text}
        visitor.sign_in(scripted.key)
        question = {"text": "short jane@example.org", "conversation": "markup"}
        assert "event: done" in visitor.post("/chat", question).text
        found |= {"chat": visitor.get("/").text, "failure": visitor.get("/c/none").text}
        found["conversation"] = visitor.get("/c/markup").text
        trace = re.search(r'href="(/traces/[^"]+)"', found["conversation"])
        assert trace is not None
        found["trace"] = visitor.get(trace[1]).text
    return found


@pytest.fixture(params=["sign-in", "chat", "failure", "conversation", "trace"])
def document(request: pytest.FixtureRequest, pages: dict[str, str]) -> Document:
    """Each of the pages."""
    return Document(pages[request.param])


@pytest.mark.service
@pytest.mark.model
def test_a_page_is_well_formed_and_can_be_found_one_s_way_in(document: Document) -> None:
    html = document.all("html")[0]
    assert html.attributes["lang"] == "en"
    assert len(document.all("title")[0].text) > 5
    assert len(document.all("main")) == 1
    assert len([each for each in document.all("h1", "h2") if "template" not in each.within]) >= 1
    ids = [each.attributes["id"] for each in document.elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for element in document.elements:
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
            for target in element.attributes.get(name, "").split():
                assert target in ids, f"{element} points to nothing"


@pytest.mark.service
@pytest.mark.model
def test_everything_that_can_be_used_has_a_name(document: Document) -> None:
    labelled = {each.attributes.get("for") for each in document.all("label")}
    for element in document.all("button", "a", "input", "select", "textarea"):
        attributes = element.attributes
        if attributes.get("type") == "hidden" or "hidden" in attributes:
            continue
        named = attributes.get("aria-label") or attributes.get("id") in labelled
        assert named or element.text.strip(), f"{element} has no name"
    for dialog in document.all("dialog"):
        assert {"aria-labelledby", "aria-label"} & set(dialog.attributes), dialog
    for image in document.all("svg"):
        assert image.attributes["aria-hidden"] == "true", image


@pytest.mark.service
@pytest.mark.model
def test_no_page_needs_what_its_policy_forbids(document: Document) -> None:
    assert document.all("style", "iframe", "object", "embed", "base") == []
    for script in document.all("script"):
        assert script.attributes["src"].startswith("/static/")
        assert script.text == ""
    for element in document.elements:
        for name in element.attributes:
            assert name != "style"
            assert not name.startswith(("on", "hx-on", "hx-vals", "hx-vars")), element


@pytest.mark.service
@pytest.mark.model
def test_headings_skip_no_level(document: Document) -> None:
    levels = [
        int(each.tag[1])
        for each in document.all("h1", "h2", "h3", "h4")
        if not {"template", "dialog"} & set(each.within)
    ]
    for before, after in pairwise(levels):
        assert after <= before + 1, levels


COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#\w+), #\w+\)", STYLE))
DARK = dict(re.findall(r"--([\w-]+): light-dark\(#\w+, (#\w+)\)", STYLE))
TEXT_ON = [
    *((text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "side", "raised")),
    ("ink", "hover"), ("ink", "tint"), ("accent", "tint"), ("soft", "hover"),
    ("on-accent", "accent"), ("warn", "paper"), ("warn", "warn-tint"), ("bad", "paper"),
    ("bad", "bad-tint"), ("bad", "raised"),
]  # fmt: skip


@pytest.mark.parametrize("colours", [COLOURS, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_stands_out_from_what_it_stands_on(
    colours: dict[str, str], text: str, ground: str
) -> None:
    assert contrast(colours[text], colours[ground]) >= 4.5


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours `#rrggbb`. Source: WCAG 2.2, relative luminance."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_formula_knows_black_on_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
