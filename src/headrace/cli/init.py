"""`headrace init`: a commented service to start from."""

from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.schema import KINDS, schema_of
from headrace.cli.terminal import print_json, printable

__all__ = ["init"]


@click.command(cls=Command)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Write a commented service to start from, here or in DIR.

    Nothing is overwritten. The service runs as it is: `headrace up` in the folder.
    """
    from headrace.config.init import write_service

    done = write_service(folder, {kind: schema_of(kind) for kind in KINDS})
    if as_json:
        print_json(
            {
                "folder": str(done.folder.resolve()),
                "written": _names(done.written),
                "kept": _names(done.kept),
            }
        )
        return
    for path in done.written:
        click.echo(f"wrote {printable(str(path))}")
    for path in done.kept:
        click.echo(f"kept  {printable(str(path))} (it was there)")
    enter = "" if folder.resolve() == Path.cwd() else f"cd {printable(str(folder))} && "
    click.echo(f"\nnext: {enter}headrace up")


def _names(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]
