"""Failures of balancing.

HeadraceError
├── Overloaded              every deployment is full and so is the queue, or waiting took too long
└── ModelUnavailable
    └── NoDeploymentLeft    all that this call may use have been tried, or none may be used
"""

from collections.abc import Collection
from typing import Self

from headrace.errors import HeadraceError, ModelUnavailable

__all__ = ["NoDeploymentLeft", "Overloaded"]


class Overloaded(HeadraceError):
    """No room now; 429 with `Retry-After`. Nothing was sent to any deployment."""

    code = "overloaded"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        retry_after_s: float = 1.0,
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.retry_after_s = retry_after_s

    @classmethod
    def now(cls, why: str, retry_after_s: float) -> Self:
        return cls(
            f"the model takes no more calls at the moment: {why}",
            hint=f"try again in {retry_after_s:.0f} s",
            retry_after_s=retry_after_s,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (
            _overloaded,
            (type(self), self.message, self.hint, self.param, self.retry_after_s),
        )


def _overloaded(
    cls: type[Overloaded], message: str, hint: str, param: str | None, retry_after_s: float
) -> Overloaded:
    return cls(message, hint=hint, param=param, retry_after_s=retry_after_s)


class NoDeploymentLeft(ModelUnavailable):
    """Nothing that this call may use is left to be tried."""

    code = "no_deployment"

    @classmethod
    def permitted(cls, regions: Collection[str] | None, tried: Collection[str]) -> Self:
        if tried:
            return cls(f"no deployment is left after {', '.join(sorted(tried))}")
        if regions is None:
            return cls("the model has no deployment", hint="declare one under its `deployments:`")
        return cls(
            f"no deployment lies in the regions that this data may go to: {', '.join(sorted(regions))}",
            hint="declare a deployment with one of these as its `region:`",
        )
