"""Operations: what a step of a workflow does. Yours too: see `docs/workflows.md`.

An operation may be begun again after its process was killed, so what it does must be safe to
repeat: it writes into `context.folder`, which is published only when it returns. For an effect
elsewhere, `context.key` is the same each time it is begun again and of no other step.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import msgspec

from headrace.errors import ConfigError
from headrace.workflows.errors import StepStopped

if TYPE_CHECKING:
    from headrace.storage.database import Database

__all__ = [
    "Context",
    "Mistake",
    "Operation",
    "Settings",
    "operation_names",
    "operation_type",
    "operation_types",
]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every operation's settings, as written under a step's `parameters:`."""


def _no_database() -> "Database":
    raise AssertionError("this context has no database")


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where a step runs, and what it is given."""

    root: Path
    """The service's folder."""
    home: Path
    """Its state."""
    environ: Mapping[str, str]
    run_id: str
    workflow: str
    step: str
    attempt: int
    """From 1; higher when it failed, or was killed, before."""
    folder: Path
    """Empty at the start. What `outputs` names is kept of it, when the operation returns."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Files and folders to read, by the names under the step's `inputs:`. Never to be written."""
    outputs: Mapping[str, Path] = field(default_factory=dict)
    """Files and folders to write, by the names under its `outputs:`."""
    who: str = ""
    """Who, or what, started the run."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the run was cancelled: whoever takes long asks now and then, and returns."""
    say: Callable[[str], None] = lambda _: None
    """Tell whoever watches how far it is: one line, over the one before."""
    database: "Callable[[], Database]" = _no_database

    @property
    def key(self) -> str:
        """Of this step of this run alone, the same each time that it is begun again."""
        return f"{self.run_id}/{self.step}"

    @property
    def memo(self) -> Path:
        """A file for what must be remembered should this step be begun again; gone with the run."""
        name = self.folder.name.rpartition(".")[0].rpartition(".")[0]
        return self.folder.parent / f"{name}.memo"

    def remember(self, text: str) -> None:
        """Write the memo: a process that is killed meanwhile leaves the one before, or none."""
        part = self.memo.with_suffix(".part")
        part.write_text(text, "utf-8")
        part.replace(self.memo)

    def remembered(self) -> str | None:
        """What the memo says, if an earlier attempt has written one."""
        return self.memo.read_text("utf-8") if self.memo.exists() else None

    def check(self) -> None:
        """Raises StepStopped when the run was cancelled."""
        if self.stopping():
            raise StepStopped(f"{self.step}: the run was cancelled")


class Mistake(NamedTuple):
    """Something wrong in a workflow's file."""

    at: tuple[str | int, ...]
    """Where, below `parameters`."""
    message: str
    hint: str


class Operation(Protocol):
    """What a step does. Subclass it, give `Settings` and `run`, and name it as an entry point.

    An instance is made without arguments for every step that it is to do.
    """

    version: ClassVar[str] = "1"
    """Raise it when the same settings and inputs come to something else."""
    Settings: ClassVar[type[msgspec.Struct]] = Settings
    returns: ClassVar[tuple[str, ...] | None] = None
    """Names of the values that `run` gives, so that a wrong one is found before; None: any."""
    writes: ClassVar[Mapping[str, str]] = {}
    """Outputs that it always has: their names, and the file or folder that it writes."""
    is_repeatable: ClassVar[bool] = True
    """Whether the same inputs and settings come to the same, so that it can be left out."""
    runs_apart: ClassVar[bool] = False
    """Whether it takes long: it gets a process of its own, which cancelling ends at once."""
    is_waiting: ClassVar[bool] = False
    """Whether it only waits for something outside: it holds none of the machine's resources."""

    @classmethod
    def mistakes(cls, parameters: Mapping[str, object]) -> Iterator[Mistake]:
        """What is wrong with parameters as they stand in the file, beyond their names and types."""
        return iter(())

    def outside(self, settings: msgspec.Struct, context: Context) -> str:
        """What else than settings and inputs the result depends on, as a text that changes with it.

        Asked before `run`, to see whether anything has changed. The folder is not there yet.
        """
        return ""

    def still_holds(self, values: Mapping[str, object], context: Context) -> bool:
        """Whether what an earlier run gave is still there, where it lies outside the step's files."""
        return True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        """Do it; gives small values for later steps, as JSON can hold them.

        Raises:
            HeadraceError: it cannot be done; the step fails, or is tried again.
        """
        ...


@cache
def _entries() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group="headrace.operations"):
        known = found.setdefault(entry.name, entry)
        if known.value != entry.value:
            raise ConfigError(
                f"two packages bring an operation named {entry.name!r}: {known.value} and "
                f"{entry.value}",
                hint="remove one of them, or rename the entry point in your own package",
            )
    return found


def operation_names() -> list[str]:
    """The names of all installed operations."""
    return sorted(_entries())


@cache
def operation_type(name: str) -> type[Operation]:
    """An installed operation.

    Raises:
        ConfigError: its package cannot be imported.
        KeyError: there is none of that name.
    """
    entry = _entries()[name]
    try:
        found: type[Operation] = entry.load()
    except Exception as error:
        raise ConfigError(
            f"the operation {name!r} ({entry.value}) cannot be loaded: {error}",
            hint="mend or remove its package",
        ) from error
    return found


def operation_types() -> Mapping[str, type[Operation]]:
    """Every installed operation by name; raises ConfigError for the first that cannot be loaded."""
    return {name: operation_type(name) for name in operation_names()}
