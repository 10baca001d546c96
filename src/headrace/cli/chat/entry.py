"""Typing a question: editing and history by readline, more than one line when asked for.

A line that ends with a backslash goes on in the next one; three double quotes begin and end a
block; pasted text stays one question, line breaks and all (readline's bracketed paste).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["history_kept", "read_question"]

FENCE = '"""'
PROMPT = "> "
CONTINUED = ". "


def read_question() -> str:
    """The next question, which may be empty.

    Raises:
        EOFError: Ctrl-D.
        KeyboardInterrupt: Ctrl-C; what was typed is dropped.
    """
    line = _read(PROMPT)
    if line.strip().startswith(FENCE):
        return _block(line.strip().removeprefix(FENCE))
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(_read(CONTINUED))
    return "\n".join(lines).strip()


def _block(line: str) -> str:
    lines: list[str] = []
    while not line.rstrip().endswith(FENCE):
        lines.append(line)
        line = _read(CONTINUED)
    lines.append(line.rstrip().removesuffix(FENCE))
    return "\n".join(lines).strip("\n")


def _read(prompt: str) -> str:
    # Bytes that are no UTF-8 come as surrogates, which no service would take.
    return input(prompt).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextmanager
def history_kept(path: Path | None) -> Iterator[None]:
    """Arrow keys go through what was typed; only with a `path` does it outlive the program."""
    try:
        import readline
    except ImportError:  # a Python built without it: typing works, editing does not
        yield
        return
    if path is None:
        yield
        return
    with suppress(FileNotFoundError):
        readline.read_history_file(path)
    # Made first, so that what was typed is never readable by others.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        yield
    finally:
        readline.write_history_file(path)
