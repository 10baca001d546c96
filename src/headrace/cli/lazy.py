"""A group that knows its commands' names and first lines, and imports one when it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from headrace.cli.command import Group

__all__ = ["Lazy", "LazyGroup"]


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is not imported yet. A test compares `summary` with the command's own."""

    module: str
    attribute: str
    summary: str


class LazyGroup(Group):
    """A group of commands that are imported one at a time."""

    def __init__(self, *args: object, lazy: Mapping[str, Lazy], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy)
        # Stand-ins, for what lists commands: help, completion and the nearest-name hint.
        self.commands.update(
            {name: click.Command(name, help=each.summary) for name, each in lazy.items()}
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The real command, imported now."""
        entry = self._lazy.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer meets them."""
        return list(self._lazy)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands of the help page, from the stand-ins."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.summary) for name, each in self._lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin with what is typed, and options."""
        return [
            CompletionItem(name, help=each.summary)
            for name, each in self._lazy.items()
            if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)
