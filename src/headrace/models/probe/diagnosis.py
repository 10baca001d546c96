"""What a failed probe means: which setting, account or server has to be mended.

Providers word a wrong key, a wrong name and an empty account alike ("not found", "forbidden"), so
the list of models is asked as a second opinion: who may read it has a good key.
"""

import difflib
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    UnknownModel,
)
from headrace.models.backend import Backend, ListedModel
from headrace.models.catalogue.name import names_of
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
    WeightsUnavailable,
)
from headrace.models.probe.address import look_at

__all__ = ["Diagnosis", "Fault", "diagnose"]

Fault: TypeAlias = Literal[
    "access",
    "address",
    "context",
    "dns",
    "key",
    "model",
    "provider",
    "quota",
    "request",
    "timeout",
    "tls",
    "weights",
]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, and what to do."""

    fault: Fault
    message: str
    hint: str
    code: str
    """The code of the error that was met."""


async def diagnose(error: HeadraceError, backend: Backend) -> Diagnosis:
    """What an error of a probe means; may ask the provider for its list of models."""
    if isinstance(error, DeploymentThrottled):
        return _diagnosis("quota", error, hint=_when(error))
    if isinstance(error, DeploymentTimeout):
        return _diagnosis("timeout", error, hint="try again; if it stays so, raise the time-outs")
    if isinstance(error, WeightsUnavailable):
        return _diagnosis("weights", error)
    if isinstance(error, ContextTooLong):
        return _diagnosis("context", error)
    if isinstance(error, DeploymentMisconfigured | UnknownModel | InvalidRequest):
        return await _refused(error, backend)
    if isinstance(error, ModelUnavailable):
        return await _unreachable(error, backend)
    return _diagnosis("provider", error)


def _when(error: DeploymentThrottled) -> str:
    if error.retry_after_s is None:
        return error.hint or "try again later; check the account's balance and limits"
    return f"try again in {error.retry_after_s:.0f} s; check the account's balance and limits"


async def _refused(error: HeadraceError, backend: Backend) -> Diagnosis:
    """It answered and refused: by the list of models we tell key, name and account apart."""
    name = str(getattr(getattr(backend, "settings", None), "model", ""))
    try:
        listed = await backend.listed()
    except HeadraceError as failure:
        if (found := await _address(error, backend)) is not None:
            return found
        if isinstance(failure, DeploymentMisconfigured):
            return _diagnosis("key", failure, hint=error.hint or "check `api_key`")
        listed = ()
    if not listed:
        fault: Fault = "request" if isinstance(error, InvalidRequest) else "key"
        return _diagnosis(fault, error)
    if name and not _has(name, listed):
        near = difflib.get_close_matches(name, [each.id for each in listed], n=3, cutoff=0.4)
        among = near or sorted(each.id for each in listed)[:8]
        word = "did you mean" if near else "it has, among others,"
        return Diagnosis(
            fault="model",
            message=f"the provider has no model {name!r} for this key ({error.message})",
            hint=f"{word} {', '.join(among)}" + ("?" if near else ""),
            code=error.code,
        )
    if isinstance(error, InvalidRequest):
        return _diagnosis("request", error)
    return _diagnosis(
        "access", error, hint=error.hint or "key and name are right: check the account's rights"
    )


def _has(name: str, listed: Sequence[ListedModel]) -> bool:
    """Whether the list holds the model, dates, regions and channels left aside."""
    known = {each for model in listed for each in names_of(model.id)}
    return any(each in known for each in names_of(name))


async def _unreachable(error: HeadraceError, backend: Backend) -> Diagnosis:
    """No answer, or a broken one: look at the address, where there is one."""
    return await _address(error, backend) or _diagnosis("provider", error)


async def _address(error: HeadraceError, backend: Backend) -> Diagnosis | None:
    url = str(getattr(getattr(backend, "settings", None), "base_url", "") or "")
    problem = await look_at(url) if url else None
    if problem is None:
        return None
    return Diagnosis(
        fault=problem.fault, message=problem.message, hint=problem.hint, code=error.code
    )


def _diagnosis(fault: Fault, error: HeadraceError, hint: str = "") -> Diagnosis:
    return Diagnosis(fault=fault, message=error.message, hint=hint or error.hint, code=error.code)
