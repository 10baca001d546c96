"""One YAML file, read into plain values and the line of each."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from headrace.config.kind import Key
from headrace.config.reference import References
from headrace.config.scalar import IMPLICIT, scalar
from headrace.errors import ConfigError

__all__ = ["MAX_FILE_CHARS", "MAX_VALUES", "Document", "Place", "Plain", "read_document"]

Place: TypeAlias = tuple[Key, ...]
"""The way to a value from the top of the file."""
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

MAX_FILE_CHARS: Final = 4 * 1024 * 1024
"""Characters in one file, and in all its filled-in texts together."""
MAX_VALUES: Final = 100_000
"""Values in one file, aliases expanded: stops a file that doubles itself through anchors."""
MAX_DEPTH: Final = 100

_UNPRINTABLE = re.compile("[^\t\n\r\x85\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML (5.1) does not let stand in a file."""
_LINE_END = re.compile("\r\n|\r|\n")
_BARE_KEY = re.compile(r"[\w-]+\Z")


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file."""

    name: str
    """The file's path as the user would type it."""
    lines: dict[Place, int] = field(default_factory=dict)
    filled: dict[Place, str] = field(default_factory=dict)
    """Text as written, for values that were filled in: errors show this, never the secret."""
    is_empty: bool = False

    def line(self, at: Place) -> int:
        """The line (from 1) of the value there, or of its nearest parent."""
        while at not in self.lines and at:
            at = at[:-1]
        return self.lines.get(at, 1)

    def error(
        self, message: str, at: Place, *, line: int | None = None, hint: str = ""
    ) -> ConfigError:
        """A ConfigError that starts with `file:line: field:`."""
        field_name = dotted(at)
        where = f"{self.name}:{line or self.line(at)}: " + (f"{field_name}: " if field_name else "")
        return ConfigError(where + message, hint=hint)


def dotted(at: Place) -> str:
    """The name of a field from the top of the file: `models.small.deployments[0].port`."""
    text = ""
    for key in at:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if _BARE_KEY.match(key) else repr(key))
    return text


def read_document(
    text: str, name: str, environ: Mapping[str, str], root: Path
) -> tuple[Plain, Document]:
    """The file's values, references filled in, and the table of their places.

    Raises:
        ConfigError: not YAML, a key twice, too large, a reference that cannot be filled in.
    """
    text = text.removeprefix("\ufeff")
    line_ends = [match.end() for match in _LINE_END.finditer(text)]
    if len(text) > MAX_FILE_CHARS:
        raise ConfigError(f"{name}:1: the file holds more than {MAX_FILE_CHARS} characters")
    if (match := _UNPRINTABLE.search(text)) is not None:
        line = bisect_right(line_ends, match.start()) + 1
        raise ConfigError(
            f"{name}:{line}: the character U+{ord(match[0]):04X} cannot stand in YAML",
            hint="delete it; editors often do not show it",
        )
    tree = _compose(text, name, line_ends)
    document = Document(name, is_empty=tree is None)
    if tree is None:
        return {}, document
    reader = _Reader(document, References(environ, root), line_ends)
    return reader.read(tree, ()), document


def _compose(text: str, name: str, line_ends: list[int]) -> yaml.Node | None:
    """YAML's own tree, scalars untouched."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    loader.yaml_implicit_resolvers = IMPLICIT
    try:
        tree = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # At the end of the file the mark stands behind the last line.
        at = min(mark.index, max(len(text.rstrip()) - 1, 0)) if mark else 0
        line = bisect_right(line_ends, at) + 1
        said, hint = _mistake(error, _LINE_END.split(text)[line - 1])
        raise ConfigError(f"{name}:{line}: this is not valid YAML: {said}", hint=hint) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}:1: this is not valid YAML: {error}") from None
    finally:
        loader.dispose()
    assert tree is None or isinstance(tree, yaml.Node)
    return tree


def _mistake(error: yaml.MarkedYAMLError, line: str) -> tuple[str, str]:
    """What is wrong, and what to do; a tab is the mistake that YAML words worst."""
    said = error.problem or error.context or "it cannot be read"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab indents this line", "indent with spaces; YAML takes no tabs"
    if "expected a single document" in (error.context or ""):
        return "a second document begins here", "keep one document a file, without `---` between"
    return said, "check indentation, colons and quotes in this line and the one before"


class _Reader:
    """Turns YAML's tree into plain values, noting lines and filling in references."""

    def __init__(self, document: Document, references: References, line_ends: list[int]) -> None:
        self._document = document
        self._references = references
        self._line_ends = line_ends
        self._count = 0
        self._filled_chars = 0

    def read(self, node: yaml.Node, at: Place) -> Plain:
        self._count += 1
        self._document.lines.setdefault(at, self._line(node))
        if self._count > MAX_VALUES or len(at) > MAX_DEPTH:
            most = f"{MAX_VALUES} values, or {MAX_DEPTH} levels"
            # Named by line alone: the way to a value that deep is no help to anyone.
            raise ConfigError(
                f"{self._document.name}:{self._line(node)}: the file holds more than {most}",
                hint="an anchor (`&name`) that is used inside itself grows without end",
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*at, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, at)

    def _line(self, node: yaml.Node) -> int:
        # Not the mark's own line: YAML 1.1 counts U+2028 and others, which editors do not.
        return bisect_right(self._line_ends, node.start_mark.index) + 1

    def _mapping(self, node: yaml.MappingNode, at: Place) -> Plain:
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, self._line(key_node)
            if not isinstance(key, str):
                raise self._document.error("a key must be plain text", at, line=line)
            if key == "<<":
                raise self._document.error(
                    "merging (`<<`) is not supported", at, line=line, hint="write the fields out"
                )
            if key in found:
                first = self._document.lines[(*at, key)]
                raise self._document.error(
                    f"stands here a second time (first in line {first})",
                    (*at, key),
                    line=line,
                    hint="keep one of them",
                )
            self._document.lines[(*at, key)] = line
            found[key] = self.read(value_node, (*at, key))
        return found

    def _scalar(self, node: yaml.Node, at: Place) -> Plain:
        text = str(node.value)
        value = scalar(text, node.tag)
        if not isinstance(value, str):
            return value
        if "\0" in text:
            raise self._document.error("holds the character U+0000", at, hint="take it out")
        return self._filled(text, at) if "${" in text else text

    def _filled(self, text: str, at: Place) -> str:
        self._document.filled[at] = text

        def fail(message: str, hint: str) -> ConfigError:
            return self._document.error(message, at, hint=hint)

        value = self._references.fill(text, fail)
        self._filled_chars += len(value)
        if self._filled_chars > MAX_FILE_CHARS:
            raise fail(f"filled in, the file holds more than {MAX_FILE_CHARS} characters", "")
        return value
