"""What the commands share: the store of the folder's service, and how releases are shown."""

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.cli.place import Place
from headrace.releases.channel import PRODUCTION
from headrace.releases.store import Release, ReleaseStore

__all__ = ["described", "new_store", "store"]


@contextmanager
def store() -> Iterator[tuple[Place, ReleaseStore]]:
    """The releases that are there.

    Raises:
        NotFound: nothing has run here yet.
    """
    place = Place.here()
    with place.database() as database:
        yield place, ReleaseStore(database, place.home)


@contextmanager
def new_store() -> Iterator[tuple[Place, ReleaseStore]]:
    """The same, made if it was not there."""
    place = Place.here()
    with place.new_database() as database:
        yield place, ReleaseStore(database, place.home)


def described(release: Release, releases: ReleaseStore) -> dict[str, object]:
    """A release for machines."""
    return {
        "name": release.name,
        "digest": release.digest,
        "note": release.note,
        "created_at": release.created_at,
        "serving": releases.serving(PRODUCTION) == release.digest,
        "manifest": release.manifest,
    }
