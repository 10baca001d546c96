"""Where the commands work: the folder's templates, their versions, and a pipeline to try them in.

A trial gets a home of its own, thrown away afterwards: it works beside a running service, and what
it asks stands in no trace, conversation, limit or cache of that service. Weights are shared.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.access.principal import Principal
from headrace.cli.place import Place, open_database
from headrace.models.progress import Progress
from headrace.prompts.errors import UnknownVersion
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate
from headrace.server.state import DATABASE_FILE

if TYPE_CHECKING:
    from headrace.pipeline.service import Platform
    from headrace.prompts.store import PromptStore

__all__ = ["LOCAL", "Desk"]

LOCAL = Principal("local", "local", "admin")
"""Whoever may read the folder."""
_SHARED = ("models", "adapters", "knowledge")
"""Folders and files of the home that a trial uses too; by how their names begin."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The folder's templates, and its kept versions if there are any yet."""

    place: Place
    library: PromptLibrary
    store: "PromptStore | None"

    @classmethod
    @contextmanager
    def open(cls, *, keep: bool = False) -> Iterator["Desk"]:
        """The folder that the command is called in.

        Args:
            keep: note versions that are new; else nothing is written.

        Raises:
            ConfigError: a template is wrong.
        """
        place = Place.here()
        library = PromptLibrary.load(place.root, os.environ)
        if not keep and not place.has_state:
            yield cls(place, library, None)
            return
        from headrace.prompts.store import PromptStore

        with place.new_database() if keep else place.database() as database:
            store = PromptStore(database, audit=place.audit(database))
            if keep:
                store.keep(library.templates())
            yield cls(place, library, store)

    def template(self, reference: str) -> PromptTemplate:
        """The template that `NAME`, `builtin/NAME` or `NAME@VERSION` names.

        Raises:
            NotFound, UnknownVersion: there is none.
        """
        if self.store is not None:
            return self.store.resolve(reference, self.library)
        name, _, version = reference.partition("@")
        found = self.library.get(name)
        if version and not found.digest.removeprefix("sha256:").startswith(version):
            raise UnknownVersion(
                f"no version of {name!r} is kept here yet",
                hint="versions are kept when the service runs, and by `headrace prompts test`",
            )
        return found

    @asynccontextmanager
    async def platform(self, progress: Progress | None) -> AsyncIterator["Platform"]:
        """The folder's service in a home of its own, which is thrown away.

        Raises:
            HeadraceError: the service cannot be loaded.
        """
        from headrace.prompts.store import PromptStore
        from headrace.server.boot import open_platform

        with tempfile.TemporaryDirectory(prefix="headrace-trial-") as folder:
            home = Path(folder) / "home"
            home.mkdir(mode=0o700)
            real = self.place.made().home
            (real / "models").mkdir(exist_ok=True)
            for entry in real.iterdir():
                if entry.name.startswith(_SHARED):
                    (home / entry.name).symlink_to(entry.resolve())
            if self.store is not None:
                with open_database(home / DATABASE_FILE) as database:
                    PromptStore(database).copy_from(self.store)
            environ = {**os.environ, "HEADRACE_HOME": str(home)}
            async with open_platform(
                self.place.root, environ, progress=progress, trial=True
            ) as platform:
                yield platform
