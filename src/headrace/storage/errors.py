"""What can go wrong with the state on disk.

HeadraceError
├── HomeInUse          another service already runs on this home
├── StateUnusable      the home, database or journal cannot be opened or created
└── SchemaTooNew       the database was written by a newer Headrace
"""

from headrace.errors import HeadraceError

__all__ = ["HomeInUse", "SchemaTooNew", "StateUnusable"]


class HomeInUse(HeadraceError):
    """Another service holds the lock of this home; two would overwrite each other's journal."""

    code = "home_in_use"


class StateUnusable(HeadraceError):
    """The home, the database or the journal cannot be opened, created or given its space."""

    code = "state_unusable"


class SchemaTooNew(HeadraceError):
    """The database's schema is one that this version does not know."""

    code = "schema_too_new"
