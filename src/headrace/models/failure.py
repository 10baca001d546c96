"""What a call is told when none of its attempts came to anything."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.balance.errors import Overloaded
from headrace.models.balance.member import Outcome
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)

__all__ = ["Failed", "failure_of"]


@dataclass(frozen=True, slots=True)
class Failed:
    """One attempt that gave nothing."""

    member: str
    outcome: Outcome
    error: ModelUnavailable


def failure_of(
    name: str, failed: Sequence[Failed], last: HeadraceError, pause_s: float
) -> HeadraceError:
    """One error for all attempts: of the class that says best what to do, with every attempt.

    Args:
        name: what the request asked for.
        last: what ended the call; the last attempt's own error, or one from waiting for another.
        pause_s: until somebody may take calls again, where all of them are throttled.
    """
    outcomes = {each.outcome for each in failed}
    last_failed = failed[-1].error
    if len(failed) == 1 and last is last_failed and outcomes != {Outcome.THROTTLED}:
        return last
    telling = _most_telling(failed)
    message = f"no deployment of {name!r} could answer ({_tried(failed)}): {telling.message}"
    hint = telling.hint or last.hint
    if outcomes == {Outcome.THROTTLED}:
        told = [wait_s for each in failed if (wait_s := _retry_after_s(each.error))]
        wait_s = _retry_after_s(last) or pause_s or min(told, default=1.0)
        return DeploymentThrottled(message, hint=hint, retry_after_s=wait_s)
    if isinstance(last, Overloaded):
        message = f"{message}; then {last.message}"
        return Overloaded(message, hint=last.hint, retry_after_s=last.retry_after_s)
    if outcomes == {Outcome.MISCONFIGURED}:
        return DeploymentMisconfigured(message, hint=hint)
    if outcomes == {Outcome.TIMED_OUT}:
        return DeploymentTimeout(message, hint=hint)
    return ModelUnavailable(message, hint=hint)


def _tried(failed: Sequence[Failed]) -> str:
    """`chat-0: failed, 3 times; chat-1: timed_out`."""
    counts = Counter(f"{each.member}: {each.outcome.value}" for each in failed)
    return "; ".join(
        what if times == 1 else f"{what}, {times} times" for what, times in counts.items()
    )


def _most_telling(failed: Sequence[Failed]) -> ModelUnavailable:
    """A setting that is wrong stays wrong until somebody reads of it; the rest may pass by itself.

    Else the last one with a hint.
    """
    wrong = [each.error for each in failed if each.outcome is Outcome.MISCONFIGURED]
    hinting = [each.error for each in failed if each.error.hint]
    return (wrong or hinting or [failed[-1].error])[-1]


def _retry_after_s(error: HeadraceError) -> float | None:
    wait_s = getattr(error, "retry_after_s", None)
    return wait_s if isinstance(wait_s, float | int) else None
