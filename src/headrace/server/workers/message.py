"""What the supervisor and its workers tell each other: one JSON object a line, on pipes.

To a worker: `Begin` (first of all), `Prepare`, `Commit`, `Drop` (a reload), `LearnKeys`, `Drain`,
`End`, `RuntimeIs`. To the supervisor: `Ready`, `Failed`, `Prepared`, `Learned`, `Drained`,
`Fetching`, `NeedRuntime`, `LeaveRuntime`.
"""

from typing import TypeAlias

import msgspec

from headrace.errors import HeadraceError
from headrace.models.embedded.settings import RuntimeSettings

__all__ = [
    "Begin",
    "Commit",
    "Drain",
    "Drained",
    "Drop",
    "End",
    "Failed",
    "Failure",
    "LearnKeys",
    "Learned",
    "LeaveRuntime",
    "NeedRuntime",
    "Prepare",
    "Prepared",
    "Ready",
    "RuntimeIs",
    "ToSupervisor",
    "ToWorker",
    "encode",
]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all messages."""


class Failure(msgspec.Struct, frozen=True):
    """A HeadraceError on its way to the other process."""

    kind: str
    """Name of its class, for the log."""
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: HeadraceError) -> "Failure":
        return cls(type(error).__name__, error.message, error.hint)


class Begin(_Message, frozen=True, kw_only=True):
    """What the worker is to be."""

    slot: int
    """Which of the workers; one that is started again has the same."""
    workers: int
    root: str
    home: str
    host: str
    port: int
    folder: str
    """Where the workers' own sockets are."""
    boot: str
    log: str = "INFO"


class Prepare(_Message, frozen=True, kw_only=True):
    """Load the files as they are now, and say whether they can be used; do not use them yet."""

    version: int


class Commit(_Message, frozen=True, kw_only=True):
    """Use what was prepared: every worker could."""

    version: int


class Drop(_Message, frozen=True, kw_only=True):
    """Do not use what was prepared: a worker could not."""

    version: int


class LearnKeys(_Message, frozen=True, kw_only=True):
    """A key was made; say once you know it."""


class Drain(_Message, frozen=True, kw_only=True):
    """Accept nobody any more, and let what runs end."""

    at_once: bool = False


class End(_Message, frozen=True, kw_only=True):
    """Every worker has drained, so nobody needs what you own any more."""


class RuntimeIs(_Message, frozen=True, kw_only=True):
    """How a runtime stands."""

    name: str
    socket: str = ""
    digest: str = ""
    pid: int | None = None
    is_ready: bool = False
    is_awaited: bool = True
    """Whether waiting for it is worth while."""
    failure: Failure | None = None
    """It did not start, and is not tried again."""


class Ready(_Message, frozen=True, kw_only=True):
    """The worker answers."""

    name: str
    release: str
    builtin: bool
    interrupted: int


class Failed(_Message, frozen=True, kw_only=True):
    """The worker cannot start."""

    failure: Failure


class Prepared(_Message, frozen=True, kw_only=True):
    """Whether the files can be used."""

    version: int
    fingerprint: str = ""
    """Of the files that were read."""
    failure: Failure | None = None


class Learned(_Message, frozen=True, kw_only=True):
    """The keys are known."""


class Drained(_Message, frozen=True, kw_only=True):
    """Nobody is connected any more."""


class NeedRuntime(_Message, frozen=True, kw_only=True):
    """The worker wants weights served."""

    name: str
    """One name for equal settings."""
    settings: RuntimeSettings


class LeaveRuntime(_Message, frozen=True, kw_only=True):
    """The worker does not need them any more."""

    name: str


ToWorker: TypeAlias = Begin | Prepare | Commit | Drop | LearnKeys | Drain | End | RuntimeIs
ToSupervisor: TypeAlias = Ready | Failed | Prepared | Learned | Drained | NeedRuntime | LeaveRuntime

encode = msgspec.json.Encoder().encode
