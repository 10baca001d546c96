"""What a check says."""

from typing import Literal, TypeAlias

import msgspec

from headrace.errors import HeadraceError

__all__ = ["Result", "Status", "fail", "failure", "ok", "warn", "worst"]

Status: TypeAlias = Literal["ok", "warn", "fail"]

_ORDER: tuple[Status, ...] = ("ok", "warn", "fail")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    check: str
    """What was looked at, in a word."""
    status: Status
    """`warn`: works, but not as well as it could; `fail`: the service would not work."""
    message: str
    hint: str = ""
    """What to do; empty when all is well."""


def ok(check: str, message: str) -> Result:
    return Result(check=check, status="ok", message=message)


def warn(check: str, message: str, *, hint: str) -> Result:
    return Result(check=check, status="warn", message=message, hint=hint)


def fail(check: str, message: str, *, hint: str) -> Result:
    return Result(check=check, status="fail", message=message, hint=hint)


def failure(check: str, error: HeadraceError) -> Result:
    """The result of a check that ran into an error: it says itself what to do."""
    return fail(check, error.message, hint=error.hint)


def worst(results: list[Result]) -> Status:
    """What holds for all of them together."""
    return max((each.status for each in results), key=_ORDER.index, default="ok")
