"""`approve`: wait until a person says yes."""

import time
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings
from headrace.workflows.store import RunStore

__all__ = ["Approve"]

LOOK_EVERY_S = 0.5


class ApproveSettings(Settings, frozen=True):
    """A question."""

    message: str = ""
    """What is to be decided, for people."""
    within_s: Annotated[float, Meta(gt=0)] | None = None
    """Seconds to decide in; after that the step fails. Without it, it waits for good."""


class Approve(Operation):
    """Waits for `headrace workflow approve`, or the console; fails when the answer is no."""

    Settings = ApproveSettings
    returns: ClassVar[tuple[str, ...]] = ("who", "why", "at")
    is_repeatable = False
    is_waiting = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, ApproveSettings)
        store = RunStore(context.database())
        until = _until(settings.within_s, context)
        context.say(settings.message or "waits for approval")
        while True:
            context.check()
            found = store.approval(context.run_id, context.step)
            if found is not None and found.approved:
                return {"who": found.who, "why": found.why, "at": found.at}
            if found is not None:
                raise StepFailed(f"refused by {found.who}{': ' if found.why else ''}{found.why}")
            if until is not None and time.time() > until:
                raise StepFailed(f"nobody decided within {settings.within_s:g} s")
            time.sleep(LOOK_EVERY_S)


def _until(within_s: float | None, context: Context) -> float | None:
    """When the time is up: counted from the first attempt, whoever was killed since."""
    if within_s is None:
        return None
    until = context.remembered()
    if until is None:
        until = repr(time.time() + within_s)
        context.remember(until)
    return float(until)
