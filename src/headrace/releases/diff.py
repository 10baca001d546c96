"""What differs between two releases: files line by line, models, knowledge, Headrace itself."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

from headrace.releases.blob import BlobStore
from headrace.releases.manifest import Manifest

__all__ = ["FileDiff", "ReleaseDiff", "diff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """One file that is not the same in both."""

    path: str
    what: str
    """`added`, `removed` or `changed`."""
    lines: list[str] = field(default_factory=list)
    """A unified diff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDiff:
    """See the module."""

    files: list[FileDiff]
    models: dict[str, str]
    """What became of each model that differs: `added`, `removed` or `changed`."""
    knowledge: tuple[str | None, str | None] | None
    """Versions before and after, where they differ."""
    headrace: tuple[str, str] | None
    same_behaviour: bool
    """Whether both answer alike, whatever the files look like."""


def diff(old: Manifest, new: Manifest, blobs: BlobStore) -> ReleaseDiff:
    """
    Raises:
        ReleaseInvalid: a file of either is gone or was altered.
    """
    return ReleaseDiff(
        files=list(_files(old, new, blobs)),
        models=dict(_models(old.models, new.models)),
        knowledge=None if old.knowledge == new.knowledge else (old.knowledge, new.knowledge),
        headrace=None if old.headrace == new.headrace else (old.headrace, new.headrace),
        same_behaviour=old.behaviour == new.behaviour,
    )


def _files(old: Manifest, new: Manifest, blobs: BlobStore) -> Iterator[FileDiff]:
    before = {each.path: each.sha256 for each in old.files}
    after = {each.path: each.sha256 for each in new.files}
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        what = "added" if was is None else "removed" if now is None else "changed"
        lines = difflib.unified_diff(
            [] if was is None else _lines(blobs.get(was)),
            [] if now is None else _lines(blobs.get(now)),
            f"{path} (before)",
            f"{path} (after)",
            lineterm="",
        )
        yield FileDiff(path=path, what=what, lines=list(lines))


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _models(old: dict[str, object], new: dict[str, object]) -> Iterator[tuple[str, str]]:
    for name in sorted({*old, *new}):
        if name not in old:
            yield name, "added"
        elif name not in new:
            yield name, "removed"
        elif old[name] != new[name]:
            yield name, "changed"
