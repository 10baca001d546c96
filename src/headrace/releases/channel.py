"""Which release a service serves: a channel, and the file that tells a running service of it.

The database holds every move with who and why; the file `serving.json` says the folder to load
from, and is replaced whole, so that a service which looks at it needs no lock.
"""

from pathlib import Path

import msgspec

__all__ = ["PRODUCTION", "SERVING_FILE", "Serving", "read_serving", "served_root", "write_serving"]

PRODUCTION = "production"
SERVING_FILE = "serving.json"


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What `production` is."""

    release: str
    """Digest of the release."""
    name: str
    """What people call it: r3."""
    folder: str
    """Where its files lie."""


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
    return root if serving is None else Path(serving.folder)
