"""Cases that a template is measured on: its own tests, or a JSONL file with one a line.

A row is a test (`user`, `expect`, `variables`, `history`, `language`, `name`), or a question with its
answer, as `{"prompt", "completion"}`, as evaluation suites have it (`{"input", "target"}`), or
`{"user", "answer"}`; then the answer is expected, but for case, space and a full stop. An answer also
makes a row fit to be an example. Other fields are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from headrace.config.node import shown_path
from headrace.errors import ConfigError
from headrace.prompts.file import Expectation, PromptTest, VariableValue

__all__ = ["Labelled", "labelled_tests", "read_labelled"]

MAX_ROWS: Final = 5_000
MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Labelled:
    """One case, and the answer that it should get if that is known to the letter."""

    test: PromptTest
    answer: str | None = None


class _Row(msgspec.Struct, kw_only=True):
    user: str | None = None
    prompt: str | None = None
    input: str | None = None
    answer: str | None = None
    completion: str | None = None
    target: str | float | None = None
    expect: Expectation | None = None
    variables: dict[str, VariableValue] = {}
    history: list[str] = []
    language: str | None = None
    name: str = ""


_decode = msgspec.json.Decoder(_Row).decode


def labelled_tests(tests: Sequence[PromptTest]) -> list[Labelled]:
    """A template's own tests; one that expects an exact answer knows it."""
    return [Labelled(each, each.expect.equals) for each in tests]


def read_labelled(path: Path) -> list[Labelled]:
    """The cases of a file.

    Raises:
        ConfigError: it cannot be read, or a row is wrong: with its line.
    """
    shown = shown_path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{shown} cannot be read: {error.strerror}",
            hint="name a JSONL file with one case a line, or `tests`",
        ) from None
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if len(data) > MAX_BYTES or len(lines) > MAX_ROWS + 1:
        raise ConfigError(f"{shown} has more than {MAX_ROWS} rows or {MAX_BYTES} bytes")
    return [_case(f"{shown}:{at}", line) for at, line in enumerate(lines, 1) if line.strip()]


def _case(where: str, line: bytes) -> Labelled:
    try:
        row = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}", hint="one JSON object a line") from None
    user = next((each for each in (row.user, row.prompt, row.input) if each is not None), "")
    known = (row.answer, row.completion, row.target)
    answer = next((_text(each) for each in known if each is not None), None)
    if not user.strip():
        raise ConfigError(f"{where}: the row asks nothing", hint="write `user` or `prompt`")
    if answer is None and row.expect is not None:
        answer = row.expect.equals
    if row.expect is None and not (answer or "").strip():
        raise ConfigError(
            f"{where}: the row expects nothing", hint='write `"expect": {…}` or `"completion"`'
        )
    if len(row.history) % 2:
        raise ConfigError(f"{where}: `history` comes in pairs: the user's, the assistant's")
    test = PromptTest(
        user=user,
        name=row.name,
        variables=row.variables,
        history=row.history,
        language=row.language,
        expect=row.expect or Expectation(equals=answer),
    )
    return Labelled(test, answer)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
