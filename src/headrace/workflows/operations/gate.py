"""`gate`: nothing goes on unless all that was asked holds."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["Gate", "GateSettings"]

MOST_SAID = 5


class GateSettings(Settings, frozen=True):
    """What must hold."""

    passed: bool | list[bool]
    """Each must be true: `{{ steps.evaluate.passed }}`, or a condition of your own."""
    because: list[object] = msgspec.field(default_factory=list)
    """What to say when not: `{{ steps.evaluate.breaches }}`."""


class Gate(Operation):
    """Fails unless everything in `passed` is true."""

    Settings = GateSettings
    returns: ClassVar[tuple[str, ...]] = ()
    is_repeatable = False

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, GateSettings)
        passed = settings.passed if isinstance(settings.passed, list) else [settings.passed]
        if passed and all(passed):
            return {}
        said = list(_flat(settings.because))
        more = f"; and {len(said) - MOST_SAID} more" if len(said) > MOST_SAID else ""
        why = "; ".join(said[:MOST_SAID]) + more
        raise StepFailed(f"the gate is not passed{': ' if why else ''}{why}")


def _flat(values: object) -> list[str]:
    if isinstance(values, list):
        return [text for each in values for text in _flat(each)]
    return [str(values)]
