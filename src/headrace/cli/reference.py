"""The help of every command as Markdown: the second half of `docs/cli.md`.

`python tools/write_cli_reference.py` puts it there; a test fails when it is not current.
"""

from collections.abc import Iterator

import click

__all__ = ["BEGIN", "END", "placed", "reference"]

BEGIN = "<!-- commands: written by tools/write_cli_reference.py -->"
END = "<!-- commands: end -->"
COLUMNS = 90


def reference(root: click.Group, name: str) -> str:
    """Every command below `root` with its help, in the order of the help pages."""
    return "\n".join(_pages(root, None, name))


def placed(document: str, text: str) -> str:
    """The document with `text` between the two marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the marks {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _pages(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    context = command.context_class(
        command,
        info_name=name,
        parent=parent,
        terminal_width=COLUMNS,
        help_option_names=["-h", "--help"],
    )
    yield f"### {context.command_path}\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None, "a listed command can be had"
            yield from _pages(below, context, each)
