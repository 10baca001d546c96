"""`release.build`: a release of the files in a folder."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from headrace.cli.place import Place
from headrace.cli.release.build import built
from headrace.releases.store import ReleaseStore
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["ReleaseBuild"]


class ReleaseBuildSettings(Settings, frozen=True):
    """Of what."""

    folder: str = ""
    """A service's folder, such as `{{ inputs.folder }}`; empty: this one."""
    note: str = ""
    """What it is, for people."""


class ReleaseBuild(Operation):
    """Makes a release of everything that decides what is answered; the same files give the same."""

    Settings = ReleaseBuildSettings
    returns: ClassVar[tuple[str, ...]] = ("name", "digest", "behaviour", "is_new")
    # Its own content decides: looking costs as much as building.
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, ReleaseBuildSettings)
        root = context.root / settings.folder if settings.folder else context.root
        releases = ReleaseStore(context.database(), context.home)
        release, is_new = built(Place(root, context.home), releases, settings.note)
        return {
            "name": release.name,
            "digest": release.digest,
            "behaviour": release.manifest.behaviour,
            "is_new": is_new,
        }
