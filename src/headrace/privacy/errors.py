"""What can go wrong with keys and sealed text.

HeadraceError
├── MasterKeyUnusable   the master key is missing, malformed, or not this database's
├── SealBroken          sealed data was changed, or belongs to another subject
├── SubjectLocked       a text was to be sealed before its subject was unlocked
└── SubjectErased       the subject's key was destroyed: the text can never be read again
"""

from headrace.errors import HeadraceError

__all__ = ["MasterKeyUnusable", "SealBroken", "SubjectErased", "SubjectLocked"]


class MasterKeyUnusable(HeadraceError):
    """The master key (file or variable) is missing, malformed, or another database's."""

    code = "master_key_unusable"


class SealBroken(HeadraceError):
    """Sealed data fails its check: it was changed on disk, or is another subject's."""

    code = "seal_broken"


class SubjectLocked(HeadraceError):
    """`seal` was called for a subject whose key is not in memory: `unlock` it first."""

    code = "subject_locked"


class SubjectErased(HeadraceError):
    """The subject has no key (any more), so nothing sealed under it can be read."""

    code = "subject_erased"
