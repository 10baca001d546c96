"""What `headrace up` was asked for, and what it can tell once the service answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.models.progress import Progress

__all__ = ["Started", "Stopped", "Wanted"]


class Stopped(HeadraceError):
    """The service was told to stop before it answered."""

    code = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a service that answers now can tell about itself."""

    url: str
    home: Path
    name: str
    builtin: bool
    """True when there is no headrace.yaml."""
    admin_secret: str | None
    """The first start's admin key, to be shown once."""
    release: str
    interrupted: int
    """Turns that an earlier process left unfinished."""
    ready_s: float
    """Seconds it took until it answered."""
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `run` was asked for."""

    root: Path
    environ: Mapping[str, str]
    host: str | None
    port: int | None
    progress: Progress
    ready: Callable[[Started], None]
