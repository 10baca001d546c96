"""YAML that remembers where each value stood, so that errors can name file, line and field.

A file is parsed once into plain values plus a table of lines; `Node` is a view of one value in
it. `${NAME}` and `${file:PATH}` inside text are filled in here, at load; an unset one is an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec
import yaml

from headrace.config.explain import explain
from headrace.errors import ConfigError, did_you_mean

__all__ = ["Node", "load_yaml", "parse_yaml"]

T = TypeVar("T")
Path_: TypeAlias = tuple[str | int, ...]
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

MAX_VALUES = 100_000
"""Values in one file, aliases expanded: stops a file that doubles itself through anchors."""

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}\n]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class _File:
    """One parsed file."""

    name: str
    lines: dict[Path_, int] = field(default_factory=dict)
    filled: dict[Path_, str] = field(default_factory=dict)
    """Text as written, for values that were filled in: errors show this, never the secret."""


class Node:
    """One value of a YAML file, with its place."""

    __slots__ = ("_at", "_file", "value")

    def __init__(self, value: object, file: _File, at: Path_ = ()) -> None:
        self.value = value
        self._file = file
        self._at = at

    @property
    def file(self) -> str:
        """The file's path as the user would type it."""
        return self._file.name

    def line(self, *path: str | int) -> int:
        """The line (from 1) of the value at `path` below this one, or of its nearest parent."""
        at = self._at + path
        while at not in self._file.lines and at:
            at = at[:-1]
        return self._file.lines.get(at, 1)

    def child(self, *path: str | int) -> "Node":
        """The value below this one; the path must exist."""
        value = self.value
        for key in path:
            value = value[key]  # type: ignore[index]  # a wrong path is a programming error
        return Node(value, self._file, self._at + path)

    def without(self, *keys: str) -> "Node":
        """This mapping without some of its keys; places stay."""
        assert isinstance(self.value, dict)
        return Node({k: v for k, v in self.value.items() if k not in keys}, self._file, self._at)

    def empty(self) -> "Node":
        """An empty mapping in this place."""
        return Node({}, self._file, self._at)

    def field(self, *path: str | int) -> str:
        """The dotted name of a field, from the top of the file: `models.small.deployments[0]`."""
        text = ""
        for key in self._at + path:
            text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
        return text

    def error(self, message: str, *path: str | int, hint: str = "") -> ConfigError:
        """A ConfigError that starts with `file:line: field:`."""
        name = self.field(*path)
        where = f"{self.file}:{self.line(*path)}: " + (f"{name}: " if name else "")
        return ConfigError(where + message, hint=hint)

    def convert(self, kind: type[T]) -> T:
        """This value as `kind`.

        Raises:
            ConfigError: unknown field (with the nearest known one), wrong type or out of range.
        """
        try:
            return msgspec.convert(self.value, kind)
        except msgspec.ValidationError as error:
            reason = str(error)
        if any(at[: len(self._at)] == self._at for at in self._file.filled):
            # `port: ${PORT}` is text after filling in; let numbers be read from it.
            try:
                return msgspec.convert(_numbers_from(self.value, self._at, self._file), kind)
            except msgspec.ValidationError as error:
                reason = str(error)
        raise self._explained(reason, kind)

    def _explained(self, reason: str, kind: type[T]) -> ConfigError:
        problem = explain(reason, self.value, kind)
        raw = self._file.filled.get(self._at + problem.path)
        found = f"found {raw!r}" if raw is not None else problem.found
        hint = problem.hint
        if problem.unknown is not None:
            hint = did_you_mean(problem.unknown, problem.known, kind="fields")
        message = ", ".join(part for part in (problem.message, found) if part)
        return self.error(message, *problem.path, hint=hint)


