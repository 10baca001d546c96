"""A release with everything that it runs on, in a folder that starts on a machine without a network.

    release/            the release as an OCI image layout, its adapters with it
    release.pub         the key it is signed with
    contents.json       every file by its checksum, signed with the same key (contents.py)
    weights/            weights by their SHA-256, with index.json
    knowledge/          the index that answers stand on
    wheels/             Headrace and what it needs; requirements.lock pins each by its hash
    sbom.cdx.json       what all of it is (CycloneDX)
    start, Containerfile

It is written under another name and renamed when it is whole.
"""

import contextlib
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

from headrace.config.load import load_service
from headrace.config.model import ServiceConfig
from headrace.models.backend_type import backend_type
from headrace.models.builder import builtin_models
from headrace.models.errors import WeightsUnavailable
from headrace.models.store import Kept, ModelStore
from headrace.models.weights import declared_weights
from headrace.releases.bill import Weights, bill_of_materials
from headrace.releases.contents import Contents
from headrace.releases.errors import BundleFailed
from headrace.releases.layout import export, read_layout
from headrace.releases.lock import fetch_wheels, installed, lock_text, sha256_of
from headrace.releases.manifest import FileEntry
from headrace.releases.signer import PUBLIC_FILE, TRUSTED
from headrace.releases.store import Release, ReleaseStore

__all__ = ["Reported", "unpack_bundle", "write_bundle"]

Reported = Callable[[str], None]
"""Told what is done now."""
_GENERATES = ("embedded",)


