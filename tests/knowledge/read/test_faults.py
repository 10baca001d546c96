"""Sources that are hostile, broken or very large: each a clear error or a safe result."""

import csv
import io
import os
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.chunk.chunk import chunk
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read import draft
from headrace.knowledge.read.formats import pdf as pdf_reader
from headrace.knowledge.read.read import read
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source


def pdf(
    content: bytes = b"BT /F 12 Tf 50 700 Td (hi) Tj ET",
    packing: bytes = b"",
    *,
    kids: bytes = b"4 0 R",
    count: int = 1,
    trailer: bytes = b"",
) -> bytes:
    """A PDF whose pages are all the same one."""
    return (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[%b]/Count %d>>endobj\n"
        b"3 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
        b"4 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]"
        b"/Resources<</Font<</F 3 0 R>>>>/Contents 5 0 R>>endobj\n"
        b"5 0 obj<<%b/Length %d>>stream\n%b\nendstream endobj\n"
        b"6 0 obj<</Filter/Standard/V 1/R 2/P -4/O(%b)/U(%b)>>endobj\n"
        b"trailer<</Root 1 0 R%b>>\n%%%%EOF"
    ) % (kids, count, packing, len(content), content, b"o" * 32, b"u" * 32, trailer)


def refused(data: bytes, uri: str = "a.pdf", **settings: float) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        read(Source(uri=uri, data=data), ReadSettings(**settings))  # type: ignore[arg-type]
    assert caught.value.hint
    return str(caught.value)


def test_a_pdf_with_a_password_is_refused() -> None:
    locked = pdf(trailer=b"/Encrypt 6 0 R/ID[(a)(a)]")
    assert "protected by a password" in refused(locked)


def test_a_pdf_that_unpacks_to_more_than_its_memory_takes_nothing_else_down() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(300)) + packer.flush()
    data = pdf(bomb, b"/Filter/FlateDecode")
    assert len(data) < 400_000
    assert "its parser died" in refused(data, pdf_memory_mb=64)


def test_a_pdf_with_more_pages_than_allowed_is_refused() -> None:
    data = pdf(kids=b"4 0 R " * 200, count=200)
    assert "more pages" in refused(data, max_pages=199)
    (document,) = read(Source(uri="a.pdf", data=data), ReadSettings(max_pages=200))
    assert [block.page for block in document.blocks] == list(range(1, 201))


def test_a_pdf_that_lies_about_its_pages_says_which_cannot_be_read() -> None:
    (document,) = read(Source(uri="a.pdf", data=pdf(count=3)))
    assert document.text == "hi"
    assert document.metadata["pages_unread"] == "2, 3"


def test_pages_that_contain_one_another_end() -> None:
    assert "no text" in refused(pdf(kids=b"2 0 R 2 0 R"))


@pytest.mark.parametrize(
    ("code", "settings", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", {}, "SIGSEGV"),
        ("while True: pass", {"pdf_timeout_s": 0.5}, r"not read after 0\.5 seconds"),
        # What writes without end is stopped by its own limit, not by our memory.
        (
            "limit(10**9, 1000, 100, 60)\nwhile True: os.write(1, b'x' * 4096)",
            {},
            "its parser died",
        ),
        ("import os; os._exit(3)", {}, "password"),
    ],
    ids=["segfault", "hang", "flood", "status"],
)
def test_a_parser_that_was_taken_over_is_contained(
    code: str,
    settings: dict[str, float],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Path(pdf_reader.__file__).with_name("pdf_worker.py").read_text("utf-8")
    begin = worker.index("def main()")
    taken = tmp_path / "worker.py"
    taken.write_text(f"{worker[:begin]}\nimport os\n{code}\n", "utf-8")
    monkeypatch.setattr(pdf_reader, "_WORKER", taken)
    with pytest.raises(UnreadableDocument, match=reason):
        read(Source(uri="a.pdf", data=pdf()), ReadSettings(**settings))  # type: ignore[arg-type]


def test_the_parser_does_not_see_the_environment_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_MASTER_KEY", "secret")
    spy = tmp_path / "spy.py"
    spy.write_text("import json, os; print(json.dumps(' '.join(os.environ)))", "utf-8")
    monkeypatch.setattr(pdf_reader, "_WORKER", spy)
    (document,) = read(Source(uri="a.pdf", data=pdf()))
    assert "HEADRACE_MASTER_KEY" in os.environ
    assert "HEADRACE" not in document.text


def zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name.replace("_", "/") + ".xml", data)
    return file.getvalue()


