"""Few-shot examples from a dataset: JSONL, one row a line.

A row is `{"prompt", "completion"}`, or `{"messages": [user, assistant]}`, as fine-tuning takes
them; `reasoning` and `language` may stand beside. Other fields (where a row comes from, say) are
passed over. A row of several exchanges is refused: an example is one.
"""

from pathlib import Path
from typing import Final

import msgspec

from headrace.config.node import Node, shown_path
from headrace.errors import ConfigError, did_you_mean
from headrace.prompts.file import ExampleEntry

__all__ = ["read_examples"]

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_ROWS: Final = 2_000
"""Examples are chosen from these; a dataset to train on belongs elsewhere."""


class _Said(msgspec.Struct):
    role: str
    content: str


class _Row(msgspec.Struct):
    prompt: str | None = None
    completion: str | None = None
    messages: list[_Said] | None = None
    reasoning: str = ""
    language: str | None = None


_decode = msgspec.json.Decoder(_Row).decode


def read_examples(node: Node, root: Path) -> list[ExampleEntry]:
    """The examples in the file that `node` names, below `root`.

    Raises:
        ConfigError: there is no such file, it lies outside, or a row is wrong: with its line.
    """
    name = node.convert(str)
    path = root / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(root.resolve()):
        raise node.error(
            f"{name!r} lies outside the service's folder",
            hint="name a file below it, such as data/support.jsonl",
        )
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise node.error(f"{name} cannot be read: {error.strerror}", hint=_beside(path)) from None
    if len(data) > MAX_BYTES:
        raise node.error(f"{name} is larger than {MAX_BYTES} bytes", hint="name a smaller file")
    shown = shown_path(path)
    found = [
        _entry(shown, number, line)
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
        if line.strip()
    ]
    if not found:
        raise node.error(f"{name} has no rows", hint='write `{"prompt": "…", "completion": "…"}`')
    if len(found) > MAX_ROWS:
        raise node.error(f"{name} has {len(found)} rows; at most {MAX_ROWS}")
    return found


def _beside(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return "name a file below the service's folder, such as data/support.jsonl"
    return did_you_mean(path.name, names, kind="files there")


def _entry(file: str, number: int, line: bytes) -> ExampleEntry:
    def wrong(message: str, hint: str = "") -> ConfigError:
        return ConfigError(f"{file}:{number}: {message}", hint=hint)

    try:
        row = _decode(line)
    except UnicodeDecodeError:
        raise wrong("not UTF-8", "save the file as UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        what = (
            "a row of the wrong form" if isinstance(error, msgspec.ValidationError) else "no JSON"
        )
        raise wrong(f"{what}: {error}", "one JSON object a line, without line breaks") from None
    prompt, completion = row.prompt, row.completion
    if row.messages is not None:
        said = [each for each in row.messages if each.role not in ("system", "developer")]
        if [each.role for each in said] != ["user", "assistant"]:
            raise wrong(
                "an example is one message of the user and its answer",
                "leave longer conversations out, or cut them in pieces",
            )
        prompt, completion = said[0].content, said[1].content
    if not (prompt or "").strip() or not (completion or "").strip():
        raise wrong("a row has a `prompt` and a `completion`, or `messages`, and neither is empty")
    assert prompt is not None
    assert completion is not None
    return ExampleEntry(
        user=prompt, assistant=completion, reasoning=row.reasoning, language=row.language
    )
