"""Error bodies of OpenAI and its relatives, as failures that a user can act on.

Read in every shape that is about: `{"error": {…}}`, `{"error": "text"}`, vLLM's and Cerebras' error
at the top, FastAPI's `detail` with the place of each wrong field, and pages of proxies.
A provider's own message is passed on, shortened and without the key, except where the key itself
is refused: those messages quote it.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from headrace.errors import (
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
    PolicyBlocked,
)
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)
from headrace.models.openai.context import context_error
from headrace.models.openai.usage import retry_after_of

__all__ = ["Failure", "Site", "WireError", "error_for", "error_of", "failure_in", "failure_of"]

MAX_MESSAGE_CHARS = 600
MAX_READ_CHARS = 10_000
"""What is looked at of a message; the rest is the request, quoted."""

_Scalar: TypeAlias = str | int | float | None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Which deployment fails, for the messages."""

    provider: str
    model: str
    secret: str = ""
    """The key: never part of a message."""
    key_hint: str = "check `api_key` of this deployment"


class _FilterResult(msgspec.Struct):
    filtered: bool | None = None
    severity: str | None = None


class _Inner(msgspec.Struct):
    code: str | None = None
    content_filter_result: dict[str, _FilterResult] | None = None


class _Metadata(msgspec.Struct):
    """OpenRouter's: why its moderation struck, or what the provider behind it said."""

    reasons: list[str] | None = None
    raw: str | None = None


class WireError(msgspec.Struct):
    """An `error` object."""

    message: str | dict[str, object] | list[object] | None = None
    type: _Scalar = None
    code: _Scalar = None
    param: object = None
    innererror: _Inner | None = None
    metadata: _Metadata | None = None
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class _Detail(msgspec.Struct):
    loc: list[str | int] = msgspec.field(default_factory=list)
    msg: str = ""


