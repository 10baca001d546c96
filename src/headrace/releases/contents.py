"""What is in a bundle: each of its files by checksum, signed, and looked at before anything is taken.

    contents.json       the list, canonical JSON
    contents.sig        signature of these bytes, by the key in release.pub

Not checked are files beside those that are taken out of a bundle, such as what `start` leaves there.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Self

import msgspec

from headrace.releases.errors import BundleFailed, ReleaseInvalid
from headrace.releases.lock import sha256_of
from headrace.releases.manifest import FileEntry
from headrace.releases.signer import PUBLIC_FILE, Signer

__all__ = ["TAKEN", "Contents"]

_FORMAT = "headrace bundle 1"
_LIST, _SIGNATURE = "contents.json", "contents.sig"
TAKEN = ("release", "weights", "knowledge")
"""The folders whose files are put in place: one that the list does not name is refused."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The list. It names the release, so that the files of one are not taken for another's."""

    format: str = _FORMAT
    release: str
    """Digest of its manifest."""
    files: list[FileEntry]
    """By path below the bundle."""

    @classmethod
    def write(cls, folder: Path, release: str, signer: Signer) -> None:
        """List the folder as it is now, and sign the list.

        Raises:
            ReleaseInvalid: this home's key cannot be used.
        """
        (folder / PUBLIC_FILE).write_bytes(signer.public())
        files = [
            FileEntry(
                path=each, sha256=sha256_of(folder / each), bytes=(folder / each).stat().st_size
            )
            for each in sorted(_files(folder))
        ]
        data = msgspec.json.encode(cls(release=release, files=files), order="sorted")
        (folder / _LIST).write_bytes(data)
        (folder / _SIGNATURE).write_bytes(signer.sign(data))

    @classmethod
    def read(cls, folder: Path, signer: Signer, *, also: bytes = b"") -> Self:
        """The list of a bundle, once every file in it is known to be the one that was signed.

        Args:
            also: a public key (PEM) that is trusted as well.

        Raises:
            ReleaseInvalid: nobody who is trusted has signed the list.
            BundleFailed: a file is missing, altered, or not in the list.
        """
        try:
            data = (folder / _LIST).read_bytes()
            signature = (folder / _SIGNATURE).read_bytes()
        except OSError as error:
            raise BundleFailed(
                f"{error.filename}: {error.strerror}: nothing says what is in the bundle",
                hint="`headrace release bundle` of this version writes a bundle that says it",
            ) from error
        if not signer.is_trusted(data, signature, also=also):
            raise ReleaseInvalid(
                f"{folder} was signed by nobody who is trusted here",
                hint=f"--trust trusts the key in it; or put the builder's {PUBLIC_FILE} into "
                ".headrace/trusted-releases/",
            )
        try:
            found = msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise BundleFailed(f"{folder / _LIST}: {error}") from error
        if found.format != _FORMAT:
            raise BundleFailed(f"{folder}: {found.format!r} is of another version of Headrace")
        _check(found, folder)
        return found

    def below(self, top: str) -> list[FileEntry]:
        """The files of one folder, by their path below it."""
        prefix = f"{top}/"
        return [
            msgspec.structs.replace(each, path=each.path.removeprefix(prefix))
            for each in self.files
            if each.path.startswith(prefix)
        ]


def _check(contents: Contents, folder: Path) -> None:
    """
    Raises:
        BundleFailed: see `Contents.read`.
    """
    listed = {each.path for each in contents.files}
    for each in contents.files:
        if ".." in PurePosixPath(each.path).parts or each.path.startswith("/"):
            raise BundleFailed(f"the bundle has a file outside of its folder: {each.path!r}")
        path = folder / each.path
        if not path.is_file() or sha256_of(path) != each.sha256:
            raise BundleFailed(f"{path} was altered, or is missing", hint="copy the bundle again")
    for top in TAKEN:
        for name in _files(folder / top):
            if f"{top}/{name}" not in listed:
                raise BundleFailed(
                    f"{folder / top / name} is not a file of the bundle",
                    hint="copy the bundle again, into a new folder",
                )


def _files(folder: Path) -> Iterator[str]:
    """Every file below, and every link to a folder, which is listed by nobody."""
    for here, folders, files in os.walk(folder):
        links = [each for each in folders if Path(here, each).is_symlink()]
        for name in (*links, *files):
            yield Path(here, name).relative_to(folder).as_posix()
