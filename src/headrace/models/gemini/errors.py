"""Gemini's errors (`google.rpc.Status` in JSON), as failures that a user can act on.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting, and google/rpc/error_details.proto
"""

import re
from collections.abc import Iterable, Mapping

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

_STATUS_BY_CODE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_HINTS = {
    "UNAUTHENTICATED": "check api_key",
    "PERMISSION_DENIED": "check what the key may use",
    "NOT_FOUND": "check model and base_url; `headrace models test` asks for the list",
    "FAILED_PRECONDITION": "check the project's billing and region",
}
_TOO_LONG = re.compile(
    r"input token count \((\d+)\) exceeds the maximum number of tokens allowed \((\d+)\)"
)
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")
_OURS_BY_FIELD = {
    "contents": "messages",
    "systeminstruction": "messages",
    "responsejsonschema": "response_format",
    "responseschema": "response_format",
    "responsemimetype": "response_format",
    "maxoutputtokens": "max_tokens",
    "stopsequences": "stop",
    "candidatecount": "n",
    "topp": "top_p",
    "responselogprobs": "logprobs",
    "presencepenalty": "presence_penalty",
    "frequencypenalty": "frequency_penalty",
    "thinkingconfig": "reasoning_effort",
    "toolconfig": "tool_choice",
    "temperature": "temperature",
    "seed": "seed",
    "tools": "tools",
}


class _FieldViolation(msgspec.Struct):
    field: str = ""


class _QuotaViolation(msgspec.Struct):
    quota: str = msgspec.field(default="", name="quotaId")


class _Detail(msgspec.Struct):
    """Any of the messages of error_details.proto; `@type` says which."""

    type: str = msgspec.field(default="", name="@type")
    reason: str = ""
    retry_delay: str = msgspec.field(default="", name="retryDelay")
    field_violations: list[_FieldViolation] = msgspec.field(
        default_factory=list, name="fieldViolations"
    )
    violations: list[_QuotaViolation] = []


class Failure(msgspec.Struct):
    """The `error` object of a body or of a chunk."""

    code: int = 0
    message: str = ""
    status: str = ""
    details: list[_Detail] = []


class _Body(msgspec.Struct):
    error: Failure


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, *, model: str, now: float
) -> HeadraceError:
    """The failure that a response other than 2xx stands for."""
    try:
        # Without `alt=sse` a stream is a JSON list, and so is its error.
        read = msgspec.json.decode(body, type=_Body | list[_Body])
        failure = (read[0] if isinstance(read, list) else read).error
    except (*UNREADABLE, IndexError):
        failure = Failure(status, f"status {status}")
    if not failure.status:
        failure.status = _STATUS_BY_CODE.get(status, "")
    failure.code = status
    return failure_of(failure, model=model, retry_after_s=retry_after_s(headers, now))


def failure_of(
    failure: Failure, *, model: str, retry_after_s: float | None = None
) -> HeadraceError:
    """The failure that an error object stands for, before the answer or in the middle of it."""
    kind, message = failure.status, f"Gemini: {failure.message}"
    if any(each.reason in ("API_KEY_INVALID", "API_KEY_EXPIRED") for each in failure.details):
        return DeploymentMisconfigured(message, hint=_HINTS["UNAUTHENTICATED"])
    if kind in _HINTS:
        return DeploymentMisconfigured(message, hint=_HINTS[kind])
    if kind in ("RESOURCE_EXHAUSTED", "UNAVAILABLE"):
        delay_s = _delay_s(failure.details)
        return DeploymentThrottled(
            message,
            hint=_quotas(failure.details),
            retry_after_s=retry_after_s if delay_s is None else delay_s,
        )
    if kind == "DEADLINE_EXCEEDED":
        return DeploymentTimeout(message)
    if failure.code == 413:
        return PayloadTooLarge(message, param="messages")
    if long := _TOO_LONG.search(message):
        return ContextTooLong.counted(int(long[1]), int(long[2]), model)
    if kind in ("INVALID_ARGUMENT", "OUT_OF_RANGE") or 400 <= failure.code < 500:
        return InvalidRequest(
            f"Gemini refused the request: {failure.message}", param=_param(failure.details)
        )
    return ModelUnavailable(f"Gemini failed: {failure.message}")


def _delay_s(details: Iterable[_Detail]) -> float | None:
    for detail in details:
        if found := _DELAY.fullmatch(detail.retry_delay):
            return float(found[1])
    return None


def _quotas(details: Iterable[_Detail]) -> str:
    quotas = [each.quota for detail in details for each in detail.violations if each.quota]
    return f"quota: {', '.join(dict.fromkeys(quotas))}" if quotas else ""


def _param(details: Iterable[_Detail]) -> str | None:
    """The client's word for the field at fault."""
    for detail in details:
        for violation in detail.field_violations:
            for name in re.split(r"[.\[]", violation.field.lower().replace("_", "")):
                if name in _OURS_BY_FIELD:
                    return _OURS_BY_FIELD[name]
    return None
