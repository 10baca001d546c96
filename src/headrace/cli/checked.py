"""What became of a chain of rows that are only added (access/chain.py), as commands say it."""

import click

from headrace.access.chain import Checked
from headrace.cli.terminal import print_json

__all__ = ["tell_checked"]

FAILED = 1


def tell_checked(checked: Checked, one: str, several: str, *, as_json: bool) -> None:
    """Print it, and exit with 1 where a row was changed or is missing.

    Args:
        one, several: what a row is called.
    """
    if as_json:
        print_json(checked)
    elif checked.wrong is None:
        head = f"; code of the last: {checked.head}" if checked.head else ""
        click.echo(f"{several}: {checked.rows:,}, all as they were written{head}")
    else:
        click.echo(f"{one} {checked.wrong} was changed, or is missing", err=True)
    if checked.unkeyed:
        click.echo(
            f"the first {checked.unkeyed:,} are from before there was a key: who can write the "
            "database can have changed them",
            err=True,
        )
    if checked.wrong is not None:
        raise click.exceptions.Exit(FAILED)
