"""What the commands share: the store of the folder's service, and how releases are shown."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.cli.place import Place
from headrace.config.load import load_service
from headrace.config.node import load_yaml
from headrace.evaluation.suite import parse_suite
from headrace.releases.channel import PRODUCTION
from headrace.releases.deploy import Deployer, Suites
from headrace.releases.settings import read_release_settings
from headrace.releases.store import Release, ReleaseStore

__all__ = ["deployer", "described", "gate_suites", "new_store", "store", "suite_file"]


@contextmanager
def store() -> Iterator[tuple[Place, ReleaseStore]]:
    """The releases that are there.

    Raises:
        NotFound: nothing has run here yet.
    """
    place = Place.here()
    with place.database() as database:
        yield place, ReleaseStore(database, place.home, audit=place.audit(database))


@contextmanager
def new_store() -> Iterator[tuple[Place, ReleaseStore]]:
    """The same, made if it was not there."""
    place = Place.here()
    with place.new_database() as database:
        yield place, ReleaseStore(database, place.home, audit=place.audit(database))


def described(release: Release, releases: ReleaseStore) -> dict[str, object]:
    """A release for machines."""
    return {
        "name": release.name,
        "digest": release.digest,
        "note": release.note,
        "created_at": release.created_at,
        "serving": releases.serving(PRODUCTION) == release.digest,
        "proved": releases.attestations(release),
        "manifest": release.manifest,
    }


def deployer(place: Place, releases: ReleaseStore) -> Deployer:
    """What changes what is served here, held to this folder's `releases.gate`."""

    def suites() -> Suites:
        names = gate_suites(place)
        here = {name: suite_file(place, name) for name in names}
        digests = {
            name: parse_suite(load_yaml(path, os.environ), place.root, name).version
            for name, path in here.items()
            if path.exists()
        }
        return Suites(names=names, digests=digests)

    return Deployer(releases, place.root, place.home, suites)


def gate_suites(place: Place) -> list[str]:
    """The suites that a release must pass to be served here. The folder says so, not the release.

    Raises:
        ConfigError: headrace.yaml is wrong.
    """
    return read_release_settings(load_service(place.root, os.environ).releases).gate


def suite_file(place: Place, name: str) -> Path:
    return place.root / "evals" / f"{name}.yaml"
