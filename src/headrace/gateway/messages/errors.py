"""How failures look in Anthropic's API: its error object, its types, its statuses.

Source: Anthropic API reference, "Errors". 429 means that this key is over its limits, 529 that the
service has no room or its models are down: clients wait differently for either.
"""

from typing import TypeAlias

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.gateway.call import Call
from headrace.gateway.errors import status_of

__all__ = ["ANTHROPIC", "AnthropicSurface", "error_event", "is_anthropic"]

Kind: TypeAlias = tuple[str, int]

_KIND_BY_CODE: dict[str, Kind] = {
    "content_filter": ("invalid_request_error", 400),
    "context_length_exceeded": ("invalid_request_error", 400),
    "deployment_misconfigured": ("api_error", 500),
    "insufficient_quota": ("rate_limit_error", 429),
    "internal_error": ("api_error", 500),
    "invalid_api_key": ("authentication_error", 401),
    "invalid_config": ("api_error", 500),
    "invalid_request": ("invalid_request_error", 400),
    "limits_unavailable": ("overloaded_error", 529),
    "method_not_allowed": ("invalid_request_error", 405),
    "model_not_found": ("not_found_error", 404),
    "model_timeout": ("timeout_error", 504),
    "model_unavailable": ("overloaded_error", 529),
    "no_deployment": ("overloaded_error", 529),
    "not_found": ("not_found_error", 404),
    "overloaded": ("overloaded_error", 529),
    "payload_too_large": ("request_too_large", 413),
    "permission_denied": ("permission_error", 403),
    "rate_limit_exceeded": ("rate_limit_error", 429),
    "service_stopping": ("overloaded_error", 529),
    "state_unusable": ("overloaded_error", 529),
    "too_many_connections": ("overloaded_error", 529),
    "weights_unavailable": ("api_error", 500),
}


def _kind_of(error: HeadraceError) -> Kind:
    """Anthropic's type and status; of a code that is not in the table, by the status we know."""
    if error.code == "rate_limit_exceeded" and isinstance(error, ModelUnavailable):
        # A provider's limit, not this key's.
        return "overloaded_error", 529
    known = _KIND_BY_CODE.get(error.code)
    if known is not None:
        return known
    status = status_of(error)
    if status == 429:
        return "rate_limit_error", 429
    return ("api_error", status) if status >= 500 else ("invalid_request_error", status)


class AnthropicSurface:
    """Anthropic's errors, and its `request-id`."""

    def status_of(self, error: HeadraceError) -> int:
        return _kind_of(error)[1]

    def error_body(self, error: HeadraceError, request_id: str) -> bytes:
        """`{"type": "error", "error": {"type", "message"}, "request_id"}` as JSON."""
        message = f"{error.message} ({error.hint})" if error.hint else error.message
        return msgspec.json.encode(
            {
                "type": "error",
                "error": {"type": _kind_of(error)[0], "message": message},
                "request_id": request_id,
            }
        )

    def headers(self, request_id: str) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"request-id", request_id.encode()),)


ANTHROPIC = AnthropicSurface()


def is_anthropic(call: Call) -> bool:
    """Whether the client speaks Anthropic's API: by the address, or the version it asks for."""
    return call.path.startswith("/v1/messages") or bool(call.headers.get("anthropic-version"))


def error_event(error: HeadraceError, request_id: str) -> bytes:
    """The error as the last event of a stream that has already begun."""
    return b"event: error\ndata: %b\n\n" % ANTHROPIC.error_body(error, request_id)
