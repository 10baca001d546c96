"""`run`: a command of the machine."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.workflows.errors import StepFailed
from headrace.workflows.expression import Expression, ExpressionError, references
from headrace.workflows.operation import Context, Mistake, Operation, Settings

__all__ = ["Run"]


class RunSettings(Settings, frozen=True):
    """A command."""

    command: Annotated[list[str | int | float], Meta(min_length=1)] | str
    """The program and its arguments, each as it is. One text is only taken with `shell: true`."""
    shell: bool = False
    """Hand a text to `/bin/sh -e`. It takes no `{{ … }}`, which the shell would run: `environment` does."""
    folder: str = ""
    """Where it runs, below the service's folder."""
    environment: dict[str, object] = msgspec.field(default_factory=dict)
    """Variables for it, beside those of the service. What is no text is written as JSON."""
    always: bool = False
    """Run it each time: what it does or reads is more than its inputs, outputs and parameters."""


class Run(Operation):
    """Runs a command, and fails when it does. It gets RUN_ID, STEP and STEP_KEY in its environment."""

    Settings = RunSettings
    returns: ClassVar[tuple[str, ...]] = ()
    runs_apart = True

    @classmethod
    def mistakes(cls, parameters: Mapping[str, object]) -> Iterator[Mistake]:
        command = parameters.get("command")
        # `shell` may be an expression, too: then nobody knows yet.
        if not isinstance(command, str) or parameters.get("shell", False) is False:
            return
        for _, expression in references(command):
            written = f"{{{{ {expression.text.strip()} }}}}"
            name = _variable_name(expression)
            yield Mistake(
                ("command",),
                f"with `shell: true` the shell would run what {written} comes to",
                f'write "${name}" there, with the quotes, and beside `command` '
                f"`environment: {{{name}: '{written}'}}`",
            )

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
            **{name: _shown(value) for name, value in settings.environment.items()},
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


def _variable_name(expression: Expression) -> str:
    """After what the expression looks up first, for the hint."""
    with suppress(ExpressionError):  # said where expressions are checked
        for path in expression.references:
            return re.sub(r"[^A-Z0-9]", "_", "_".join(map(str, path[-2:])).upper())
    return "VALUE"


def _shown(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()
