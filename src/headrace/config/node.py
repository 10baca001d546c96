"""A value of a YAML file with its place, so that errors can name file, line and field."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.config.document import MAX_FILE_CHARS, Document, Place, dotted, read_document
from headrace.config.explain import Problem, explain
from headrace.config.kind import Key, settled
from headrace.config.scalar import scalar
from headrace.errors import ConfigError, did_you_mean

__all__ = ["Node", "load_yaml", "parse_yaml", "shown_path"]

T = TypeVar("T")

_MAX_FILE_BYTES = 4 * MAX_FILE_CHARS
"""As many bytes as that many characters can have."""

_LEAST_REDACTED = 4
"""Filled-in values shorter than this are no secrets, and would blank out ordinary words."""


class Node:
    """One value of a YAML file, with its place."""

    __slots__ = ("_at", "_document", "value")

    def __init__(self, value: object, document: Document, at: Place = ()) -> None:
        self.value = value
        self._document = document
        self._at = at

    @property
    def file(self) -> str:
        """The file's path as the user would type it."""
        return self._document.name

    @property
    def is_empty_file(self) -> bool:
        """Whether the file holds nothing but comments."""
        return self._document.is_empty

    def line(self, *path: Key) -> int:
        """The line (from 1) of the value at `path` below this one, or of its nearest parent."""
        return self._document.line(self._at + path)

    def child(self, *path: Key) -> "Node":
        """The value below this one; the path must exist."""
        value = self.value
        for key in path:
            value = value[key]  # type: ignore[index]  # a wrong path is a programming error
        return Node(value, self._document, self._at + path)

    def without(self, *keys: str) -> "Node":
        """This mapping without some of its keys; places stay."""
        assert isinstance(self.value, dict)
        rest = {key: value for key, value in self.value.items() if key not in keys}
        return Node(rest, self._document, self._at)

    def only(self, *keys: str) -> "Node":
        """This mapping with these of its keys alone; places stay."""
        assert isinstance(self.value, dict)
        rest = {key: value for key, value in self.value.items() if key in keys}
        return Node(rest, self._document, self._at)

    def empty(self) -> "Node":
        """An empty mapping in this place."""
        return Node({}, self._document, self._at)

    def field(self, *path: Key) -> str:
        """The dotted name of a field, from the top of the file: `models.small.deployments[0]`."""
        return dotted(self._at + path)

    def error(self, message: str, *path: Key, hint: str = "") -> ConfigError:
        """A ConfigError that starts with `file:line: field:`."""
        return self._document.error(message, self._at + path, hint=hint)

    def written(self, *path: Key) -> str | None:
        """The text of a filled-in value as the file has it (`${API_KEY}`); None for others."""
        return self._document.filled.get(self._at + path)

    def convert(self, kind: type[T]) -> T:
        """This value as `kind`.

        Raises:
            ConfigError: unknown field (with the nearest known one), wrong type or out of range.
        """
        # `port: ${PORT}` is text after filling in; let numbers be read from it.
        value = settled(self.value, kind, self._number)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            problem = explain(value, kind)
        # Outside the handler: msgspec's own text may quote a secret, and tracebacks show causes.
        raise self._explained(problem)

    def _filled(self) -> list[tuple[Place, str]]:
        """The filled-in values below this one: where, and as written."""
        depth = len(self._at)
        filled = self._document.filled.items()
        return [(at[depth:], raw) for at, raw in filled if at[:depth] == self._at]

    def _number(self, path: Place, text: str) -> object:
        """The number or truth value that a filled-in text spells; other text as it is."""
        if self.written(*path) is None:
            return text
        value = scalar(text.strip())
        return text if value is None else value

    def _explained(self, problem: Problem) -> ConfigError:
        written = self.written(*problem.path)
        message, hint = problem.message, problem.hint
        if problem.wrong is not None:
            message += f", found {problem.wrong if written is None else repr(written)}"
            value = _value_at(self.value, problem.path)
            if problem.names and isinstance(value, str) and written is None:
                hint = did_you_mean(value, problem.names, kind="values")
        return self.error(self._redacted(message), *problem.path, hint=hint)

    def _redacted(self, message: str) -> str:
        """The message with filled-in values as they are written in the file."""
        for path, raw in self._filled():
            value = _value_at(self.value, path)
            if isinstance(value, str) and len(value) >= _LEAST_REDACTED:
                message = message.replace(value, raw)
        return message


def _value_at(value: object, path: Place) -> object:
    for key in path:
        if (isinstance(value, dict) and key in value) or (
            isinstance(value, list) and isinstance(key, int) and key < len(value)
        ):
            value = value[key]  # type: ignore[index]  # checked in the line above
        else:
            return None
    return value


def load_yaml(path: Path, environ: Mapping[str, str]) -> Node:
    """Read and fill in one file.

    Raises:
        ConfigError: unreadable, not UTF-8, not YAML, a key twice, an unset `${…}`.
    """
    shown = shown_path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{shown}:1: cannot be read: {error.strerror}",
            hint="check the path and its permissions",
        ) from error
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(f"{shown}:1: the file holds more than {MAX_FILE_CHARS} characters")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown}:{line}: byte {error.start} is not valid UTF-8", hint="save the file as UTF-8"
        ) from error
    return parse_yaml(text, shown, environ, root=path.parent)


def parse_yaml(text: str, file: str, environ: Mapping[str, str], *, root: Path) -> Node:
    """The same for text that is already read; `root` is where `${file:…}` starts from."""
    value, document = read_document(text, file, environ, root)
    return Node(value, document)


def shown_path(path: Path) -> str:
    """A path as the user would type it: relative to where they are, if it is below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)
