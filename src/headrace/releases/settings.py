"""What `releases:` in headrace.yaml may hold."""

import msgspec

from headrace.config.node import Node

__all__ = ["ReleaseSettings", "read_release_settings"]


class ReleaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a release must have proved before it is served (`releases:`)."""

    gate: list[str] = msgspec.field(default_factory=list)
    """Suites (`evals/NAME.yaml`) that a release must have passed before it is deployed."""


def read_release_settings(node: Node | None) -> ReleaseSettings:
    """The section, checked; without one nothing has to be proved.

    Raises:
        ConfigError: with file, line and field.
    """
    if node is None or node.value is None:
        return ReleaseSettings()
    return node.convert(ReleaseSettings)
