"""`headrace doctor`: what `server/doctor/` finds, printed."""

import os

import click
from rich.text import Text

from headrace import __version__
from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import console, print_json, printable
from headrace.server.doctor.examine import examine
from headrace.server.doctor.result import Result, worst

__all__ = ["doctor"]

NAME_CELLS = 12
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command(cls=Command)
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check this machine and this folder's service; say what to mend.

    Changes nothing. Exits with 1 if something would keep the service from working.
    """
    place = Place.here()
    results: list[Result] = []
    for result in examine(place.root, os.environ):
        results.append(result)
        if not as_json:
            _print(result)
    status = worst(results)
    if as_json:
        print_json({"status": status, "version": __version__, "checks": results})
    else:
        click.echo(_told(results))
    context.exit(1 if status == "fail" else 0)


def _print(result: Result) -> None:
    terminal = console()
    indent = " " * (NAME_CELLS + 6)
    head = Text.assemble(
        (f"{result.status:<5}", _STYLES[result.status]), f"{result.check:<{NAME_CELLS}} "
    )
    terminal.print(head.append(printable(result.message)), soft_wrap=True)
    if result.hint:
        terminal.print(Text(f"{indent}{printable(result.hint)}", "bold"), soft_wrap=True)


def _told(results: list[Result]) -> str:
    failed = sum(each.status == "fail" for each in results)
    warned = sum(each.status == "warn" for each in results)
    if failed:
        return f"\n{failed} to mend" + (f", {warned} to look at" if warned else "")
    return f"\nnothing to mend, {warned} to look at" if warned else "\nall is well"
