"""The process that reads one PDF: bytes in, a JSON line a page out.

Run by pdf.py with `python pdf_worker.py MEMORY_BYTES MAX_CHARS`; it imports nothing of ours, and
may be killed by a limit or by a fault of the native parser at any time.
"""

import json
import resource
import sys


def main() -> int:
    """Exit status 0: all pages; 3: password; 4: broken; 5: more text than allowed."""
    memory, room = int(sys.argv[1]), int(sys.argv[2])
    data = sys.stdin.buffer.read()
    import pypdfium2 as pdfium

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        pdf = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        sys.stderr.write(str(error))
        return 3 if "assword" in str(error) else 4
    for number in range(len(pdf)):
        try:
            page = pdf[number]
            text = page.get_textpage().get_text_range()
        except pdfium.PdfiumError:
            text = ""
        room -= len(text)
        if room < 0:
            return 5
        sys.stdout.write(json.dumps(text) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
