"""Failures that a user can act on. Rooms add their own below these, in their `errors.py`.

HeadraceError
├── ConfigError            a file the user wrote is wrong: says file, line, field
├── InvalidRequest         the request is wrong: says which field
│   ├── ContextTooLong     counted tokens exceed the model's context
│   └── PayloadTooLarge    the body exceeds the limit
├── UnknownModel           no deployment serves that name
├── Unauthenticated        no key, or one that is not (or no longer) valid
├── PermissionDenied       the key's role may not do this
├── NotFound               the thing named by the request does not exist
├── PolicyBlocked          a screening policy refused the turn
└── ModelUnavailable       the model's process or server is down or broke off
"""

import difflib
from collections.abc import Collection
from typing import ClassVar, Self

__all__ = [
    "ConfigError",
    "ContextTooLong",
    "HeadraceError",
    "InvalidRequest",
    "ModelUnavailable",
    "NotFound",
    "PayloadTooLarge",
    "PermissionDenied",
    "PolicyBlocked",
    "Unauthenticated",
    "UnknownModel",
    "did_you_mean",
]


def did_you_mean(name: str, known: Collection[str], *, kind: str) -> str:
    """A hint that offers the nearest known name, or lists what is known."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known {kind}: {', '.join(sorted(known)) or 'none yet'}"


class HeadraceError(Exception):
    """A failure that a user can act on. `code` is stable and documented; wording may improve.

    Secrets and personal text never enter the message or the hint.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, hint: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.param = param
        """The request field at fault, in OpenAI's notation (`messages[0].content`)."""

    @property
    def message(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.param))


def _rebuild(cls: type[HeadraceError], message: str, hint: str, param: str | None) -> HeadraceError:
    return cls(message, hint=hint, param=param)


class ConfigError(HeadraceError):
    """A file that the user wrote cannot be used; the message starts with `file:line: field`."""

    code = "invalid_config"


class InvalidRequest(HeadraceError):
    """The request cannot be served as it is; `param` names the field."""

    code = "invalid_request"


class ContextTooLong(InvalidRequest):
    """The prompt has more tokens than the model's context takes."""

    code = "context_length_exceeded"

    @classmethod
    def counted(cls, tokens: int, limit: int, model: str) -> Self:
        return cls(
            f"this model's maximum context length is {limit} tokens, but the messages come to "
            f"{tokens} tokens ({model})",
            hint="shorten the messages, start a new conversation, or use a model with a longer context",
            param="messages",
        )


class PayloadTooLarge(InvalidRequest):
    """The request body exceeds the server's limit."""

    code = "payload_too_large"


class UnknownModel(HeadraceError):
    """A request, route or gate names a model that nothing serves."""

    code = "model_not_found"

    @classmethod
    def named(cls, name: str, known: Collection[str]) -> Self:
        return cls(
            f"the model {name!r} does not exist",
            hint=did_you_mean(name, known, kind="models"),
            param="model",
        )


class Unauthenticated(HeadraceError):
    """No key was shown, or it is not valid."""

    code = "invalid_api_key"


class PermissionDenied(HeadraceError):
    """The key is valid but its role does not allow this."""

    code = "permission_denied"


class NotFound(HeadraceError):
    """The request names something that does not exist, or that this key may not see."""

    code = "not_found"


class PolicyBlocked(HeadraceError):
    """A screening policy refused the turn; the message is the policy's own, for the user."""

    code = "content_filter"


class ModelUnavailable(HeadraceError):
    """The model's process or server is down, restarting, or broke off in mid-answer."""

    code = "model_unavailable"
