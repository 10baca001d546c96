"""What can keep a service from being served.

HeadraceError
└── PortUnusable       the address is in use, not allowed, or not this machine's
"""

import errno
from typing import Self

from headrace.errors import HeadraceError

__all__ = ["PortUnusable"]


class PortUnusable(HeadraceError):
    """The service cannot listen where it should."""

    code = "port_unusable"

    @classmethod
    def at(cls, host: str, port: int, error: OSError) -> Self:
        """The error that listening gave, in words that say what to do."""
        if error.errno == errno.EADDRINUSE:
            return cls(
                f"port {port} on {host} is in use by another program",
                hint=f"stop that program, or choose another port: headrace up --port {port + 1}",
            )
        if error.errno == errno.EACCES:
            return cls(
                f"port {port} on {host} may only be used with more rights",
                hint="choose a port from 1024 on, such as 8080",
            )
        return cls(
            f"the service cannot listen on {host}, port {port}: {error.strerror or error}",
            hint="use 127.0.0.1 for this machine only, or 0.0.0.0 for every interface",
        )
