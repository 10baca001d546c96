"""A release as an OCI image layout: a folder that registries and their tools can carry.

Source: OCI Image Format Specification 1.1, image-layout.md and manifest.md (artifacts).
The artifact's config is the release's manifest; each file is a layer of its own, and so are the files of
its adapters and what the release has proved. Adapters are taken only from a release that is trusted.
"""

import hashlib
import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.models.adapter import ADAPTERS
from headrace.releases.adapter import adapter_files, take_adapter
from headrace.releases.attestation import Envelope
from headrace.releases.errors import ReleaseInvalid
from headrace.releases.manifest import FORMAT, Manifest
from headrace.releases.store import Release, ReleaseStore

__all__ = ["export", "read_layout"]

T = TypeVar("T")

ARTIFACT = "application/vnd.headrace.release.v1"
_CONFIG = "application/vnd.headrace.release.manifest.v1+json"
_FILE = "application/vnd.headrace.release.file.v1"
_ADAPTER = "application/vnd.headrace.adapter.file.v1"
_ATTESTATION = "application/vnd.dsse.envelope.v1+json"
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_TITLE = "org.opencontainers.image.title"
_SIGNATURE = "dev.headrace.release.signature"
_MOST_BYTES = 64 * 1024 * 1024


class _Descriptor(msgspec.Struct, omit_defaults=True, rename={"media_type": "mediaType"}):
    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class _Image(
    msgspec.Struct,
    rename={
        "media_type": "mediaType",
        "schema_version": "schemaVersion",
        "artifact_type": "artifactType",
    },
):
    config: _Descriptor
    layers: list[_Descriptor]
    annotations: dict[str, str]
    media_type: str = _IMAGE
    artifact_type: str = ARTIFACT
    schema_version: int = 2


class _Index(msgspec.Struct, rename={"media_type": "mediaType", "schema_version": "schemaVersion"}):
    manifests: list[_Descriptor]
    media_type: str = _INDEX
    schema_version: int = 2


def export(release: Release, store: ReleaseStore, folder: Path) -> None:
    """Write the release into a folder, which must be new or empty.

    Raises:
        ReleaseInvalid: the folder is not empty, or a file of the release is gone.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ReleaseInvalid(f"{folder} is not empty", hint="name a new folder")
    store.verify(release)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str, **annotations: str) -> _Descriptor:
        sha256 = hashlib.sha256(data).hexdigest()
        (blobs / sha256).write_bytes(data)
        return _Descriptor(media_type, f"sha256:{sha256}", len(data), annotations)

    layers = [
        put(store.blobs.get(each.sha256), _FILE, **{_TITLE: each.path})
        for each in release.manifest.files
    ]
    for entry in release.manifest.adapters or ():
        for file, path in adapter_files(entry, store.home):
            shutil.copyfile(path, blobs / file.sha256)
            title = f"{ADAPTERS}/{entry.digest.replace(':', '-')}/{file.path}"
            layers.append(
                _Descriptor(_ADAPTER, f"sha256:{file.sha256}", file.bytes, {_TITLE: title})
            )
    layers += [put(msgspec.json.encode(each), _ATTESTATION) for each in store.envelopes(release)]
    image = _Image(
        config=put(release.manifest.encoded(), _CONFIG),
        layers=layers,
        annotations={_SIGNATURE: release.signature.hex(), _TITLE: release.manifest.service},
    )
    descriptor = put(msgspec.json.encode(image), _IMAGE)
    (folder / "index.json").write_bytes(msgspec.json.encode(_Index([descriptor])))
    (folder / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')


def read_layout(folder: Path, store: ReleaseStore, *, note: str = "") -> tuple[Release, bool]:
    """Take a release from a layout; gives it, and whether it is new here.

    It must be signed by a key that is trusted here to be served; until then its adapters stay out.

    Raises:
        ReleaseInvalid: the folder holds no release, or a blob is missing or not what it is named.
    """
    index = _decoded(folder / "index.json", _Index)
    if len(index.manifests) != 1:
        raise ReleaseInvalid(f"{folder} holds {len(index.manifests)} artifacts, not one release")
    image = _decoded_blob(folder, index.manifests[0], _Image)
    if image.artifact_type != ARTIFACT:
        raise ReleaseInvalid(f"{folder} holds {image.artifact_type!r}, no release")
    manifest = _decoded_blob(folder, image.config, Manifest)
    if manifest.format != FORMAT:
        raise ReleaseInvalid(f"{folder}: {manifest.format!r} is of another version of Headrace")
    by_digest = {each.digest: each for each in image.layers}
    for entry in manifest.files:
        layer = by_digest.get(f"sha256:{entry.sha256}")
        if layer is None:
            raise ReleaseInvalid(f"{folder}: the file {entry.path} is missing")
        store.blobs.put(_blob(folder, layer))
    try:
        signature = bytes.fromhex(image.annotations.get(_SIGNATURE, ""))
    except ValueError:
        signature = b""
    kept = store.keep(manifest, signature, note=note)
    if store.signer.is_trusted(manifest.encoded(), kept[0].signature):
        blobs = folder / "blobs" / "sha256"
        for adapter in manifest.adapters or ():
            take_adapter(adapter, lambda file: blobs / file.sha256, store.home)
        store.share_adapters(kept[0])
    for layer in image.layers:
        if layer.media_type == _ATTESTATION:
            store.keep_envelope(_decoded_blob(folder, layer, Envelope))
    return kept


def _blob(folder: Path, descriptor: _Descriptor) -> bytes:
    kind, _, sha256 = descriptor.digest.partition(":")
    path = folder / "blobs" / "sha256" / sha256
    if kind != "sha256" or not sha256.isalnum() or descriptor.size > _MOST_BYTES:
        raise ReleaseInvalid(f"{folder}: {descriptor.digest!r} is no digest of a release's file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReleaseInvalid(f"{path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ReleaseInvalid(f"{path} was altered", hint="export the release again")
    return data


def _decoded_blob(folder: Path, descriptor: _Descriptor, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(_blob(folder, descriptor), type=kind)
    except msgspec.MsgspecError as error:
        raise ReleaseInvalid(f"{folder}: {descriptor.digest}: {error}") from error


def _decoded(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise ReleaseInvalid(
            f"{path}: {error}", hint="is it a folder of `release export`?"
        ) from error