class _Body(msgspec.Struct):
    error: WireError | str | None = None
    message: str | dict[str, object] | list[object] | None = None
    type: _Scalar = None
    code: _Scalar = None
    param: object = None
    detail: str | list[_Detail] | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What a body says went wrong."""

    message: str
    code: str = ""
    kind: str = ""
    """`type` on the wire."""
    param: str | None = None
    filtered: tuple[str, ...] = ()
    """Categories of a content filter that struck, with their severity."""
    counted: tuple[int, int] | None = None
    """Prompt tokens and limit, where they come as figures."""

    def says(self, *words: str) -> bool:
        """Whether the code or the type is one of these."""
        return self.code in words or self.kind in words


_decode = msgspec.json.Decoder(_Body).decode
_PLACES = msgspec.json.Decoder(list[_Body]).decode
_FIELD = re.compile(
    r"(?:parameter|argument|property|field|value for)s?(?: supplied)?\s*:?\s*"
    r"(?:['\"`](?P<quoted>[\w.\[\]]+)['\"`]|(?<=: )(?P<bare>[a-z_][\w.]*)\s*$)",
    re.IGNORECASE,
)


def failure_in(body: bytes) -> Failure | None:
    """The failure that a body reports; None where it reports none."""
    try:
        read = _PLACES(body)[0] if body.lstrip()[:1] == b"[" else _decode(body)
    except (*UNREADABLE, IndexError):
        return None
    if isinstance(read.error, str):
        # xAI: the text is `error`, the kind is `code`.
        return Failure(message=read.error, code=_text(read.code), kind=_text(read.type))
    if read.error is not None:
        return failure_of(read.error)
    if isinstance(read.detail, list):
        return _validation(read.detail)
    if read.detail is not None:
        return Failure(message=read.detail)
    if read.message is None or (read.type is None and read.code is None and read.param is None):
        # Mistral and proxies: `{"message": "Unauthorized"}`.
        return Failure(message=read.message) if isinstance(read.message, str) else None
    if isinstance(read.message, dict):
        nested = _nested(read.message)
        if nested is not None:
            return nested
    error = WireError(message=read.message, type=read.type, code=read.code, param=read.param)
    return failure_of(error)


def failure_of(error: WireError) -> Failure:
    """The failure that an `error` object stands for."""
    message = error.message
    metadata = error.metadata or _Metadata()
    if metadata.raw and (behind := failure_in(metadata.raw.encode())) is not None:
        return behind
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    text = text[:MAX_READ_CHARS]
    inner = error.innererror
    results = (inner.content_filter_result if inner is not None else None) or {}
    found = _FIELD.search(text)
    counted = (error.n_prompt_tokens, error.n_ctx)
    return Failure(
        message=text,
        code=_text(error.code),
        kind=_text(error.type),
        param=error.param
        if isinstance(error.param, str) and error.param
        else ((found["quoted"] or found["bare"]) if found else None),
        filtered=tuple(metadata.reasons or ())
        or tuple(
            f"{name} ({each.severity})" if each.severity else name
            for name, each in results.items()
            if each.filtered
        ),
        counted=(counted[0], counted[1]) if counted[0] and counted[1] else None,
    )


def _nested(message: dict[str, object]) -> Failure | None:
    """Mistral: the details stand inside the message."""
    try:
        read = msgspec.convert(message, _Body)
    except msgspec.ValidationError:
        return None
    return _validation(read.detail) if isinstance(read.detail, list) else None


def _validation(details: list[_Detail]) -> Failure:
    fields = [
        ".".join(str(step) for step in each.loc if step not in ("body", "query"))
        for each in details
    ]
    said = "; ".join(
        f"{field}: {each.msg}" if field else each.msg
        for field, each in zip(fields, details, strict=True)
    )
    return Failure(message=said, code="validation_error", param=next(filter(None, fields), None))


def _text(value: _Scalar) -> str:
    return "" if value is None else str(value)


_FILTERED = (
    "content_filter",
    "content_policy_violation",
    "ResponsibleAIPolicyViolation",
    "data_inspection_failed",  # Qwen
    "DataInspectionFailed",
    "1301",  # Zhipu
    "bio_policy",
    "misalignment_policy_violation",
    "image_content_policy_violation",
)
_UNPAID = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "exceeded_current_quota_error",  # Moonshot
    "Arrearage",  # Qwen
    "insufficient_balance",
    "1113",  # Zhipu
)
_UNPAID_WORDS = re.compile(r"insufficient (?:balance|credits?|funds)|in arrears", re.IGNORECASE)
_UNKNOWN_MODEL = (
    "model_not_found",
    "model_not_available",
    "model_not_supported",
    "invalid_model",
    "DeploymentNotFound",
    "resource_not_found_error",
    "ModelNotFound",
    "1211",  # Zhipu
)
_THROTTLED = (
    "rate_limit_exceeded",
    "rate_limit_error",
    "rate_limit_reached_error",
    "too_many_requests",
    "RateLimitReached",
    "limit_requests",
    "limit_burst_rate",
    "1302",  # Zhipu: concurrency
    "1305",
)
_BUSY = (
    "overloaded",
    "overloaded_error",
    "engine_overloaded_error",
    "server_overloaded",
    "queue_exceeded",
)
_NOT_GENERATED = ("tool_use_failed", "json_validate_failed", "output_parse_failed")
"""Groq: the model wrote a call or JSON that cannot be read. The request is not at fault."""
_BAD_KEY = ("invalid_api_key", "authentication_error", "invalid_authentication_error")
_TIMEOUTS = frozenset({408, 504, 522, 524})
_NO_ROOM = frozenset({498, 529})
_WRONG = frozenset({400, 405, 406, 415, 421, 422})


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, site: Site, now: float
) -> HeadraceError:
    """The failure that a response other than 2xx stands for.

    Args:
        headers: by lower-case name.
        now: Unix time, for a `Retry-After` that is a date.
    """
    if 300 <= status < 400:
        return DeploymentMisconfigured(
            f"{site.provider} answers with a redirect (status {status}) ({site.model})",
            hint="check `base_url` of this deployment: scheme, host and path",
        )
    failure = failure_in(body) or Failure(message=_page(status, body))
    return error_for(failure, status, headers, site, now)


def error_for(
    failure: Failure, status: int, headers: Mapping[str, str], site: Site, now: float
) -> HeadraceError:
    """The same for a failure that has been read; status 0 for one in mid-stream."""
    said = _clean(failure.message, site)
    if status == 0 and failure.code.isdigit() and 400 <= int(failure.code) < 600:
        status = int(failure.code)  # vLLM and OpenRouter send the status as the code
    if failure.says(*_FILTERED) or failure.filtered:
        return _blocked(failure, site)
    if status == 402 or failure.says(*_UNPAID) or _UNPAID_WORDS.search(failure.message):
        return DeploymentMisconfigured(
            f"{site.provider} wants to be paid first ({site.model}): {said}",
            hint="check the account's balance and spending limits at the provider",
        )
    if status == 429 or failure.says(*_THROTTLED):
        return DeploymentThrottled(
            f"{site.provider} takes no more requests at the moment ({site.model}): {said}",
            hint="try again later, or add a deployment",
            retry_after_s=retry_after_of(headers, failure.message, now),
        )
    if status in (401, 403, 407) or failure.says(*_BAD_KEY):
        return _refused(status, said, site)
    if (status in (0, *_WRONG, 413, 500)) and (
        long := context_error(
            failure.code or failure.kind, failure.message, site.model, counted=failure.counted
        )
    ):
        return long
    if status == 404 or failure.says(*_UNKNOWN_MODEL):
        return DeploymentMisconfigured(
            f"{site.provider} has no model {site.model!r}, or not at this address: {said}",
            hint="check `model` and `base_url` of this deployment; "
            "`headrace models test` lists what the key may use",
        )
    if status == 413:
        return PayloadTooLarge(f"the request is too large for {site.provider}: {said}")
    if (status in _WRONG and not failure.says(*_NOT_GENERATED)) or (
        status == 0 and failure.says("invalid_request_error", "BadRequestError")
    ):
        return InvalidRequest(
            f"{site.provider} refused the request ({site.model}): {said}", param=failure.param
        )
    return _down(failure, status, headers, site, now)


def _blocked(failure: Failure, site: Site) -> HeadraceError:
    why = f" ({', '.join(failure.filtered)})" if failure.filtered else ""
    return PolicyBlocked(
        f"{site.provider}'s content filter refused the request{why}",
        hint="rephrase it; what is filtered is set at the provider",
    )


def _refused(status: int, said: str, site: Site) -> HeadraceError:
    if status == 403:
        return DeploymentMisconfigured(
            f"{site.provider} does not let this key use {site.model!r}: {said}",
            hint="check the key's permissions and region at the provider",
        )
    # Its message quotes the key, or a part of it.
    return DeploymentMisconfigured(
        f"{site.provider} does not accept the key of this deployment ({site.model})",
        hint=site.key_hint,
    )


def _down(
    failure: Failure, status: int, headers: Mapping[str, str], site: Site, now: float
) -> HeadraceError:
    said = _clean(failure.message, site)
    if status in _TIMEOUTS or failure.says("timeout", "timeout_error"):
        return DeploymentTimeout(f"{site.provider} gave up ({site.model}): {said}")
    if status in _NO_ROOM or failure.says(*_BUSY) or (status == 503 and "retry-after" in headers):
        return DeploymentThrottled(
            f"{site.provider} has no room at the moment ({site.model}): {said}",
            hint="try again later, or add a deployment",
            retry_after_s=retry_after_of(headers, failure.message, now),
        )
    where = f"answered with status {status}" if status else "broke off"
    return ModelUnavailable(f"{site.provider} {where} ({site.model}): {said}")


def _clean(message: str, site: Site) -> str:
    """A provider's message, fit to be shown."""
    text = " ".join(message.split())
    if site.secret:
        text = text.replace(site.secret, "…")
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}…"


_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def _page(status: int, body: bytes) -> str:
    """What to say of a body that is no JSON: a proxy's page, or nothing."""
    if title := _TITLE.search(body[:65_536]):
        return title[1].decode("utf-8", "replace").strip() or f"status {status}"
    text = body[:200].decode("utf-8", "replace").strip()
    if not text or text.startswith(("<", "{", "[")):
        return f"it says no more than status {status}"
    return text
