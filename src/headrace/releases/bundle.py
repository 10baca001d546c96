"""A release with everything that it runs on, in a folder that starts on a machine without a network.

    release/            the release as an OCI image layout
    release.pub         the key it is signed with
    weights/            weights by their SHA-256, with index.json
    knowledge/          the index that answers stand on
    wheels/             Headrace and what it needs; requirements.lock pins each by its hash
    sbom.cdx.json       what all of it is (CycloneDX)
    start, Containerfile

It is written under another name and renamed when it is whole.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from headrace.config.load import load_service
from headrace.models.box import builtin_models
from headrace.models.errors import WeightsUnavailable
from headrace.models.store import ModelStore
from headrace.models.weights import declared_weights
from headrace.releases.bill import Weights, bill_of_materials
from headrace.releases.errors import BundleFailed
from headrace.releases.layout import export, read_layout
from headrace.releases.lock import fetch_wheels, installed, lock_text
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
    unpacked = store.unpacked(release, root)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        export(release, store, part / "release")
        key = store.signer.key_of(release.manifest.encoded(), release.signature)
        assert key is not None  # or it would not have been unpacked
        (part / PUBLIC_FILE).write_bytes(key)
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

    Args:
        is_trusted: trust the key that lies in the bundle from now on.

    Raises:
        BundleFailed: it is no bundle, a file of it was altered, or other knowledge is here.
        ReleaseInvalid: its release is incomplete or altered.
    """
    if not (folder / "release").is_dir():
        raise BundleFailed(f"{folder} is no bundle", hint="`headrace release bundle` makes one")
    release, _ = read_layout(folder / "release", store)
    if is_trusted:
        key = (folder / PUBLIC_FILE).read_bytes()
        trusted = home / TRUSTED
        trusted.mkdir(mode=0o700, exist_ok=True)
        (trusted / f"bundle-{hashlib.sha256(key).hexdigest()[:16]}.pub").write_bytes(key)
    models = ModelStore(home / "models", root=root)
    for each in _weights_of(folder / "weights"):
        try:
            models.take(each.reference, folder / "weights" / each.sha256 / each.file, each.sha256)
        except WeightsUnavailable as error:
            raise BundleFailed(error.message, hint="copy the bundle again") from error
    if (folder / "knowledge").is_dir():
        _take_knowledge(folder / "knowledge", home, release.manifest.knowledge or "")
    return release


def _put_weights(
    folder: Path, unpacked: Path, root: Path, home: Path, environ: Mapping[str, str]
) -> list[Weights]:
    """Copy what the release's models need; of the built-in models what is here."""
    config = load_service(unpacked, environ)
    store = ModelStore(home / "models", root=root)
    own = set(config.models)
    found: dict[str, Weights] = {}
    for each in declared_weights({**config.models, **builtin_models(config)}, store):
        task = "text-generation" if each.backend in _GENERATES else "feature-extraction"
        parts = ((each.reference, each.kept), (each.tokenizer, each.tokenizer_kept))
        for reference, kept in parts:
            if reference is None:
                continue
            if kept is None:
                if each.model in own:
                    raise BundleFailed(
                        f"the weights of {each.model!r} are not here: {reference}",
                        hint=f"`headrace models fetch {each.model}` fetches them",
                    )
                continue
            made = found.get(reference)
            names = [each.model] if made is None else [*made.models, each.model]
            found[reference] = Weights(
                models=names,
                reference=reference,
                sha256=kept.sha256,
                file=kept.path.name,
                bytes=kept.size,
                task=task,
            )
            target = folder / kept.sha256
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept.path, target / kept.path.name)
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_bytes(msgspec.json.format(msgspec.json.encode([*found.values()])))
    return [*found.values()]


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


def _take_knowledge(folder: Path, home: Path, version: str) -> None:
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
    shutil.copytree(folder, part)
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
