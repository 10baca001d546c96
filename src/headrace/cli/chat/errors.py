"""What can go wrong between the terminal and a service.

HeadraceError
├── ServiceUnreachable   nobody answers at the address
└── ServiceRefused       the service answered with an error, or broke off
"""

from typing import Self

from headrace.errors import HeadraceError

__all__ = ["ServiceRefused", "ServiceUnreachable"]


class ServiceUnreachable(HeadraceError):
    """The address does not answer, or the connection broke."""

    code = "service_unreachable"


class ServiceRefused(HeadraceError):
    """The service said no; the message is its own."""

    code = "service_refused"
    service_code: str | None = None
    """The service's own code, where it gave one; `--json` says that instead."""

    def named(self, code: str | None) -> Self:
        """This failure, under the service's own code."""
        self.service_code = code
        return self
