"""Failures of the prompt library.

HeadraceError
├── NotFound
│   └── UnknownVersion     no version of a template has that number, digest or tag
└── VersionDamaged         what is stored of a version is not what its digest says
"""

from headrace.errors import HeadraceError, NotFound

__all__ = ["UnknownVersion", "VersionDamaged"]


class UnknownVersion(NotFound):
    """No version of a prompt template has that number, digest or tag."""

    code = "prompt_version_not_found"


class VersionDamaged(HeadraceError):
    """A stored version does not give the digest it is kept under: the database was changed."""

    code = "prompt_version_damaged"
