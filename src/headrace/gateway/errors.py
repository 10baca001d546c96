"""How failures look on the wire: OpenAI's error object, and one table from code to status.

HeadraceError
├── MethodNotAllowed       the address exists, but not for this HTTP method
└── ServiceStopping        the service was told to stop and could not wait for the answer
"""

from collections.abc import Sequence
from typing import Self

import msgspec

from headrace.errors import HeadraceError
from headrace.pipeline.steps.screen.errors import ConfirmationRequired

__all__ = [
    "STATUS_BY_CODE",
    "MethodNotAllowed",
    "ServiceStopping",
    "error_body",
    "error_event",
    "internal_error",
    "status_of",
]


class MethodNotAllowed(HeadraceError):
    """The address does not take this HTTP method; the hint says which it takes."""

    code = "method_not_allowed"
    allowed: Sequence[str] = ()
    """Every method that it takes, for the header `allow`."""

    @classmethod
    def at(cls, path: str, method: str, *allowed: str) -> Self:
        made = cls(f"{path} does not take {method}", hint=f"use {allowed[0]}")
        made.allowed = allowed
        return made


class ServiceStopping(HeadraceError):
    """The answer was cut off because the service stops, after `server.drain_s` seconds."""

    code = "service_stopping"


STATUS_BY_CODE: dict[str, int] = {
    "invalid_request": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "confirmation_required": 400,
    "invalid_api_key": 401,
    "permission_denied": 403,
    "not_found": 404,
    "model_not_found": 404,
    "malformed_request": 400,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "payload_too_large": 413,
    "uri_too_long": 414,
    "expectation_failed": 417,
    "insufficient_quota": 429,
    "overloaded": 429,
    "rate_limit_exceeded": 429,
    "headers_too_large": 431,
    "invalid_config": 500,
    "internal_error": 500,
    "upgrade_unsupported": 501,
    "deployment_misconfigured": 503,
    "limits_unavailable": 503,
    "no_deployment": 503,
    "model_timeout": 504,
    "model_unavailable": 503,
    "training_busy": 409,
    "training_does_not_fit": 400,
    "training_failed": 500,
    "training_invalid": 400,
    "training_unavailable": 400,
    "service_stopping": 503,
    "state_unusable": 503,
    "too_many_connections": 503,
    "weights_unavailable": 503,
    "http_version_unsupported": 505,
}

_TYPE_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    414: "invalid_request_error",
    417: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    501: "invalid_request_error",
    505: "invalid_request_error",
}


def status_of(error: HeadraceError) -> int:
    """The HTTP status for an error; codes that a plugin brings count as its own fault: 500."""
    return STATUS_BY_CODE.get(error.code, 500)


def error_body(error: HeadraceError) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}` as JSON."""
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    body = {
        "message": message,
        "type": _TYPE_BY_STATUS.get(status_of(error), "server_error"),
        "param": error.param,
        "code": error.code,
    }
    if isinstance(error, ConfirmationRequired):
        body["confirmation"] = error.confirmation
    return msgspec.json.encode({"error": body})


def internal_error(request_id: str) -> HeadraceError:
    """What a client is told of a defect of ours: nothing but where to look."""
    return HeadraceError(
        "something went wrong inside the service", hint=f"its log says more; look for {request_id}"
    )


def error_event(error: HeadraceError) -> bytes:
    """The same as a server-sent event, for a stream that has already begun."""
    return b"data: " + error_body(error) + b"\n\n"
