"""What a caller is told who may not go on for now.

HeadraceError
├── LimitExceeded          requests, tokens or calls at a time: comes back by itself, soon
│   └── QuotaExceeded      money: comes back with the next day or month
└── LimitsUnavailable      Redis is away, and `on_error: deny`
"""

from headrace.errors import HeadraceError

__all__ = ["LimitExceeded", "LimitsUnavailable", "QuotaExceeded"]


class LimitExceeded(HeadraceError):
    """A limit of `limits:` is reached. The message says which, how much, and when to come back."""

    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.retry_after_s = retry_after_s
        """Seconds after which the same request would fit; None: it never will, it is too large."""

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.param, self.retry_after_s))


class QuotaExceeded(LimitExceeded):
    """The budget of the day or month is used up."""

    code = "insufficient_quota"


class LimitsUnavailable(HeadraceError):
    """The shared counters cannot be reached, and `on_error: deny` says to refuse then."""

    code = "limits_unavailable"


def _rebuild(
    cls: type[LimitExceeded],
    message: str,
    hint: str,
    param: str | None,
    retry_after_s: float | None,
) -> LimitExceeded:
    return cls(message, hint=hint, param=param, retry_after_s=retry_after_s)
