"""PDF: the text of each page with its number, read by pdfium in a process of its own.

Headings, tables and columns are not told apart from text; scanned pages have no text.
"""

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read"]

_WORKER = Path(__file__).with_name("pdf_worker.py")
_BLANK = re.compile(r"\n[ \t]*+\n")
_NAMED = 20
_WHY = {
    3: ("it is protected by a password", "save a copy without the password"),
    4: ("it is broken", "open it in a viewer and print it to a new PDF"),
    5: ("it holds more text than allowed", "split it, or raise knowledge.read.max_text_mb"),
    6: ("it has more pages than allowed", "split it, or raise knowledge.read.max_pages"),
}
_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name in ("LD_LIBRARY_PATH", "PATH")
}
"""The keys and passwords of the service are none of a parser's business."""


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document, a block a paragraph, each with its page.

    Metadata `pages_unread` names pages that the parser could not read, and `pages_without_text`
    says how many have none, as scanned ones do.
    """
    draft = Draft(source.uri)
    unread, blank = [], 0
    for number, page in enumerate(_pages(source, settings), 1):
        if page is None:
            unread.append(str(number))
            continue
        text = page.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
        blank += not text.strip()
        for paragraph in _BLANK.split(text):
            draft.block("text", paragraph, number)
    if unread:
        named = ", ".join(unread[:_NAMED])
        draft.metadata["pages_unread"] = f"{named}…" if len(unread) > _NAMED else named
    if blank:
        draft.metadata["pages_without_text"] = str(blank)
    return [draft.document(source, "application/pdf")]


def _pages(source: Source, settings: ReadSettings) -> Iterator[str | None]:
    # Into a file, because what a parser that was taken over writes must not fill our memory.
    with tempfile.TemporaryFile() as written:
        _run(source, settings, written)
        written.seek(0)
        for line in written:
            yield msgspec.json.decode(line, type=str | None)


def _run(source: Source, settings: ReadSettings, written: IO[bytes]) -> None:
    limits = (
        settings.pdf_memory_mb * 1_000_000,
        int(settings.max_text_mb * 1_000_000),
        settings.max_pages,
        math.ceil(settings.pdf_timeout_s),
    )
    command = [sys.executable, "-I", str(_WORKER), *map(str, limits)]
    try:
        done = subprocess.run(  # noqa: S603  # our own file, no shell
            command,
            input=source.data,
            stdout=written,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
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
                f"its parser died ({_status(done.returncode)})",
                "print it to a new PDF, or raise knowledge.read.pdf_memory_mb",
            ),
        )
        raise UnreadableDocument(f"{source.uri}: the PDF cannot be read: {why}", hint=hint)


def _status(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"status {code}"
