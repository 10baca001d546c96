"""Which adapters are served under names of their own without being declared: finished fine-tunes.

`HOME/adapters/served.json`, replaced whole; a running service looks at it as at its own files, so
that a new name works within a second and an old one ends once its turns have.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.access.principal import Principal
from headrace.config.model import ModelConfig
from headrace.models.adapter import ADAPTERS

__all__ = ["SERVED_FILE", "Tuned", "TunedModel", "read_tuned", "serve_tuned", "withdraw_tuned"]

SERVED_FILE = f"{ADAPTERS}/served.json"
"""In the home."""


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter with a name that clients ask for, such as `ft:assistant:acme::0192…`."""

    name: str
    base: str
    """Name of the model of headrace.yaml that it sits on."""
    digest: str
    """Of the adapter in the store."""
    sha256: str | None = None
    """Of its GGUF file, when it was made."""
    created_at: float
    key_id: str
    """Whose it is: other keys do not see it."""
    team: str = ""
    """Of that key, whose other keys see it as well; empty: none."""

    def is_open_to(self, principal: Principal) -> bool:
        """Whether this key may use it: an adapter tells what it was trained on."""
        return (
            principal.is_admin
            or principal.key_id == self.key_id
            or (bool(self.team) and principal.team == self.team)
        )


@dataclass(frozen=True, slots=True)
class TunedModel:
    """One that is served, as if headrace.yaml declared it."""

    served: Tuned
    config: ModelConfig


def read_tuned(home: Path) -> Mapping[str, Tuned]:
    """What is to be served, by name, oldest first."""
    try:
        found = msgspec.json.decode((home / SERVED_FILE).read_bytes(), type=list[Tuned])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {each.name: each for each in found}


def serve_tuned(home: Path, tuned: Tuned) -> None:
    """Serve it from now on; again changes nothing."""
    with _changing(home) as served:
        served.setdefault(tuned.name, tuned)


def withdraw_tuned(home: Path, name: str) -> bool:
    """Serve it no longer; whether it was. The adapter itself stays in the store."""
    with _changing(home) as served:
        return served.pop(name, None) is not None


@contextmanager
def _changing(home: Path) -> Iterator[dict[str, Tuned]]:
    """The list to change; written, if it was, when the block ends."""
    path = home / SERVED_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        before = dict(read_tuned(home))
        served = dict(before)
        yield served
        if served != before:
            part = path.with_suffix(".part")
            part.write_bytes(msgspec.json.format(msgspec.json.encode(list(served.values()))))
            part.replace(path)
