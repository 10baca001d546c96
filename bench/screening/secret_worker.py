"""Others' detectors of secrets over texts, for secret.py: JSON lines of texts in, spans out.

Runs under a Python of its own that has detect-secrets or LLM Guard (secret.py says how), so that
neither gets into our dependencies. The first argument is the system:

- `detect-secrets`: every plugin with its defaults, over one file of all texts, as the command scans.
- `eager`: the same line by line (`scan_line`), where strings need no quotes; its entropy limits
  are applied, as its command does.
- `llm-guard`: what LLM Guard's `Secrets` does, a fork of detect-secrets with plugins and limits of
  its own over a file for each prompt; but its plugins are loaded once, not for each prompt.

The first line that goes out names the version, the last one the seconds of processor time it took. Public IP addresses,
which detect-secrets reports too, are left out: they are no secrets and count neither way.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from detect_secrets.core import scan  # type: ignore[import-not-found,unused-ignore]
from detect_secrets.settings import (  # type: ignore[import-not-found,unused-ignore]
    default_settings,
    get_plugins,
    transient_settings,
)

Spans = list[tuple[int, int]]


def from_one_file(texts: list[str]) -> list[Spans]:
    """All texts one after the other, and each alarm led back to its line."""
    lines, origins = _lines(texts)
    spans: list[Spans] = [[] for _ in texts]
    for each in _scanned("\n".join(lines) + "\n"):
        row = each.line_number - 1
        number, offset = origins[row]
        spans[number].append(_span(lines[row], each.secret_value, offset))
    return spans


def from_lines(texts: list[str]) -> list[Spans]:
    plugins = {each.secret_type: each for each in get_plugins()}
    lines, origins = _lines(texts)
    spans: list[Spans] = [[] for _ in texts]
    for line, (number, offset) in zip(lines, origins, strict=True):
        for each in _kept(scan.scan_line(line)):
            plugin = plugins[each.type]
            limit = getattr(plugin, "entropy_limit", None)
            if limit is None or plugin.calculate_shannon_entropy(each.secret_value) > limit:
                spans[number].append(_span(line, each.secret_value, offset))
    return spans


def from_files(texts: list[str]) -> list[Spans]:
    """Where a value stands is looked for as LLM Guard does before it hides it."""
    return [[_span(text, each.secret_value, 0) for each in _scanned(text)] for text in texts]


def _lines(texts: list[str]) -> tuple[list[str], list[tuple[int, int]]]:
    """The lines of all texts, and for each the number of its text and where it begins there."""
    lines: list[str] = []
    origins: list[tuple[int, int]] = []
    for number, text in enumerate(texts):
        at = 0
        for line in text.split("\n"):
            lines.append(line)
            origins.append((number, at))
            at += len(line) + 1
    return lines, origins


def _scanned(text: str) -> list[Any]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        return list(_kept(scan.scan_file(file.name)))


def _kept(secrets: Iterable[Any]) -> Iterator[Any]:
    return (each for each in secrets if each.secret_value and "IP" not in each.type)


def _span(text: str, value: str, offset: int) -> tuple[int, int]:
    start = text.find(value)
    if start < 0:
        start, value = 0, text
    return offset + start, offset + start + len(value)


def main() -> None:
    system = sys.argv[1]
    texts = [json.loads(line) for line in sys.stdin]
    if system == "llm-guard":
        from llm_guard.input_scanners import secrets  # type: ignore[import-not-found,unused-ignore]

        name = f"llm-guard {version('llm-guard')}"
        settings = transient_settings(secrets._default_detect_secrets_config)  # noqa: SLF001 - it has no other
        find = from_files
    else:
        name = f"detect-secrets {version('detect-secrets')}"
        settings = default_settings()
        find = from_lines if system == "eager" else from_one_file
    with settings:
        print(json.dumps(f"{name}, {len(get_plugins())} plugins"))
        find(texts[:1])
        began = time.process_time()
        spans = find(texts)
        took_s = time.process_time() - began
    for found in spans:
        print(json.dumps(found))
    print(json.dumps(took_s))


if __name__ == "__main__":
    main()