def write_bundle(
    release: Release,
    store: ReleaseStore,
    folder: Path,
    *,
    root: Path,
    home: Path,
    environ: Mapping[str, str],
    with_packages: bool = True,
    report: Reported = lambda what: None,
) -> None:
    """Write the release with what it runs on into a folder that is not there yet.

    Args:
        with_packages: bring Headrace and what it needs as wheels for this Python and machine.

    Raises:
        BundleFailed: the folder is there, or a package or a model's weights cannot be had.
        ReleaseInvalid: the release is incomplete or altered.
    """
    if folder.exists():
        raise BundleFailed(f"{folder} is there already", hint="name a new folder")
    release = store.countersigned(release)
    unpacked = store.unpacked(release, root)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        export(release, store, part / "release")
        report("copying weights")
        weights = _put_weights(part / "weights", unpacked, root, home, environ)
        if release.manifest.knowledge is not None:
            _put_knowledge(part, home, release.manifest.knowledge)
        packages = installed()
        wheels: dict[str, Path] = {}
        if with_packages:
            report(f"fetching {len(packages)} packages")
            wheels = fetch_wheels(packages, part / "wheels")
            (part / "requirements.lock").write_text(lock_text(packages, wheels), "utf-8")
        (part / "sbom.cdx.json").write_bytes(bill_of_materials(release, packages, wheels, weights))
        _put_starters(part)
        Contents.write(part, release.digest, store.signer)
        part.replace(folder)
    except OSError as error:
        raise BundleFailed(
            f"the bundle cannot be written: {error.strerror}: {error.filename}",
            hint="free some space, or name a folder on another disk",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def unpack_bundle(
    folder: Path, store: ReleaseStore, *, root: Path, home: Path, is_trusted: bool
) -> Release:
    """Put what a bundle brings where a service looks for it; gives the release. Safe to repeat.

    Nothing of it is put anywhere before a trusted signature holds and every file is the one that was
    signed. What is here already stays: other bytes under a reference that is pinned are refused.

    Args:
        is_trusted: trust the key that lies in the bundle from now on.

    Raises:
        BundleFailed: it is no bundle, a file of it was altered or is not in its list, or other
            knowledge or other weights of the same name are here.
        ReleaseInvalid: nobody who is trusted signed it, or its release is incomplete or altered.
    """
    if not (folder / "release").is_dir():
        raise BundleFailed(f"{folder} is no bundle", hint="`headrace release bundle` makes one")
    key = _key_in(folder) if is_trusted else b""
    contents = Contents.read(folder, store.signer, also=key)
    models = ModelStore(home / "models", root=root)
    weights = _weights_of(folder / "weights")
    for each in weights:
        with _as_bundle_failed():
            models.check_pin(each.reference, each.sha256, declared=each.declared)
    if is_trusted:
        trusted = home / TRUSTED
        trusted.mkdir(mode=0o700, exist_ok=True)
        (trusted / f"bundle-{hashlib.sha256(key).hexdigest()[:16]}.pub").write_bytes(key)
    release, _ = read_layout(folder / "release", store)
    if release.digest != contents.release:
        raise BundleFailed(f"{folder} holds another release than it was signed for")
    store.verify(release)
    for each in weights:
        path = folder / "weights" / each.sha256 / each.file
        with _as_bundle_failed():
            models.take(each.reference, path, each.sha256, declared=each.declared)
    if knowledge := contents.below("knowledge"):
        _take_knowledge(folder / "knowledge", knowledge, home, release.manifest.knowledge or "")
    return release


def _key_in(folder: Path) -> bytes:
    try:
        return (folder / PUBLIC_FILE).read_bytes()
    except OSError as error:
        raise BundleFailed(
            f"{error.filename}: {error.strerror}", hint="copy the bundle again"
        ) from error


@contextlib.contextmanager
def _as_bundle_failed() -> Iterator[None]:
    try:
        yield
    except WeightsUnavailable as error:
        raise BundleFailed(error.message, hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class _Part:
    """A file that a model needs."""

    model: str
    task: str
    reference: str
    sha256: str | None
    """What it must be; None: what its reference was first seen to be."""
    kept: Kept | None


def _put_weights(
    folder: Path, unpacked: Path, root: Path, home: Path, environ: Mapping[str, str]
) -> list[Weights]:
    """Copy what the release's models need; of the built-in models what is here."""
    config = load_service(unpacked, environ)
    found: dict[str, Weights] = {}
    for part in _parts(config, ModelStore(home / "models", root=root)):
        if part.kept is None:
            if part.model in config.models:
                raise BundleFailed(
                    f"the weights of {part.model!r} are not here: {part.reference}",
                    hint=f"`headrace models fetch {part.model}` fetches them",
                )
            continue
        made = found.get(part.reference)
        found[part.reference] = Weights(
            models=[part.model] if made is None else [*made.models, part.model],
            reference=part.reference,
            sha256=part.kept.sha256,
            file=part.kept.path.name,
            bytes=part.kept.size,
            task=part.task,
            declared=part.sha256 is not None and (made is None or made.declared),
        )
        target = folder / part.kept.sha256
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part.kept.path, target / part.kept.path.name)
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_bytes(msgspec.json.format(msgspec.json.encode([*found.values()])))
    return [*found.values()]


def _parts(config: ServiceConfig, store: ModelStore) -> Iterator[_Part]:
    """Weights, tokenizers, and adapters that are files. Those of the registry are in the release."""
    for each in declared_weights({**config.models, **builtin_models(config)}, store):
        task = "text-generation" if each.backend in _GENERATES else "feature-extraction"
        if each.reference is not None:
            yield _Part(each.model, task, each.reference, each.sha256, each.kept)
        if each.tokenizer is not None:
            sha256, kept = each.tokenizer_sha256, each.tokenizer_kept
            yield _Part(each.model, task, each.tokenizer, sha256, kept)
    for name, model in config.models.items():
        adapter = model.adapter
        if adapter is None or not adapter.adapter.startswith("file:"):
            continue
        if getattr(backend_type(model.deployments[0]), "reads_folder", False):
            continue  # a folder of the server's machine
        found = store.find(adapter.adapter)
        is_meant = adapter.sha256 is None or (
            found is not None and found.sha256 == adapter.sha256.lower()
        )
        kept = found if is_meant else None
        yield _Part(name, "text-generation", adapter.adapter, adapter.sha256, kept)


def _weights_of(folder: Path) -> list[Weights]:
    path = folder / "index.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Weights])
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleFailed(f"{path}: {error}", hint="copy the bundle again") from error


def _put_knowledge(part: Path, home: Path, version: str) -> None:
    here = home / "knowledge"
    current = here / "current"
    if not current.exists() or current.read_text("utf-8") != version:
        raise BundleFailed(
            "the knowledge that the release was built with is not here any more",
            hint="`headrace release build` makes a release with what is here",
        )
    shutil.copytree(here, part / "knowledge")


def _take_knowledge(folder: Path, files: list[FileEntry], home: Path, version: str) -> None:
    here = home / "knowledge"
    if here.exists():
        current = here / "current"
        if current.exists() and current.read_text("utf-8") == version:
            return
        raise BundleFailed(
            f"there is other knowledge in {here}",
            hint="unpack the bundle into a home of its own: HEADRACE_HOME",
        )
    part = home / "knowledge.part"
    shutil.rmtree(part, ignore_errors=True)
    for each in files:
        target = part / each.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(folder / each.path, target)
        if sha256_of(target) != each.sha256:  # of the copy: the folder may have changed meanwhile
            shutil.rmtree(part)
            raise BundleFailed(f"{folder / each.path} was altered", hint="copy the bundle again")
    part.replace(here)


def _put_starters(part: Path) -> None:
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    (part / "python-version").write_text(f"{wanted}\n", "utf-8")
    builtin = files("headrace.releases") / "builtin"
    start = part / "start"
    start.write_text((builtin / "start").read_text("utf-8"), "utf-8")
    start.chmod(0o755)
    container = (builtin / "Containerfile").read_text("utf-8")
    (part / "Containerfile").write_text(
        container.replace("ARG PYTHON=3.11", f"ARG PYTHON={wanted}"), "utf-8"
    )
