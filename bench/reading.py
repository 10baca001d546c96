"""How fast documents are read and cut, and how right: PDF text and old encodings beside others.

    python bench/reading.py

Inputs are this repository's own pages (docs/ and tests/knowledge/read/pages), repeated to a few
megabytes. What it is compared with (pypdf, charset-normalizer, lxml) is used where it is
installed; the PDFs are printed by Chromium where that is. One process, best of three.
"""

import csv
import html
import importlib
import io
import json
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

from headrace.knowledge.chunk.chunk import chunk
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.document import Document
from headrace.knowledge.read.decode import decode
from headrace.knowledge.read.formats.markup import events
from headrace.knowledge.read.read import read
from headrace.knowledge.read.source import Source

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "tests" / "knowledge" / "read" / "pages"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MEGA = 1_000_000
SIZE = 2 * MEGA


def english() -> str:
    return "\n\n".join(
        path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("[a-d]*.md"))
    )


def page(name: str) -> str:
    return (PAGES / f"{name}.txt").read_text("utf-8")


def repeated(text: str, size: int = SIZE) -> str:
    return text * (size // len(text.encode()) + 1)


def as_html(text: str) -> str:
    parts = [f"<p>{html.escape(each)}</p>" for each in text.split("\n\n") if each.strip()]
    style = "<style>body { font-family: serif }</style>"
    return f"<!doctype html><meta charset=utf-8>{style}<nav>menu</nav>{''.join(parts)}"


def inputs() -> Iterator[tuple[str, str, bytes]]:
    """Name, address and bytes of each format."""
    text, chinese = repeated(english()), repeated(page("simplified"))
    paragraphs = [each for each in text.split("\n\n") if each.strip()]
    yield "Markdown", "a.md", text.encode()
    yield "text", "a.txt", text.encode()
    yield "text, Chinese", "a.txt", chinese.encode()
    yield "text, GB18030", "a.txt", chinese.encode("gb18030")
    yield "HTML", "a.html", as_html(text).encode()
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["title", "text"])
    rows.writerows([[f"row {n}", each] for n, each in enumerate(paragraphs)])
    yield "CSV", "a.csv", file.getvalue().encode()
    lines = [json.dumps({"title": "row", "text": each}) for each in paragraphs]
    yield "JSONL", "a.jsonl", "\n".join(lines).encode()
    body = "".join(f"<w:p><w:r><w:t>{html.escape(e)}</w:t></w:r></w:p>" for e in paragraphs)
    xml = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", xml)
    yield "DOCX (MB of text)", "a.docx", packed.getvalue()


def best(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def installed(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  ({name} is not installed)")
        return None


def cut(documents: list[Document]) -> int:
    return sum(len(chunk(each, ChunkSettings())) for each in documents)


def speeds() -> None:
    print(f"{'format':22}{'read MB/s':>11}{'chunk MB/s':>12}{'documents':>11}{'chunks':>9}")
    for name, uri, data in inputs():
        source = Source(uri=uri, data=data)
        documents: list[Document] = read(source)
        size = sum(len(each.text.encode()) for each in documents)
        reading = best(partial(read, source))
        pieces = cut(documents)
        cutting = best(partial(cut, documents))
        # As packed, the same pages over and over would look far slower than they are.
        amount = size if uri == "a.docx" else len(data)
        print(
            f"{name:22}{amount / reading / MEGA:11.1f}{size / cutting / MEGA:12.1f}"
            f"{len(documents):11,}{pieces:9,}"
        )


def tags() -> None:
    """Only the stream of tags; then a hostile page, of which html.parser gets a tenth."""
    ordinary, hostile = as_html(repeated(english())), "<a/" * 100_000

    def python(text: str) -> None:
        parser = HTMLParser()
        parser.feed(text)
        parser.close()

    size = len(ordinary.encode()) / MEGA
    print("\nHTML tags, ordinary page (MB/s) and 300 kB of unfinished tags (s)")
    ours = best(lambda: list(events(ordinary)))
    print(f"  {'headrace':22}{size / ours:8.1f}{best(lambda: list(events(hostile))):12.3f}")
    began = time.perf_counter()
    python(hostile[:30_000])
    taken = time.perf_counter() - began
    print(f"  {'html.parser':22}{size / best(lambda: python(ordinary)):8.1f}{taken:12.3f} (30 kB)")
    if lxml := installed("lxml.html"):
        fast = best(lambda: lxml.fromstring(ordinary).text_content())
        slow = best(lambda: lxml.fromstring(f"x{hostile}").text_content())
        print(f"  {'lxml (a whole tree)':22}{size / fast:8.1f}{slow:12.3f}")


def printed(text: str, folder: Path) -> bytes | None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return None
    source, target = folder / "page.html", folder / "page.pdf"
    source.write_text(as_html(text), "utf-8")
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target}",
            source.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target.read_bytes()


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W\u3040-\u9fff]+|[\u3040-\u9fff]", text.lower()))


def agreement(found: str, wanted: str) -> float:
    """F1 over words, Chinese and Japanese ones by sign."""
    ours, theirs = words(found), words(wanted)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def pdfs() -> None:
    print("\nPDF, printed by Chromium: F1 of words, pages, seconds")
    other = installed("pypdf")
    texts = {"docs": english(), "simplified": page("simplified") * 10}
    texts |= {name: page(name) * 10 for name in ("traditional", "japanese", "german")}
    for name, text in texts.items():
        with tempfile.TemporaryDirectory() as folder:
            data = printed(text, Path(folder))
        if data is None:
            print("  (Chromium is not installed)")
            return
        source = Source(uri="a.pdf", data=data)
        (document,) = read(source)
        pages = max(block.page or 0 for block in document.blocks)
        row = f"  {name:12}{pages:5} pages  headrace (pdfium) {agreement(document.text, text):.4f}"
        row += f" {best(partial(read, source)):6.2f} s"
        if other is not None:
            began = time.perf_counter()
            found = [each.extract_text() for each in other.PdfReader(io.BytesIO(data)).pages]
            taken = time.perf_counter() - began
            row += f"   pypdf {agreement(' '.join(found), text):.4f} {taken:6.2f} s"
        print(row)


CASES = [
    ("simplified", "gb18030"),
    ("traditional", "big5"),
    ("traditional", "gb18030"),
    ("japanese", "shift_jis"),
    ("japanese", "euc_jp"),
    ("german", "cp1252"),
    ("simplified", "utf-8"),
    ("german", "utf-8"),
]
LENGTHS = (20, 50, 200, 5000)


def encodings() -> None:
    print("\nencodings: pieces that come out as they were, of N characters, and ms a whole page")
    guessing = installed("charset_normalizer")

    def theirs(data: bytes) -> str:
        assert guessing is not None
        return str(guessing.from_bytes(data).best() or "")

    readers: dict[str, Callable[[bytes], str]] = {"headrace": lambda data: decode(data, "a")[0]}
    if guessing is not None:
        readers["charset-normalizer"] = theirs
    for name, encoding in CASES:
        for reader, reading in readers.items():
            row = f"  {name:12}{encoding:11}{reader:19}"
            for length in LENGTHS:
                text = page(name)
                at = range(0, max(1, len(text) - length), 61)
                pieces = [" ".join(text[n : n + length].split()) for n in at]
                right = sum(reading(each.encode(encoding)) == each for each in pieces)
                row += f"{f'{right}/{len(pieces)}':>8}"
            data = page(name).encode(encoding)
            print(f"{row}{best(partial(reading, data)) * 1e3:9.2f}")


if __name__ == "__main__":
    speeds()
    tags()
    pdfs()
    encodings()
