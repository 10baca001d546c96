"""`fine_tuning:` in headrace.yaml: how much of the machine training may have, and for how long."""

from typing import Annotated

import msgspec
from msgspec import Meta

from headrace.config.node import Node

__all__ = ["TuningSettings", "read_tuning"]


class TuningSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fine-tuning jobs share the machine with live traffic (`fine_tuning:`)."""

    enabled: bool = True
    """Train here; off refuses new jobs and leaves those that are queued."""
    at_once: Annotated[int, Meta(ge=1, le=64)] = 1
    """Jobs that train at the same time on this machine; further ones are queued in order."""
    niceness: Annotated[int, Meta(ge=0, le=19)] = 10
    """How far training gives way to everything else on the processor; 0 not at all, 19 the most."""
    open_per_key: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Jobs that have not ended which one key may have; a further one is refused (429)."""

    retention_days: Annotated[float, Meta(gt=0)] = 30.0
    """Of checkpoints, after the end; what was asked, events, result and adapter stay."""


def read_tuning(node: Node | None) -> TuningSettings:
    """The section, checked.

    Raises:
        ConfigError: with file, line and field.
    """
    return TuningSettings() if node is None else node.convert(TuningSettings)
