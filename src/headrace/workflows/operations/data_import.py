"""`data.import`: files of rows into a dataset."""

import os
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.parse import Problem
from headrace.datasets.source import SourceFile, read_file
from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["DataImport"]


class DataImportSettings(Settings, frozen=True):
    """What to take in."""

    name: str
    """The dataset."""
    files: Annotated[list[str], Meta(min_length=1)]
    """JSONL, CSV or Parquet, below the service's folder or as `{{ inputs.NAME }}`."""
    skip_wrong: bool = False
    """Take the other rows although some cannot be used."""


class DataImport(Operation):
    """Adds the rows of files to a dataset, as a new version of it; known ones are left out."""

    Settings = DataImportSettings
    returns: ClassVar[tuple[str, ...]] = ("version", "digest", "rows", "added", "wrong")
    # A dataset may have changed meanwhile, and looking is nearly as dear as adding.
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, DataImportSettings)
        sources = [context.root / each for each in settings.files]
        wrong = 0
        first = ""
        for path in sources:
            for row in read_file(SourceFile(path)):
                if isinstance(row, Problem):
                    wrong += 1
                    first = first or str(row)
        if wrong and not settings.skip_wrong:
            raise DatasetInvalid(
                f"{wrong:,} rows cannot be used, so nothing was added; the first: {first}",
                hint="`headrace data check` lists them; `skip_wrong: true` takes the others",
            )
        database = context.database()
        vault = Vault.open(database, context.home, environ=os.environ)
        store = DatasetStore(database, vault, context.home)
        added = 0
        for path in sources:
            context.say(f"adding {path.name}")
            source = SourceFile(path)
            one = store.add(
                settings.name,
                read_file(source),
                what=path.name,
                digest=source.digest(),
                problems=lambda _: None,
            )
            added += one.rows
        version = store.get(settings.name)
        return {
            "version": version.reference,
            "digest": version.digest,
            "rows": version.rows,
            "added": added,
            "wrong": wrong,
        }
