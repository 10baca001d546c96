"""What differs between the APIs that are spoken here when a request fails before its answer begins.

A request has one surface from its first byte on (`app.py` tells by its address and headers), so that
even a missing key is refused in the words that the client's SDK reads.
"""

from typing import Protocol

from headrace.errors import HeadraceError
from headrace.gateway.errors import error_body, status_of

__all__ = ["OPENAI", "OpenAISurface", "Surface"]


class Surface(Protocol):
    """One API's way to refuse a request and to name it."""

    def status_of(self, error: HeadraceError) -> int: ...

    def error_body(self, error: HeadraceError, request_id: str) -> bytes:
        """The error as JSON."""
        ...

    def headers(self, request_id: str) -> tuple[tuple[bytes, bytes], ...]:
        """What this API adds to every response."""
        ...


class OpenAISurface:
    """OpenAI's error object; `x-request-id` is sent anyhow."""

    def status_of(self, error: HeadraceError) -> int:
        return status_of(error)

    def error_body(self, error: HeadraceError, request_id: str) -> bytes:
        del request_id
        return error_body(error)

    def headers(self, request_id: str) -> tuple[tuple[bytes, bytes], ...]:
        del request_id
        return ()


OPENAI = OpenAISurface()
