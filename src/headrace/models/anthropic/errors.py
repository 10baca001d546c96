"""Anthropic's error bodies, as failures that a user can act on.

Source: https://platform.claude.com/docs/en/api/errors
"""

import re
from collections.abc import Mapping

import msgspec

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
)
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.dialect.reset import retry_after_s
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)

__all__ = ["Failure", "error_of", "failure_of"]

_TYPE_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_KNOWN = frozenset(_TYPE_BY_STATUS.values()) | {"api_error"}
_TOO_LONG = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum")
_TOO_LONG_WITH_ANSWER = re.compile(
    r"input length and `max_tokens` exceed context limit: (\d+) \+ (\d+) > (\d+)"
)
_FIELD = re.compile(r"([a-z_]+)(?:\.[\w.-]+)?: ")
_OURS_BY_FIELD = {
    "stop_sequences": "stop",
    "output_config": "response_format",
    "system": "messages",
}
_HINTS = {
    "authentication_error": "check api_key",
    "billing_error": "check the account's billing",
    "permission_error": "check what the key may use",
    "not_found_error": "check model and base_url; `headrace models test` asks for the list",
}


class Failure(msgspec.Struct):
    """The `error` object of a body or of an event."""

    type: str = "api_error"
    message: str = ""
    details: dict[str, object] | None = None


class _Body(msgspec.Struct):
    error: Failure


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, *, model: str, now: float
) -> HeadraceError:
    """The failure that a response other than 2xx stands for."""
    try:
        failure = msgspec.json.decode(body, type=_Body).error
    except UNREADABLE:
        failure = Failure("", f"status {status}")
    if failure.type not in _KNOWN:
        # Whoever stands before the API (a proxy, Cloudflare) answers in its own way.
        failure.type = _TYPE_BY_STATUS.get(status, "api_error")
    return failure_of(failure, model=model, retry_after_s=retry_after_s(headers, now))


def failure_of(
    failure: Failure, *, model: str, retry_after_s: float | None = None
) -> HeadraceError:
    """The failure that an error object stands for, before the answer or in the middle of it."""
    kind, message = failure.type, failure.message
    if kind in ("rate_limit_error", "overloaded_error"):
        if "spend_limit" in str((failure.details or {}).get("error_code")):
            return DeploymentMisconfigured(f"Anthropic: {message}", hint=_HINTS["billing_error"])
        return DeploymentThrottled(f"Anthropic: {message}", retry_after_s=retry_after_s)
    if kind in _HINTS:
        return DeploymentMisconfigured(f"Anthropic: {message}", hint=_HINTS[kind])
    if kind == "timeout_error":
        return DeploymentTimeout(f"Anthropic: {message}")
    if kind == "request_too_large":
        return PayloadTooLarge(f"Anthropic: {message}", param="messages")
    if kind == "invalid_request_error":
        return _invalid(message, model)
    return ModelUnavailable(f"Anthropic failed: {message}")


def _invalid(message: str, model: str) -> HeadraceError:
    if long := _TOO_LONG.search(message):
        return ContextTooLong.counted(int(long[1]), int(long[2]), model)
    if long := _TOO_LONG_WITH_ANSWER.search(message):
        return ContextTooLong.counted(int(long[1]) + int(long[2]), int(long[3]), model)
    if "credit balance is too low" in message:
        return DeploymentMisconfigured(f"Anthropic: {message}", hint=_HINTS["billing_error"])
    field = _FIELD.match(message)
    param = _OURS_BY_FIELD.get(field[1], field[1]) if field is not None else None
    return InvalidRequest(f"Anthropic refused the request: {message}", param=param)
