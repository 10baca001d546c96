"""Bedrock's errors, as failures that a user can act on.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
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

__all__ = ["error_of", "failure_of"]

_KEY = "check access_key_id and secret_access_key (or api_key), and this machine's clock"
_HINTS = {
    "accessdenied": "check that the key may call this model, and that the account has access to it",
    "expiredtoken": "the temporary credentials have expired: set new ones",
    "incompletesignature": _KEY,
    "invalidclienttokenid": _KEY,
    "invalidsignature": _KEY,
    "missingauthenticationtoken": _KEY,
    "optinrequired": "the account is not subscribed to this service",
    "resourcenotfound": "check model and region; `headrace models test` asks for the list",
    "unauthorized": _KEY,
    "unknownoperation": "check base_url",
    "unrecognizedclient": _KEY,
}
_THROTTLED = (
    "throttling",
    "modelnotready",
    "servicequotaexceeded",
    "toomanyrequests",
    "limitexceeded",
)
_KIND_BY_STATUS = {
    401: "unauthorized",
    403: "accessdenied",
    404: "resourcenotfound",
    408: "modeltimeout",
    429: "throttling",
}
_TOO_LONG_BY = (
    re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum"),
    re.compile(
        r"maximum context length is (?P<limit>\d+) tokens.*?(?P<count>\d+) tokens", re.DOTALL
    ),
)
_TOO_LONG = re.compile(
    r"input is too long|too many input tokens|input tokens exceed", re.IGNORECASE
)
_WRONG_MODEL = re.compile(
    r"on-demand throughput|model identifier is invalid|model ID .* isn|end of its life",
    re.IGNORECASE,
)


class _Body(msgspec.Struct):
    message: str = ""
    said: str = msgspec.field(default="", name="Message")
    type: str = msgspec.field(default="", name="__type")


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, *, model: str, now: float
) -> HeadraceError:
    """The failure that a response other than 2xx stands for."""
    try:
        read = msgspec.json.decode(body, type=_Body)
    except UNREADABLE:
        read = _Body()
    # `ThrottlingException:http://internal.amazon.com/…`, or `com.amazon…#ThrottlingException`.
    kind = (headers.get("x-amzn-errortype") or read.type).partition(":")[0].rpartition("#")[2]
    return failure_of(
        kind or _KIND_BY_STATUS.get(status, ""),
        read.message or read.said or f"status {status}",
        model=model,
        status=status,
        retry_after_s=retry_after_s(headers, now),
    )


def failure_of(
    kind: str,
    message: str,
    *,
    model: str,
    status: int = 0,
    retry_after_s: float | None = None,
) -> HeadraceError:
    """The failure that an exception stands for, before the answer or in the middle of it."""
    kind = kind.lower().removesuffix("exception")
    if kind in _HINTS:
        return DeploymentMisconfigured(f"Bedrock: {message}", hint=_HINTS[kind])
    if kind in _THROTTLED:
        return DeploymentThrottled(f"Bedrock: {message}", retry_after_s=retry_after_s)
    if kind == "modeltimeout":
        return DeploymentTimeout(f"Bedrock: {message}")
    if status == 413:
        return PayloadTooLarge(f"Bedrock: {message}", param="messages")
    if kind == "validation" or (not kind and 400 <= status < 500):
        return _invalid(message, model)
    return ModelUnavailable(f"Bedrock failed: {message}")


def _invalid(message: str, model: str) -> HeadraceError:
    if long := _TOO_LONG_BY[0].search(message):
        return ContextTooLong.counted(int(long[1]), int(long[2]), model)
    if long := _TOO_LONG_BY[1].search(message):
        return ContextTooLong.counted(int(long["count"]), int(long["limit"]), model)
    if _TOO_LONG.search(message):
        return ContextTooLong(
            f"the messages are longer than this model's context ({model}): {message}",
            hint="shorten the messages, or use a model with a longer context",
            param="messages",
        )
    if _WRONG_MODEL.search(message):
        return DeploymentMisconfigured(
            f"Bedrock: {message}",
            hint="set `model` to an id, or the inference profile, that this region offers",
        )
    return InvalidRequest(f"Bedrock refused the request: {message}")