def _numbers_from(value: object, at: Path_, file: _File) -> object:
    """The value with filled-in text turned into the number or truth value it spells."""
    if isinstance(value, dict):
        return {k: _numbers_from(v, (*at, k), file) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers_from(v, (*at, i), file) for i, v in enumerate(value)]
    if isinstance(value, str) and at in file.filled:
        plain = yaml.safe_load(value) if value.strip() else value
        return plain if isinstance(plain, bool | int | float) else value
    return value


def load_yaml(path: Path, environ: Mapping[str, str]) -> Node:
    """Read and fill in one file.

    Raises:
        ConfigError: unreadable, not UTF-8, not YAML, a key twice, an unset `${…}`.
    """
    shown = _shown(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{shown}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown}:{line}: byte {error.start} is not valid UTF-8", hint="save the file as UTF-8"
        ) from error
    return parse_yaml(text, shown, environ, root=path.parent)


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def parse_yaml(text: str, file: str, environ: Mapping[str, str], *, root: Path) -> Node:
    """The same for text that is already read; `root` is where `${file:…}` starts from."""
    parsed = _File(file)
    try:
        tree = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(
            f"{file}:{line}: this is not valid YAML: {error.problem or error.context}",
            hint="check indentation (spaces, never tabs), colons and quotes near this line",
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: this is not valid YAML: {error}") from None
    if tree is None:
        return Node({}, parsed)
    return Node(_Reader(parsed, environ, root).read(tree, ()), parsed)


class _Reader:
    """Turns YAML's node tree into plain values, noting lines and filling in references."""

    def __init__(self, file: _File, environ: Mapping[str, str], root: Path) -> None:
        self._file = file
        self._environ = environ
        self._root = root
        self._count = 0
        self._plain = yaml.constructor.SafeConstructor()

    def read(self, node: yaml.Node, at: Path_) -> Plain:
        self._count += 1
        line = node.start_mark.line + 1
        self._file.lines.setdefault(at, line)
        if self._count > MAX_VALUES or len(at) > 100:
            raise ConfigError(f"{self._file.name}:{line}: the file holds too many values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*at, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, at)

    def _mapping(self, node: yaml.MappingNode, at: Path_) -> Plain:
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            line = key_node.start_mark.line + 1
            if not isinstance(key, str) or key_node.tag == "tag:yaml.org,2002:merge":
                raise ConfigError(f"{self._file.name}:{line}: keys must be plain text")
            if key in found:
                first = self._file.lines[(*at, key)]
                raise ConfigError(
                    f"{self._file.name}:{line}: {key!r} stands here twice (first in line {first})",
                    hint="keep one of them",
                )
            self._file.lines[(*at, key)] = line
            found[key] = self.read(value_node, (*at, key))
        return found

    def _scalar(self, node: yaml.Node, at: Path_) -> Plain:
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.endswith(
            ("timestamp", "binary")
        ):
            # Dates and own tags mean nothing here; what was written is what is meant.
            return self._filled(str(node.value), at)
        value = self._plain.construct_object(node)
        if isinstance(value, str):
            return self._filled(value, at)
        if value is None or isinstance(value, bool | int | float):
            return value
        return str(node.value)

    def _filled(self, text: str, at: Path_) -> str:
        if "${" not in text:
            return text
        self._file.filled[at] = text
        return _REFERENCE.sub(lambda match: self._reference(match, at), text)

    def _reference(self, match: re.Match[str], at: Path_) -> str:
        inner = match[1]
        if inner is None:
            return "${"
        here = Node(None, self._file, at)
        if inner.startswith("file:"):
            path = self._root / inner.removeprefix("file:")
            try:
                return path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
                raise here.error(
                    f"{match[0]} cannot be read: {reason}", hint=f"create the file {inner[5:]!r}"
                ) from None
        if not _NAME.match(inner):
            raise here.error(
                f"{match[0]} is not a reference",
                hint="write ${NAME}, ${file:PATH}, or $${ for the characters themselves",
            )
        if inner not in self._environ:
            raise here.error(
                f"the environment variable {inner} is not set",
                hint=f"set it before starting: export {inner}=…",
            )
        return self._environ[inner]
