"""What is installed: steps, detectors, backends, operations, and the packages that brought them."""

from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from headrace.server.doctor.result import Result, fail, ok, warn

__all__ = ["check_plugins"]

KINDS = ("steps", "detectors", "backends", "operations")


def check_plugins() -> Iterator[Result]:
    """One result per package, and one per part that cannot be loaded or stands twice."""
    brought: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kind in KINDS:
        seen: dict[str, EntryPoint] = {}
        for entry in entry_points(group=f"headrace.{kind}"):
            other = seen.setdefault(entry.name, entry)
            if other.value != entry.value:
                yield fail(
                    "plugins",
                    f"{_package(other)} and {_package(entry)} both bring {kind[:-1]} {entry.name!r}",
                    hint="remove one of them, or rename the entry point in your own package",
                )
            elif (problem := _problem(entry)) is not None:
                # What the service does use, the check of its files finds missing.
                yield warn(
                    "plugins",
                    f"{kind[:-1]} {entry.name!r} of {_package(entry)} cannot be loaded: {problem}",
                    hint=f"mend or remove the package; its entry point is {entry.value!r}",
                )
            elif other is entry:
                brought[_package(entry)][kind].append(entry.name)
    for package, parts in sorted(brought.items()):
        listed = "; ".join(f"{kind} {', '.join(names)}" for kind, names in parts.items())
        yield ok("plugins", f"{package}: {listed}")


def _problem(entry: EntryPoint) -> str | None:
    try:
        entry.load()
    except Exception as error:  # noqa: BLE001  # whatever somebody's package does when imported
        return str(error) or type(error).__name__
    return None


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
