"""The installed detectors, found through the entry-point groups `headrace.detectors` (quick: they
run on the event loop) and `headrace.costly_detectors` (they run only where a policy asks)."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution, entry_points
from typing import Any

from headrace import __version__
from headrace.errors import ConfigError
from headrace.screening.finding import CostlyDetector, Detector

__all__ = ["costly_detectors", "detector_version", "detectors", "detectors_by_kind"]


@cache
def detectors() -> Mapping[str, tuple[Detector, str]]:
    """Every quick detector by name, with the distribution and version that brought it.

    Raises:
        ConfigError: a detector's package cannot be imported, or two packages claim one name.
    """
    return _installed("headrace.detectors")


@cache
def costly_detectors() -> Mapping[str, tuple[CostlyDetector | Detector, str]]:
    """Every costly detector by name, likewise. Making one must cost nothing: models come later."""
    return _installed("headrace.costly_detectors")


def _installed(group: str) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    # Both are parsed anew at each look, which for each detector would take 30 ms of every start.
    sources: dict[Distribution | None, str] = {None: "unknown package"}
    for entry in entry_points(group=group):
        if entry.dist is not None and entry.dist not in sources:
            sources[entry.dist] = f"{entry.dist.name} {entry.dist.version}"
        source = sources[entry.dist]
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
def detector_version(name: str) -> str:
    """The distribution and version that brought a detector; a policy's own come with Headrace."""
    found = detectors().get(name) or costly_detectors().get(name)
    return found[1] if found is not None else f"headrace {__version__}"


@cache
def detectors_by_kind() -> Mapping[str, tuple[Detector, ...]]:
    """Which detectors may report a kind."""
    found: dict[str, tuple[Detector, ...]] = {}
    for detector, _ in detectors().values():
        for kind in detector.kinds:
            found[kind] = (*found.get(kind, ()), detector)
    return found
