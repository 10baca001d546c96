"""A version of a dataset: what it holds, and the name it goes by."""

import re
from dataclasses import dataclass
from typing import Self

import msgspec

from headrace.datasets.errors import UnknownDataset
from headrace.datasets.guarantee import Anonymity
from headrace.datasets.segment import Segment

__all__ = ["Manifest", "Origin", "Reference", "Version", "ledger_of"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One file, or other source, that rows were added from."""

    what: str
    """A path, or how they were made."""
    digest: str
    """SHA-256 of the file, in hex; empty for what is no file."""
    rows: int
    """Rows that it added: those that were there already do not count."""
    duplicates: int = 0
    refused: int = 0
    """Rows that were wrong and left out."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a version."""

    segments: list[Segment]
    origins: list[Origin]
    kinds: dict[str, int]
    """Rows by kind."""
    anonymity: Anonymity | None = None
    """What was reached when the version was made; None: nothing was asked for."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One state of a dataset; it never changes."""

    name: str
    number: int
    """From 1, for people."""
    digest: str
    """`sha256:` and the hash over the ids of all rows, in order: the same rows, the same digest."""
    rows: int
    manifest: Manifest
    created_at: float

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.number}"

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.manifest.segments)


@dataclass(frozen=True, slots=True)
class Reference:
    """`NAME` (its newest version), `NAME@3`, or `NAME@sha256:1f3c…` (any beginning of it)."""

    name: str
    number: int | None = None
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Raises:
            UnknownDataset: it cannot name a dataset.
        """
        name, _, version = text.partition("@")
        if not _NAME.fullmatch(name):
            raise UnknownDataset(
                f"{name!r} cannot be a dataset's name",
                hint="lower-case letters, digits, '.', '_' and '-', at most 64, such as support-en",
            )
        if not version:
            return cls(name)
        if version.isdigit():
            return cls(name, number=int(version))
        if re.fullmatch(r"sha256:[0-9a-f]{4,64}", version):
            return cls(name, digest=version)
        raise UnknownDataset(
            f"{version!r} is no version", hint=f"such as {name}@3 or {name}@sha256:1f3c"
        )


def ledger_of(version: Version) -> str:
    """The dataset whose privacy budget is spent by publishing of a version.

    One for all versions of a dataset, and for what was anonymised from it: the people are the same.
    """
    anonymity = version.manifest.anonymity
    return (anonymity.ledger if anonymity is not None else "") or version.name
