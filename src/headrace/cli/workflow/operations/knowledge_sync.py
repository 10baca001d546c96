"""`knowledge.sync`: the index brought up to date with its sources."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from headrace.cli.knowledge import synced
from headrace.cli.place import Place
from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["KnowledgeSync", "KnowledgeSyncSettings"]


class KnowledgeSyncSettings(Settings, frozen=True):
    """How strict it is."""

    allow_unread: bool = False
    """Succeed although a source could not be read; the rest is indexed either way."""


class KnowledgeSync(Operation):
    """Reads what is new or changed in the knowledge base's sources, drops what is gone."""

    Settings = KnowledgeSyncSettings
    returns: ClassVar[tuple[str, ...]] = (
        "version", "changed", "added", "updated", "removed", "unread", "chunks",
    )  # fmt: skip
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, KnowledgeSyncSettings)
        report = synced(Place(context.root, context.home), [])
        if report.unread and not settings.allow_unread:
            first = report.unread[0]
            raise StepFailed(
                f"{len(report.unread)} sources could not be read; the first: {first.reason}",
                hint=first.hint or "`allow_unread: true` goes on without them",
            )
        return {
            "version": report.version,
            "changed": report.changed,
            "added": len(report.added),
            "updated": len(report.updated),
            "removed": len(report.removed),
            "unread": len(report.unread),
            "chunks": report.chunks,
        }
