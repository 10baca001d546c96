"""`headrace release build`: the folder's files as they are now, compiled, signed and kept."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place, open_database
from headrace.cli.progress import FetchProgress
from headrace.cli.release.place import described, new_store
from headrace.cli.terminal import print_json
from headrace.errors import ConfigError
from headrace.releases.adapter import adapters_of
from headrace.releases.build import collect, manifest_of
from headrace.releases.manifest import AdapterEntry
from headrace.releases.store import Release, ReleaseStore
from headrace.server.state import DATABASE_FILE

__all__ = ["build", "built"]

_SHARED = ("models", "adapters", "knowledge", "master.key")
"""What of the real home decides what is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """What the folder's files come to."""

    name: str
    behaviour: str
    models: dict[str, object]
    knowledge: str | None
    adapters: list[AdapterEntry]


@click.command(cls=Command)
@click.option("--note", default="", metavar="TEXT", help="What it is, for people.")
@json_option
def build(note: str, as_json: bool) -> None:
    """Make a release of the files in this folder: everything that decides what is answered.

    The same files give the same release, whoever builds it. Files named as ${file:…} are secrets
    of this machine and stay out.
    """
    place = Place.here().made()
    with new_store() as (_, releases):
        release, is_new = built(place, releases, note)
        if as_json:
            print_json({**described(release, releases), "new": is_new})
            return
    known = "" if is_new else " (known already)"
    count = len(release.manifest.files)
    click.echo(f"{release.name}{known}: {count} files, {release.digest}")
    click.echo(f"answers will carry {release.manifest.behaviour}", err=True)


def built(place: Place, releases: ReleaseStore, note: str) -> tuple[Release, bool]:
    """A release of the files in the place's folder, kept; and whether it is new.

    Raises:
        ConfigError: there is no service in the folder, or one that is wrong.
    """
    files, outside = collect(place.root)
    if "headrace.yaml" not in files:
        raise ConfigError(
            f"{place.root}: there is no headrace.yaml to release",
            hint="`headrace init` writes one",
        )
    compiled = _compiled(place)
    manifest = manifest_of(
        files,
        outside,
        service=compiled.name,
        behaviour=compiled.behaviour,
        models=compiled.models,
        knowledge=compiled.knowledge,
        adapters=compiled.adapters,
    )
    return releases.add(manifest, files, note=note)


def _compiled(place: Place) -> _Compiled:
    """Compile the folder's files in this process; nothing is listened to."""
    with FetchProgress() as progress:
        return asyncio.run(_compile(place, progress))


async def _compile(place: Place, progress: FetchProgress) -> _Compiled:
    """In a home of its own: a service may run on the real one, and may serve something else."""
    from headrace.prompts.store import PromptStore
    from headrace.server.boot import open_platform

    with tempfile.TemporaryDirectory(prefix="headrace-build-") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (place.home / "models").mkdir(exist_ok=True)
        for entry in place.home.iterdir():
            if entry.name.startswith(_SHARED):
                (home / entry.name).symlink_to(entry.resolve())
        with place.new_database() as real, open_database(home / DATABASE_FILE) as database:
            PromptStore(database).copy_from(PromptStore(real))
        environ = {**os.environ, "HEADRACE_HOME": str(home)}
        async with open_platform(
            place.root, environ, progress=progress.report, trial=True
        ) as platform:
            service = platform.service
            return _Compiled(
                name=service.config.name,
                behaviour=service.release,
                models=service.models.digests(),
                knowledge=None if service.knowledge is None else service.knowledge.version,
                adapters=adapters_of(service.config.models.values(), place.home),
            )
