"""A release from the files of a service's folder."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headrace import __version__
from headrace.config.reference import named_files
from headrace.config.watch import ServiceFiles
from headrace.releases.manifest import AdapterEntry, FileEntry, Manifest

__all__ = ["collect", "manifest_of"]


def collect(root: Path) -> tuple[dict[str, bytes], list[str]]:
    """The service's own files by path below its folder, and those that it names as `${file:…}`.

    What is named so is a secret or a text of the machine: it is never part of a release.
    """
    files: dict[str, bytes] = {}
    outside: set[str] = set()
    # A file may be named by way of another folder: prompts/../key.txt.
    plain_paths = (Path(os.path.normpath(each)) for each in ServiceFiles(root).paths())
    paths = [each for each in plain_paths if each.is_file()]
    for path in paths:
        if path.suffix == ".yaml":
            for named in named_files(path.read_text("utf-8", "replace"), path.parent):
                plain = Path(os.path.normpath(named))
                if plain.is_relative_to(root):
                    outside.add(plain.relative_to(root).as_posix())
    for path in paths:
        if path.is_relative_to(root):
            below = path.relative_to(root).as_posix()
            if below not in outside:
                files[below] = path.read_bytes()
    return files, sorted(outside)


def manifest_of(
    files: Mapping[str, bytes],
    outside: list[str],
    *,
    service: str,
    behaviour: str,
    models: dict[str, object],
    knowledge: str | None,
    adapters: Sequence[AdapterEntry] = (),
) -> Manifest:
    """The manifest of a service with these files.

    Args:
        behaviour, models, knowledge: as the compiled service says.
        adapters: those of the registry that its models name.
    """
    return Manifest(
        service=service,
        headrace=__version__,
        behaviour=behaviour,
        files=[
            FileEntry(path=path, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
            for path, data in sorted(files.items())
        ],
        outside=outside,
        models=models,
        knowledge=knowledge,
        adapters=list(adapters) or msgspec.UNSET,
    )
