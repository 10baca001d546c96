"""`run`: a command of the machine."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["Run"]


class RunSettings(Settings, frozen=True):
    """A command."""

    command: Annotated[list[str | int | float], Meta(min_length=1)] | str
    """The program and its arguments, each as it is. One text is only taken with `shell: true`."""
    shell: bool = False
    """Hand a text to `/bin/sh -e`. Never put into it what others wrote."""
    folder: str = ""
    """Where it runs, below the service's folder."""
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables for it, beside those of the service."""
    always: bool = False
    """Run it each time: what it does or reads is more than its inputs, outputs and parameters."""


class Run(Operation):
    """Runs a command, and fails when it does. It gets RUN_ID, STEP and STEP_KEY in its environment."""

    Settings = RunSettings
    returns: ClassVar[tuple[str, ...]] = ()
    runs_apart = True

    def outside(self, settings: msgspec.Struct, context: Context) -> str:
        assert isinstance(settings, RunSettings)
        return f"{context.key}/{context.attempt}" if settings.always else ""

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, RunSettings)
        command = settings.command
        if isinstance(command, str):
            if not settings.shell:
                raise StepFailed(
                    "a command is a list of arguments",
                    hint="write `command: [program, argument]`, or add `shell: true`",
                )
            arguments = ["/bin/sh", "-e", "-c", command]
        elif settings.shell:
            raise StepFailed("with `shell: true` the command is one text")
        else:
            arguments = [str(each) for each in command]
        environment = {
            **context.environ,
            "RUN_ID": context.run_id,
            "STEP": context.step,
            "STEP_KEY": context.key,
            **settings.environment,
        }
        try:
            done = subprocess.run(  # noqa: S603 - the service's own file says what to run
                arguments,
                cwd=context.root / settings.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except OSError as error:
            raise StepFailed(f"{arguments[0]}: {error.strerror}") from error
        sys.stdout.flush()
        if done.returncode:
            raise StepFailed(f"{arguments[0]} ended with status {done.returncode}")
        return {}
