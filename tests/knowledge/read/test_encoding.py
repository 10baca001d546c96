"""Old encodings of whole pages, and of pieces of them, are recognised."""

from pathlib import Path

import pytest

from headrace.knowledge.chunk.chunk import chunk
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.read.decode import charset
from headrace.knowledge.read.read import read
from headrace.knowledge.read.source import Source

PAGES = Path(__file__).with_name("pages")
CASES = [
    ("simplified", "gb18030"),
    ("simplified", "gbk"),
    ("simplified", "utf-16"),
    ("traditional", "big5"),
    ("traditional", "gb18030"),
    ("japanese", "shift_jis"),
    ("japanese", "euc_jp"),
    ("german", "cp1252"),
]


@pytest.mark.parametrize(("name", "encoding"), CASES)
def test_pages_are_read_in_their_encoding(name: str, encoding: str) -> None:
    text = (PAGES / f"{name}.txt").read_text("utf-8")
    (document,) = read(Source(uri="a.txt", data=text.encode(encoding)))
    assert document.text == text.strip()
    (crlf,) = read(Source(uri="a.txt", data=text.replace("\n", "\r\n").encode(encoding)))
    assert crlf.text == document.text


@pytest.mark.parametrize(("name", "encoding"), CASES)
def test_fifty_characters_are_enough(name: str, encoding: str) -> None:
    text = (PAGES / f"{name}.txt").read_text("utf-8")
    pieces = [" ".join(text[at : at + 50].split()) for at in range(0, len(text) - 50, 37)]
    wrong = [
        piece
        for piece in pieces
        if read(Source(uri="a.txt", data=piece.encode(encoding)))[0].text != piece
    ]
    assert not wrong


def test_a_page_of_gb2312_is_cut_at_its_sentences() -> None:
    text = (PAGES / "simplified.txt").read_text("utf-8")
    paragraphs = "".join(f"<p>{line}" for line in text.splitlines() if line)
    page = f"<meta charset=gb2312><h1>手册</h1>{paragraphs}"
    (document,) = read(Source(uri="a.html", data=page.encode("gbk")))
    pieces = chunk(document, ChunkSettings(target_tokens=100, max_tokens=160, overlap_tokens=0))
    assert len(pieces) > 6
    assert all(piece.headings == ("手册",) for piece in pieces)
    assert all(piece.text[-1] in "。；" for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("text/html; charset=GB2312", "gb18030"),
        ("text/html;charset='Shift_JIS'", "cp932"),
        ("text/html; charset=iso-8859-1", ""),
        ("text/html; charset=punycode", ""),
        ("text/html; charset=zip", ""),
        ("text/html", ""),
    ],
)
def test_only_encodings_of_texts_are_believed(said: str, name: str) -> None:
    assert charset(said) == name


def test_latin_1_is_not_believed_of_utf_8() -> None:
    source = Source(
        uri="a", data="Grüße 你好".encode(), media_type="text/plain; charset=iso-8859-1"
    )
    assert read(source)[0].text == "Grüße 你好"
