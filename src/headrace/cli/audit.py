"""`headrace audit`: who changed what is served and who may ask, when and why."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from headrace.access.audit import AuditLog, Entry
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment

__all__ = ["audit"]

FAILED = 1


@click.group(cls=Group)
def audit() -> None:
    """See who changed what, when and why, and prove that log.

    Releases that are served, tried and rolled back, tags of prompts, API keys, decisions of the
    review queue, and people who were erased.
    """


@audit.command("list")
@click.option("--action", metavar="ACTION", help="Only these: `release`, `key.revoke`…")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--before", type=int, metavar="NUMBER", help="Only what came before this one.")
@json_option
def list_changes(action: str | None, limit: int, before: int | None, as_json: bool) -> None:
    """List the changes, the newest first; --json has their evidence too."""
    with _log() as log:
        found = log.list(limit=limit, before=before, action=action)
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ["N", "WHEN", "WHO", "ACTION", "~TARGET", "~WHY"], [_row(each) for each in found]
        )
    else:
        click.echo("nothing was changed", err=True)


@audit.command()
@json_option
@click.pass_context
def verify(context: click.Context, as_json: bool) -> None:
    """Check that no entry was changed, taken out or cut off. Exits with 1 if one was.

    Needs the master key, which whoever could have changed one in the database does not have. Write
    the code of the last entry down elsewhere: it tells when the whole database was put back.
    """
    with _log() as log:
        checked = log.verify()
    if as_json:
        print_json(checked)
    elif checked.wrong is None:
        head = f"; code of the last: {checked.head}" if checked.head else ""
        click.echo(f"changes: {checked.rows:,}, all as they were written{head}")
    else:
        click.echo(f"entry {checked.wrong} was changed, or is missing", err=True)
    if checked.wrong is not None:
        context.exit(FAILED)


@contextmanager
def _log() -> Iterator[AuditLog]:
    place = Place.here()
    with place.database() as database:
        yield place.audit(database)


def _row(entry: Entry) -> list[str]:
    target = entry.target[:19] if entry.target.startswith("sha256:") else entry.target
    said = (entry.who, entry.action, target, entry.why)
    return [str(entry.number), as_moment(entry.at), *map(printable, said)]
