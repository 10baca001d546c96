"""What the front door refuses before, or without, any handler.

HeadraceError
├── MalformedRequest       not HTTP/1.1, or so ambiguous that two readers could understand it differently
├── RequestTimeout         the head or the body did not come in time
├── UriTooLong             the address is longer than the limit
├── HeadersTooLarge        the head is larger, or has more headers, than the limit
├── ExpectationFailed      `Expect:` asks for something other than 100-continue
├── UpgradeUnsupported     the client wants to speak another protocol on this connection
├── VersionUnsupported     another version of HTTP
├── TooManyConnections     the server has as many as it may
└── CertificateUnusable    the files of `server.tls` are missing, wrong, do not match or have expired
"""

from typing import Self

from headrace.errors import HeadraceError
from headrace.server.http1.limits import MIN_BODY_BYTES_PER_S

__all__ = [
    "CertificateUnusable",
    "ExpectationFailed",
    "HeadersTooLarge",
    "MalformedRequest",
    "RequestTimeout",
    "TooManyConnections",
    "UpgradeUnsupported",
    "UriTooLong",
    "VersionUnsupported",
]


class MalformedRequest(HeadraceError):
    """The bytes are not a request that everybody would read in the same way."""

    code = "malformed_request"


class RequestTimeout(HeadraceError):
    """The client did not send its request in time."""

    code = "request_timeout"

    @classmethod
    def of_head(cls, timeout_s: float) -> Self:
        return cls(f"the request's head did not come within {timeout_s:g} s")

    @classmethod
    def of_body(cls, timeout_s: float) -> Self:
        return cls(
            f"the request's body did not come within {timeout_s:g} s, and a second more "
            f"per {MIN_BODY_BYTES_PER_S} bytes"
        )


class UriTooLong(HeadraceError):
    """The address in the request line exceeds `server.max_uri_bytes`."""

    code = "uri_too_long"


class HeadersTooLarge(HeadraceError):
    """The head exceeds `server.max_header_bytes`, or has too many headers."""

    code = "headers_too_large"


class ExpectationFailed(HeadraceError):
    """The header `Expect` asks for something that is not known."""

    code = "expectation_failed"


class UpgradeUnsupported(HeadraceError):
    """The client wants another protocol, such as a WebSocket."""

    code = "upgrade_unsupported"


class VersionUnsupported(HeadraceError):
    """The request is of another version of HTTP than 1.1 and 1.0."""

    code = "http_version_unsupported"


class TooManyConnections(HeadraceError):
    """There are `server.max_connections` already."""

    code = "too_many_connections"

    @classmethod
    def beyond(cls, limit: int) -> Self:
        return cls(
            f"the service has {limit:,} connections, as many as it may",
            hint="try again in a moment, or raise server.max_connections",
        )


class CertificateUnusable(HeadraceError):
    """TLS cannot be spoken with these files; the message says which and why."""

    code = "certificate_unusable"
