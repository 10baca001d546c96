"""Which release a service serves: a channel, and the file that tells a running service of it.

The database holds every move with who and why; the file `serving.json` says the folder to load
from, and is replaced whole, so that a service which looks at it needs no lock.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

__all__ = [
    "PRODUCTION",
    "SERVING_FILE",
    "Canary",
    "Serving",
    "moving",
    "read_serving",
    "served_root",
    "write_serving",
]

PRODUCTION = "production"
SERVING_FILE = "serving.json"


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """A release on trial: it answers a share of the turns, more from stage to stage."""

    release: str
    name: str
    folder: str
    behaviour: str
    """What its answers carry; by it its turns are told apart."""
    shares: list[float]
    """Of each stage, from 0 to 1; after the last stage it is what is served."""
    every_s: float
    """How long a stage lasts."""
    watch: list[str]
    """Rules, as they were written."""
    who: str
    id: str = ""
    """Of this trial alone, though the same release may be tried again."""
    is_shadow: bool = False
    """It answers copies of turns, which nobody sees, and is never served for it."""
    stage: int = 0
    since: float = 0.0
    """When this stage began; 0: it waits to be loaded."""
    began: float = 0.0

    @property
    def share(self) -> float:
        return self.shares[self.stage]


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What `production` is."""

    release: str
    """Digest of the release; empty: the folder's files."""
    name: str
    """What people call it: r3."""
    folder: str
    """Where its files lie; empty: the service's own folder."""
    canary: Canary | None = None
    """What is on trial beside it."""


def read_serving(home: Path) -> Serving | None:
    """The release that is served; None: the folder's files are."""
    try:
        return msgspec.json.decode((home / SERVING_FILE).read_bytes(), type=Serving)
    except (OSError, msgspec.MsgspecError):
        return None


def write_serving(home: Path, serving: Serving | None) -> None:
    """Tell whoever serves this home."""
    path = home / SERVING_FILE
    part = path.with_suffix(".part")
    part.write_bytes(b"null" if serving is None else msgspec.json.encode(serving))
    part.replace(path)


def served_root(root: Path, home: Path) -> Path:
    """The folder that the service is loaded from: the release's, else its own."""
    serving = read_serving(home)
    return root if serving is None or not serving.folder else Path(serving.folder)


@contextmanager
def moving(home: Path) -> Iterator[None]:
    """One at a time may change what is served."""
    with (home / "serving.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
