"""What can keep a service of several workers from being served.

HeadraceError
└── WorkerFailed       a worker could not start; says why
"""

from headrace.errors import HeadraceError

__all__ = ["WorkerFailed"]


class WorkerFailed(HeadraceError):
    """A worker could not start; the message and the hint are those of what went wrong in it."""

    code = "worker_failed"
