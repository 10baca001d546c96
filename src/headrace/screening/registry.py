"""The installed detectors, found through the entry-point group `headrace.detectors`."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from headrace.errors import ConfigError
from headrace.screening.finding import Detector

__all__ = ["detectors", "detectors_by_kind"]


@cache
def detectors() -> Mapping[str, tuple[Detector, str]]:
    """Every detector by name, with the distribution and version that brought it.

    Raises:
        ConfigError: a detector's package cannot be imported, or two packages claim one name.
    """
    found: dict[str, tuple[Detector, str]] = {}
    for entry in entry_points(group="headrace.detectors"):
        source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
        if entry.name in found:
            raise ConfigError(
                f"two packages bring a detector named {entry.name!r}: {found[entry.name][1]} and {source}",
                hint="remove one of them, or rename the entry point in your own package",
            )
        try:
            detector = entry.load()()
        except Exception as error:
            raise ConfigError(
                f"the detector {entry.name!r} of {source} cannot be loaded: {error}",
                hint=f"mend or remove the package; its entry point is {entry.value!r}",
            ) from error
        found[entry.name] = (detector, source)
    return dict(sorted(found.items()))


@cache
def detectors_by_kind() -> Mapping[str, tuple[Detector, ...]]:
    """Which detectors may report a kind."""
    found: dict[str, tuple[Detector, ...]] = {}
    for detector, _ in detectors().values():
        for kind in detector.kinds:
            found[kind] = (*found.get(kind, ()), detector)
    return found
