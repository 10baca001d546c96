"""What stands before a body: a request's head, ready to be sent often, and a response's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Head", "RequestHead"]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of requests that differ in their bodies only. Made by `HttpClient.head`."""

    lines: bytes = field(repr=False)
    """Everything but the body's length and the blank line. Holds keys."""
    has_body: bool
    """Whether even an empty body is announced."""
    keep_alive: bool
    resend: bool

    def with_body(self, body: bytes) -> bytes:
        """The whole request."""
        if body or self.has_body:
            return b"%bcontent-length: %d\r\n\r\n%b" % (self.lines, len(body), body)
        return self.lines + b"\r\n"


class Head:
    """A response's status and headers."""

    __slots__ = ("_headers", "_tells_limits", "raw", "status")

    def __init__(self, status: int, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.raw = raw
        """Name and value as they came."""
        self._headers: Mapping[str, str] | None = None
        self._tells_limits: bool | None = None

    @property
    def tells_limits(self) -> bool:
        """Whether one of the headers is about rate limits."""
        if self._tells_limits is None:
            self._tells_limits = any(name[:11].lower() == b"x-ratelimit" for name, _ in self.raw)
        return self._tells_limits

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case; values of the same name are joined by commas (RFC 9110, 5.3)."""
        if self._headers is None:
            # Only when asked for: thirty headers cost 10 µs, and the relay wants two of them.
            headers: dict[str, str] = {}
            for name_bytes, value_bytes in self.raw:
                name = name_bytes.decode("latin-1").lower()
                value = value_bytes.decode("latin-1")
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            self._headers = headers
        return self._headers

    def first(self, name: bytes) -> bytes | None:
        """The first value of a header, its name in lower case; None where there is none."""
        size = len(name)
        for each, value in self.raw:
            if len(each) == size and each.lower() == name:
                return value
        return None
