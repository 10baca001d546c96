"""What stands in `workflows/NAME.yaml`, field by field."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

__all__ = [
    "QueueFile",
    "Resources",
    "Scalar",
    "ScheduleFile",
    "StepFile",
    "TriggerFile",
    "VariableFile",
    "WorkflowFile",
]

Scalar: TypeAlias = bool | int | float | str | None


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As strict as every file of a service."""


class VariableFile(_Struct, frozen=True):
    """A variable with more than a default."""

    default: Scalar | list[Scalar] = None
    """Its value when `--var NAME=VALUE` gives none; without it, one must be given."""
    description: str = ""
    """For people."""
    choices: list[Scalar] = msgspec.field(default_factory=list)
    """The values that it may have; any without it."""


class Resources(_Struct, frozen=True):
    """What a step needs of the machine that runs it; those that do not fit wait."""

    cpus: Annotated[float, Meta(ge=0)] = 0.0
    """CPU cores."""
    memory_gb: Annotated[float, Meta(ge=0)] = 0.0
    """Gigabytes (10^9 bytes) of memory."""
    gpus: Annotated[int, Meta(ge=0)] = 0
    """GPUs."""


class StepFile(_Struct, frozen=True):
    """One step."""

    operation: str
    """What it does; `headrace workflow operations` lists what there is."""
    description: str = ""
    """For people."""
    parameters: dict[str, object] = msgspec.field(default_factory=dict)
    """The operation's settings. `{{ … }}` fills in variables and what earlier steps gave."""
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    """Files to read, by name: a path in the service's folder, or `{{ steps.NAME.OUTPUT }}`."""
    outputs: dict[str, str] = msgspec.field(default_factory=dict)
    """Files to keep, by name: a path below the step's own folder, `{{ outputs.NAME }}`."""
    needs: list[str] = msgspec.field(default_factory=list)
    """Steps that must have ended well before; those that `{{ steps.… }}` names need not stand here."""
    when: str | None = None
    """Condition, as within `{{ }}`; the step is left out when it does not hold."""
    always: bool = False
    """Run it even when a step that it needs failed or was left out."""
    matrix: dict[str, list[Scalar] | str] = msgspec.field(default_factory=dict)
    """Values by name: the step runs once for each combination, as `{{ matrix.NAME }}`."""
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    """How often it is tried again when it fails."""
    retry_wait_s: Annotated[float, Meta(ge=0, le=86_400)] = 1.0
    """Seconds before the first retry; each later wait is twice as long, ten minutes at most."""
    timeout_s: Annotated[float, Meta(gt=0)] | None = None
    """Seconds that one attempt may take; then its process is ended and it has failed."""
    resources: Resources = msgspec.field(default_factory=Resources)
    """What it needs of the machine."""
    cache: bool = True
    """Leave it out when inputs, parameters and the operation are as in an earlier run."""


class ScheduleFile(_Struct, frozen=True):
    """When it runs by itself."""

    cron: str
    """Five fields: minute, hour, day of the month, month, day of the week."""
    timezone: str = "UTC"
    """A name such as `Europe/Zurich`: the fields are of its wall clocks."""
    catch_up: Literal["skip", "last", "all"] = "last"
    """What to do with times at which nothing ran here: nothing, once for all of them, or each."""
    variables: dict[str, Scalar | list[Scalar]] = msgspec.field(default_factory=dict)
    """Variables of such a run."""


class TriggerFile(_Struct, frozen=True):
    """What makes it run besides the clock: exactly one of the fields before `variables`."""

    new_data: str | None = None
    """A dataset: each new version of it."""
    drift: str | None = None
    """A drift alert: `any`, or the name of the signal that drifted."""
    commit: list[str] | None = None
    """Patterns of files in the service's folder: each commit that changes one; `["**"]` is all."""
    variables: dict[str, Scalar | list[Scalar]] = msgspec.field(default_factory=dict)
    """Variables of such a run."""


class QueueFile(_Struct, frozen=True):
    """Where runs wait for each other, on all machines together."""

    name: str
    """Workflows with the same queue share its places."""
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 1
    """How many runs may be under way at once."""


class WorkflowFile(_Struct, frozen=True):
    """A workflow as it is written."""

    steps: Annotated[dict[str, StepFile], Meta(min_length=1)]
    """The steps by name, in the order in which a person reads them."""
    description: str = ""
    """For people."""
    variables: dict[str, VariableFile | list[Scalar] | bool | int | float | str | None] = (
        msgspec.field(default_factory=dict)
    )
    """Values for a run, with their defaults; one without default (nothing behind it) must be given."""
    queue: QueueFile | None = None
    """Its own by default, with one run at a time."""
    parallel: Annotated[int, Meta(ge=1, le=256)] = 4
    """How many steps of one run may be under way at once."""
    schedule: list[ScheduleFile] = msgspec.field(default_factory=list)
    """When it runs by itself, while `headrace up` runs."""
    triggers: list[TriggerFile] = msgspec.field(default_factory=list)
    """What else makes it run by itself."""
