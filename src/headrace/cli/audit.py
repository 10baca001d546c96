"""`headrace audit`: who changed what is served and who may ask, when and why."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from headrace.access.audit import AuditLog, Entry
from headrace.cli.checked import tell_checked
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.release.stage import Duration
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment

__all__ = ["audit"]


@click.group(cls=Group)
def audit() -> None:
    """See who changed what, when and why, and prove that log.

    Releases that are served, tried and rolled back, tags of prompts, API keys, decisions of the
    review queue, and people who were erased.
    """


@audit.command("list")
@click.option("--action", metavar="ACTION", help="Only these: `release`, `key.revoke`…")
@click.option(
    "--who", metavar="TEXT", help="Only those of whom this is a part: a name, a key's id."
)
@click.option("--since", "since_s", type=Duration(), metavar="7d", help="Only what is no older.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--before", type=int, metavar="NUMBER", help="Only what came before this one.")
@json_option
def list_changes(
    action: str | None,
    who: str | None,
    since_s: float | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List the changes, the newest first; --json has their evidence too."""
    with _log() as log:
        since = None if since_s is None else time.time() - since_s
        found = log.list(limit=limit, before=before, action=action, who=who, since=since)
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ["N", "WHEN", "WHO", "ACTION", "~TARGET", "~WHY"], [_row(each) for each in found]
        )
    else:
        click.echo(
            "no change fits" if action or who or since_s else "nothing was changed", err=True
        )


@audit.command()
@json_option
def verify(as_json: bool) -> None:
    """Check that no entry was changed, taken out or cut off. Exits with 1 if one was.

    Needs the master key, which whoever could have changed one in the database does not have. Write
    the code of the last entry down elsewhere: it tells when the whole database was put back.
    """
    with _log() as log:
        checked = log.verify()
    tell_checked(checked, "entry", "changes", as_json=as_json)


@contextmanager
def _log() -> Iterator[AuditLog]:
    place = Place.here()
    with place.database() as database:
        yield place.audit(database)


def _row(entry: Entry) -> list[str]:
    target = entry.target[:19] if entry.target.startswith("sha256:") else entry.target
    said = (entry.who, entry.action, target, entry.why)
    return [str(entry.number), as_moment(entry.at), *map(printable, said)]
