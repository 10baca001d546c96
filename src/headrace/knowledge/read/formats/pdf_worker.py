"""The process that reads one PDF: bytes in, a JSON line a page out.

Run by pdf.py with `python pdf_worker.py MEMORY_BYTES MAX_CHARS MAX_PAGES SECONDS`; it imports
nothing of ours, and may be killed by a limit or by a fault of the native parser at any time. The
limits are the kernel's, so they hold for the parser too.
"""

import json
import resource
import sys

BYTES_PER_CHAR = 4
BYTES_PER_PAGE = 16


def limit(memory: int, room: int, pages: int, seconds: int) -> None:
    """Memory, written bytes and processor time; no core files, few open ones."""
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, room * BYTES_PER_CHAR + pages * BYTES_PER_PAGE),
        # Ends it even when whoever waits for it is gone.
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        ceiling = resource.getrlimit(kind)[1]
        allowed = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(kind, (allowed, allowed))


def main() -> int:
    """Exit status 0: all pages; 3: password; 4: broken; 5: too much text; 6: too many pages."""
    memory, room, pages, seconds = map(int, sys.argv[1:])
    data = sys.stdin.buffer.read()
    import pypdfium2 as pdfium

    limit(memory, room, pages, seconds)
    try:
        pdf = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        return 3 if "assword" in str(error) else 4
    if len(pdf) > pages:
        return 6
    write = sys.stdout.buffer.write
    for number in range(len(pdf)):
        text = page_text(pdf, number)
        room -= len(text or "")
        if room < 0:
            return 5
        # As a page of its own would not survive it, half a surrogate pair is replaced.
        line = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
        write(line + b"\n")
    sys.stdout.buffer.flush()
    return 0


def page_text(pdf: object, number: int) -> str | None:
    """The text of a page, None where it cannot be read; its memory is given back at once."""
    import pypdfium2 as pdfium

    assert isinstance(pdf, pdfium.PdfDocument)
    try:
        page = pdf[number]
        try:
            words = page.get_textpage()
            try:
                return str(words.get_text_range())
            finally:
                words.close()
        finally:
            page.close()
    except pdfium.PdfiumError:
        return None


if __name__ == "__main__":
    sys.exit(main())
