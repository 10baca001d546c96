"""Readers: each format's structure arrives, and bad input is refused with its reason."""

import io
import zipfile
from pathlib import Path

import pytest

from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read import ReadSettings, Source, find_sources, load_file, read

CHINESE = "知识库的文件都在这里。我们可以对这些数据进行检索，也可以引用其中的内容。"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def one(uri: str, data: bytes | str) -> Document:
    data = data.encode() if isinstance(data, str) else data
    (document,) = read(Source(uri=uri, data=data))
    return document


def shown(document: Document) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(b.kind, document.text[b.start : b.end], b.headings) for b in document.blocks]


def docx(body: str, prolog: str = "") -> bytes:
    xml = f'<?xml version="1.0"?>{prolog}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", xml)
    return file.getvalue()


def pdf(*texts: str) -> bytes:
    """A PDF of one line a page, without its table of offsets, which readers rebuild."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(texts)))
    parts = [
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj",
        f"2 0 obj<</Type/Pages/Kids[{kids}]/Count {len(texts)}>>endobj",
        "3 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj",
    ]
    for n, text in enumerate(texts):
        drawn = f"BT /F 12 Tf 50 700 Td ({text}) Tj ET"
        parts.append(
            f"{4 + 2 * n} 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]"
            f"/Resources<</Font<</F 3 0 R>>>>/Contents {5 + 2 * n} 0 R>>endobj\n"
            f"{5 + 2 * n} 0 obj<</Length {len(drawn)}>>stream\n{drawn}\nendstream endobj"
        )
    return "\n".join([*parts, "trailer<</Root 1 0 R>>\n%%EOF"]).encode()


def test_markdown_keeps_headings_tables_code_and_lists() -> None:
    text = "---\ntitle: 手册\nteam: ops\n---\n# 安装\n先看这里。\n\n- a\n- b\n\n## Run\n```sh\nx  y\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    document = one("a.md", text)
    assert (document.title, document.metadata["team"]) == ("手册", "ops")
    assert shown(document) == [
        ("text", "先看这里。", ("安装",)),
        ("list", "- a\n- b", ("安装",)),
        ("code", "```sh\nx  y\n```", ("安装", "Run")),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |", ("安装", "Run")),
    ]


def test_html_gives_the_main_text_without_navigation_and_scripts() -> None:
    page = "<html lang=zh><title>T</title><nav>menu</nav><h1>标题</h1><p>一<b>二</b><script>x()</script></p><table><tr><th>a<th>b<tr><td>1<td>2</table>"
    document = one("a.html", page)
    assert (document.title, document.metadata["lang"]) == ("T", "zh")
    assert shown(document) == [("text", "一二", ("标题",)), ("table", "a | b\n1 | 2", ("标题",))]


def test_a_menu_that_is_never_closed_does_not_swallow_the_page() -> None:
    assert one("a.html", "<nav><a>menu<main><p>text</main><footer>end").text == "text"


def test_deeply_nested_html_is_read() -> None:
    assert one("a.html", "<div>" * 100_000 + "deep").text == "deep"


def test_docx_gives_headings_and_tables() -> None:
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>第一章</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>正文。</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    document = one("a.docx", docx(body))
    assert shown(document) == [("text", "正文。", ("第一章",)), ("table", "a | b", ("第一章",))]


def test_pdf_text_knows_its_page() -> None:
    document = one("a.pdf", pdf("first page", "second page"))
    pages = [(document.text[b.start : b.end], b.page) for b in document.blocks]
    assert pages == [("first page", 1), ("second page", 2)]


def test_rows_become_documents() -> None:
    settings = ReadSettings(metadata_fields=("team",))
    rows = read(Source(uri="a.csv", data=b"title;text;team\nT;hello;ops\n"), settings)
    assert [(d.title, d.text, d.metadata) for d in rows] == [("T", "hello", {"team": "ops"})]
    (row,) = read(Source(uri="a.jsonl", data=b'{"title":"T","n":1}\n'), settings)
    assert row.text == "title: T\nn: 1"


def test_a_changed_row_leaves_the_other_documents_as_they_were() -> None:
    before = read(Source(uri="a.csv", data=b"id,text\nx,one\ny,two\n"))
    after = read(Source(uri="a.csv", data=b"id,text\nx,one\ny,three\nz,four\n"))
    assert before[0] == after[0]
    assert before[1].digest != after[1].digest


def test_rows_may_go_by_a_name_instead_of_their_line() -> None:
    settings = ReadSettings(id_field="id")
    rows = read(Source(uri="a.csv", data="id,text\nä/1,a\n,b\nä/1,c\n".encode()), settings)
    assert [row.uri for row in rows] == ["a.csv#id=%C3%A4/1", "a.csv#row=3", "a.csv#row=4"]


def test_a_heading_without_text_can_be_found() -> None:
    text = "# A\n## B\n## C\ntext\n# D\n"
    assert shown(one("a.md", text)) == [
        ("text", "B", ("A",)),
        ("text", "text", ("A", "C")),
        ("text", "D", ()),
    ]


def test_html_tables_that_only_place_things_keep_their_headings() -> None:
    page = "<form><table><tr><td>menu<td><h1>标题</h1><p>正文<br>续<br><br>二<table><tr><td>1<td>2</table></table></form>"
    assert shown(one("a.html", page)) == [
        ("text", "menu", ()),
        ("text", "正文 续", ("标题",)),
        ("text", "二", ("标题",)),
        ("table", "1 | 2", ("标题",)),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_chinese_is_read_in_its_encodings(encoding: str) -> None:
    assert one("a.txt", CHINESE.encode(encoding)).text == CHINESE


def test_big5_and_latin_are_told_apart() -> None:
    text = "這個國家的人們說，我們應該來學這些資料，不會沒有用。"
    assert one("a.txt", text.encode("big5")).text == text
    assert one("a.txt", "Ein Café für alle, naïve Grüße".encode("cp1252")).text.startswith(
        "Ein Café"
    )


@pytest.mark.parametrize(
    ("uri", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n", "empty"),
        ("a.txt", b"MZ\x00\x01\x02" * 50, "binary"),
        ("a.md", b"%PDF-1.4", "content is pdf"),
        ("a.pdf", b"hello", "content is something else"),
        ("a.pdf", b"%PDF-1.4 broken", "broken"),
        ("a.docx", b"PK\x03\x04 broken", "not a DOCX"),
        ("a.xyz", b"hello", "no reader"),
        ("a.jsonl", b"{}\n[1]", "a.jsonl:2"),
    ],
)
def test_bad_input_is_refused_with_its_reason(uri: str, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason) as caught:
        read(Source(uri=uri, data=data))
    assert caught.value.hint


def test_a_zip_bomb_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match="zip bombs"):
        one("a.docx", docx("<w:p/>" * 2_000_000))


def test_xml_entities_are_refused() -> None:
    with pytest.raises(UnreadableDocument, match="entities"):
        one("a.docx", docx("&a;", '<!DOCTYPE d [<!ENTITY a "x">]>'))


def test_a_pdf_that_takes_too_long_is_refused() -> None:
    settings = ReadSettings(pdf_timeout_s=0.001)
    with pytest.raises(UnreadableDocument, match="not read after"):
        read(Source(uri="a.pdf", data=pdf("x")), settings)


def test_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    with big.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UnreadableDocument, match="more than"):
        load_file(big, ReadSettings())


def test_folders_leave_out_hidden_files_and_links_that_lead_outside(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    (root / ".git").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("secret")
    for name in ("b.md", "a.md", ".hidden.md", ".git/c.md"):
        (root / name).write_text("x")
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    assert [path.name for path in find_sources(root, ["*.md"])] == ["a.md", "b.md"]