def test_a_zip_in_a_zip_is_not_opened() -> None:
    inner = zipped(word_document=b"<secret/>")
    assert "not a DOCX" in refused(zipped(word_document=inner), "a.docx")
    assert "no word/document.xml" in refused(zipped(inner=inner), "a.docx")


def test_a_zip_of_very_many_parts_is_refused_before_it_is_opened() -> None:
    assert "more than 10,000 parts" in refused(b"PK\x03\x04" + b"PK\x01\x02" * 10_001, "a.docx")


@pytest.mark.parametrize("uri", ["a.txt", "a.md", "a.html", "a.csv"])
@pytest.mark.parametrize("unit", ["word ", "词", "x", "a.", "|", "- ", "`", "#"])
def test_a_line_without_end_is_read_and_cut(uri: str, unit: str) -> None:
    count = 120_000 if uri == "a.csv" else 1_000_000
    text = (unit * (count // len(unit))).strip()
    data = f"text\n{text}\n" if uri == "a.csv" else text
    for document in read(Source(uri=uri, data=data.encode())):
        pieces = chunk(document, ChunkSettings())
        assert pieces[-1].end == len(document.text)


def test_a_cell_of_csv_that_is_too_long_is_an_error() -> None:
    before = csv.field_size_limit(1 << 30)  # as reading a dataset does to the whole process
    try:
        said = refused(b"text\n" + b"x" * 200_000, "a.csv")
    finally:
        csv.field_size_limit(before)
    assert "a.csv:2: not CSV: a cell is longer" in said


def test_json_nested_without_end_is_an_error() -> None:
    assert "a.jsonl:1" in refused(b'{"a":' * 100_000, "a.jsonl")


@pytest.mark.parametrize(
    ("uri", "unit"),
    [
        ("a.txt", "a\n\n"),
        ("a.md", "a\n\n"),
        ("a.md", "# a\n"),
        ("a.html", "<p>a"),
        ("a.html", "<table><tr>"),
        ("a.html", "<table><tr><td><td>"),
    ],
)
def test_very_many_small_parts_do_not_become_gigabytes(
    uri: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "_MOST_PARTS", 5_000)
    assert "more than 5,000 paragraphs" in refused(unit.encode() * 5_001, uri)


def test_more_rows_than_allowed_are_refused() -> None:
    assert "more than 3 rows" in refused(b"a\n1\n2\n3\n4\n", "a.csv", max_rows=3)
    assert "more than 3 rows" in refused(b'{"a":1}\n' * 4, "a.jsonl", max_rows=3)


def test_a_cell_of_very_many_paragraphs_is_read() -> None:
    body = "<w:tbl><w:tr><w:tc>" + "<w:p><w:r><w:t>a word</w:t></w:r></w:p>" * 50_000
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    xml = f'<w:document xmlns:w="{word}">{body}</w:tc></w:tr></w:tbl></w:document>'.encode()
    settings = ReadSettings(max_ratio=1000)
    (document,) = read(Source(uri="a.docx", data=zipped(word_document=xml)), settings)
    assert document.text == " ".join(["a word"] * 50_000)


UNFINISHED = [
    "<",
    "<a",
    "<a/",
    "<a =",
    "<a b='",
    '<a b="',
    "<a =\"'",
    "</",
    "</a",
    "<!",
    "<![",
    "<![CDATA[",
    "<!--",
    "<!-- -",
    "<?",
    "<script>",
    "<title>",
    "<TITLE ",
    "<textarea>",
    "&",
    "&#9",
    "&amp",
    "<td>",
    "<table>",
    "<table><tr><td>",
    "<table><tr><td>x<h1>",
    "<nav>",
    "<h1>",
    "<li><p>",
    "<br>",
    "<pre>",
]


@pytest.mark.parametrize("unit", UNFINISHED)
def test_unfinished_html_takes_linear_time(unit: str) -> None:
    """At quadratic cost, as in html.parser, these take hours and the suite's time-out ends them."""
    (document,) = read(Source(uri="a.html", data=b"start " + unit.encode() * 100_000))
    assert document.text.startswith("start")


def test_a_number_of_a_thousand_digits_is_no_character() -> None:
    (document,) = read(Source(uri="a.html", data=b"a &#" + b"9" * 5000 + b"; &#x4E2D; b"))
    assert document.text == "a \ufffd 中 b"


@given(
    st.lists(st.sampled_from([*UNFINISHED, ">", "x", " ", "'", '"', "-->", "</title>", "</td>"]))
)
def test_any_html_gives_text_or_a_clear_error(parts: list[str]) -> None:
    try:
        read(Source(uri="a.html", data="".join(["x", *parts]).encode()))
    except UnreadableDocument as error:
        assert error.hint
