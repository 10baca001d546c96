"""PDF: the text of each page with its number, read by pdfium in a process of its own.

Headings, tables and columns are not told apart from text; scanned pages have no text.
"""

import re
import subprocess
import sys
from pathlib import Path

import msgspec

from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read"]

_WORKER = Path(__file__).with_name("pdf_worker.py")
_BLANK = re.compile(r"\n[ \t]*+\n")
_WHY = {
    3: ("it is protected by a password", "save a copy without the password"),
    4: ("it is broken", "open it in a viewer and print it to a new PDF"),
    5: ("it holds more text than allowed", "split it, or raise knowledge.read.max_text_mb"),
}


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document, a block a paragraph, each with its page."""
    draft = Draft()
    for number, page in enumerate(_pages(source, settings), 1):
        text = page.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
        for paragraph in _BLANK.split(text):
            draft.block("text", paragraph, number)
    return [draft.document(source, "application/pdf")]


def _pages(source: Source, settings: ReadSettings) -> list[str]:
    memory = settings.pdf_memory_mb * 1_000_000
    room = int(settings.max_text_mb * 1_000_000)
    command = [sys.executable, "-I", str(_WORKER), str(memory), str(room)]
    try:
        done = subprocess.run(  # noqa: S603  # our own file, no shell
            command,
            input=source.data,
            capture_output=True,
            timeout=settings.pdf_timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableDocument(
            f"{source.uri}: not read after {settings.pdf_timeout_s:g} seconds",
            hint="split it, or raise knowledge.read.pdf_timeout_s",
        ) from error
    if done.returncode:
        why, hint = _WHY.get(
            done.returncode,
            (
                f"its parser died (status {done.returncode})",
                "print it to a new PDF, or raise knowledge.read.pdf_memory_mb",
            ),
        )
        raise UnreadableDocument(f"{source.uri}: the PDF cannot be read: {why}", hint=hint)
    return [msgspec.json.decode(line, type=str) for line in done.stdout.splitlines()]
