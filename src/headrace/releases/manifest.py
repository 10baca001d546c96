"""The manifest of a release: everything that changes behaviour, by content.

It holds no time, machine or author, so the same service gives the same manifest, byte for byte,
and the same digest, wherever it is built.
"""

import hashlib

import msgspec

__all__ = ["FORMAT", "AdapterEntry", "FileEntry", "Manifest"]

FORMAT = "headrace release 1"


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the service's folder."""

    path: str
    """Below the folder, with `/`."""
    sha256: str
    bytes: int


class AdapterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter of the registry."""

    digest: str
    """As models name it: `sha256:…`."""
    name: str
    base: str
    base_sha256: str
    """Of the weights that it was trained on; empty: not known."""
    files: list[FileEntry]
    """Those that runtimes load."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    format: str = FORMAT
    service: str
    """The service's name."""
    headrace: str
    """Version of Headrace that it was built with."""
    behaviour: str
    """Digest of what the files come to: what answers carry in `x-headrace-release`."""
    files: list[FileEntry]
    """The service's own files, by path."""
    outside: list[str]
    """Files that are named as `${file:…}`: secrets, which belong to the machine and not to a release."""
    models: dict[str, object]
    """What each model and route serves: digests of weights, addresses, parameters."""
    knowledge: str | None = None
    """Version of the knowledge base; None where there is none."""
    adapters: list[AdapterEntry] | msgspec.UnsetType = msgspec.UNSET
    """Those of the registry, by digest; unset where there are none, as in older releases."""

    def encoded(self) -> bytes:
        """The manifest as canonical JSON: sorted keys, no spaces."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, as `sha256:…`."""
        return f"sha256:{hashlib.sha256(self.encoded()).hexdigest()}"
