"""`${NAME}` and `${file:PATH}` inside text: filled in from the environment and from files."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeAlias

from headrace.errors import ConfigError

__all__ = ["MAX_FILE_BYTES", "REFERENCE", "References", "named_files"]

MAX_FILE_BYTES: Final = 1024 * 1024
"""A larger `${file:…}` is surely not a secret or a text for a setting."""

REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^{}\n]*)\}")
"""`$${` (group 1 is None) stands for the characters `${` themselves."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FILE: Final = "file:"

Fail: TypeAlias = Callable[[str, str], ConfigError]
"""Makes the error for a message and a hint, at the place of the text."""


class References:
    """Where references are looked up."""

    def __init__(self, environ: Mapping[str, str], root: Path) -> None:
        self._environ = environ
        self._root = root
        """The folder that `${file:…}` starts from."""

    def fill(self, text: str, fail: Fail) -> str:
        """The text with every reference replaced; what comes in is not looked through again."""
        return REFERENCE.sub(lambda match: self._one(match, fail), text)

    def _one(self, match: re.Match[str], fail: Fail) -> str:
        inner = match[1]
        if inner is None:
            return "${"
        if inner.startswith(_FILE):
            value = self._read(inner.removeprefix(_FILE), match[0], fail)
        elif _NAME.match(inner):
            value = self._variable(inner, fail)
        else:
            raise fail(
                f"{match[0]} is not a reference",
                "write ${NAME}, ${file:PATH}, or $${ for the characters themselves",
            )
        return value

    def _variable(self, name: str, fail: Fail) -> str:
        value = self._environ.get(name)
        if value is None:
            near = get_close_matches(name, self._environ, n=1, cutoff=0.8)
            asked = f"did you mean ${{{near[0]}}}? Otherwise " if near else ""
            raise fail(
                f"the environment variable {name} is not set",
                f"{asked}set it before starting: export {name}=…",
            )
        if not value:
            raise fail(
                f"the environment variable {name} is set, but empty",
                f"give it a value (export {name}=…), or take the setting out",
            )
        if not _is_text(value):
            raise fail(f"the environment variable {name} is not UTF-8 text", "set it anew")
        return value

    def _read(self, name: str, reference: str, fail: Fail) -> str:
        path = self._root / name
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise fail(f"{reference} cannot be read: {error.strerror}", _mend(path)) from None
        if len(data) > MAX_FILE_BYTES:
            raise fail(f"{reference} is larger than {MAX_FILE_BYTES} bytes", "name a smaller file")
        try:
            text = data.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise fail(f"{reference} is not UTF-8 text", "save it as UTF-8") from None
        if not text or "\0" in text:
            raise fail(f"{reference} {'is not text' if text else 'is empty'}", f"write {path} anew")
        return text


def _mend(path: Path) -> str:
    """What to do about a file that cannot be read: the nearest name beside it, or make it."""
    try:
        beside = [each.name for each in path.parent.iterdir()]
    except OSError:
        beside = []
    near = [] if path.name in beside else get_close_matches(path.name, beside, n=1)
    return f"did you mean {near[0]!r}?" if near else f"is {path} there, and readable?"


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: not so for bytes that the system could not decode."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def named_files(text: str, root: Path) -> list[Path]:
    """The files that a YAML text refers to. Comments count too: one file more does no harm."""
    inner = (match[1] for match in REFERENCE.finditer(text))
    names = {each.removeprefix(_FILE) for each in inner if each and each.startswith(_FILE)}
    return sorted(root / name for name in names if "\0" not in name)
