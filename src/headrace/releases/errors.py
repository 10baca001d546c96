"""Failures of the releases room.

HeadraceError
├── ReleaseInvalid     a release is incomplete, was altered, or its signature is not this service's
├── BundleFailed       a release cannot be bundled with what it runs on, or a bundle not unpacked
├── ReleaseBusy        another release is on trial, or this one is served already
├── ReleaseUnproved    a release has not passed a suite that it must pass
└── UnknownRelease     there is none of that name
"""

from headrace.errors import HeadraceError, NotFound

__all__ = ["BundleFailed", "ReleaseBusy", "ReleaseInvalid", "ReleaseUnproved", "UnknownRelease"]


class BundleFailed(HeadraceError):
    """A release cannot be put together with what it runs on, or a bundle cannot be taken apart."""

    code = "bundle_failed"


class ReleaseInvalid(HeadraceError):
    """A release must not be served: a file is missing or altered, or nobody trusted signed it."""

    code = "release_invalid"


class ReleaseBusy(HeadraceError):
    """What is served cannot be changed now."""

    code = "release_busy"


class ReleaseUnproved(HeadraceError):
    """A suite of `releases.gate` was not passed, or was never asked of this release."""

    code = "release_unproved"


class UnknownRelease(NotFound):
    """There is no such release, or the beginning of its digest fits several."""
