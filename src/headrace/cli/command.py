"""What every command has: `--debug` wherever it is written, and `--json` where it is offered."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import click

__all__ = ["Command", "Group", "Options", "json_option"]

F = TypeVar("F", bound=Callable[..., object])

SETTINGS = {"help_option_names": ["-h", "--help"]}


@dataclass(slots=True)
class Options:
    """What holds for the whole call."""

    debug: bool = False
    """Show the traceback of a failure."""
    as_json: bool = False
    """Another program reads what is printed, failures too."""

    @classmethod
    def of(cls, args: Sequence[str]) -> Self:
        """What a command line asks for, known before it is parsed: that may be what fails."""
        return cls(as_json="--json" in itertools.takewhile(lambda each: each != "--", args))


class Command(click.Command):
    """A command that takes `--debug` too: people add it to the end of the line that failed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        self.params.append(debug_option(hidden=True))


class Group(click.Group):
    """A group whose commands are `Command`s."""

    command_class = Command
    group_class = type

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        self.params.append(debug_option(hidden=True))


def debug_option(*, hidden: bool) -> click.Option:
    """`--debug`: kept in the call's `Options`, not handed to the command."""

    def note(context: click.Context, param: click.Parameter, value: bool) -> None:
        del param
        options = context.find_object(Options)
        if value and options is not None:
            options.debug = True

    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        hidden=hidden,
        callback=note,
        help="Show the traceback when something fails.",
    )


def json_option(command: F) -> F:
    """`--json`, as the argument `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, for other programs to read."
    )(command)
