"""`headrace screen review`: what policies gave to a person to decide."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from headrace.cli.checked import tell_checked
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment
from headrace.screening.review import DECISIONS, Review, ReviewStore

__all__ = ["review"]


@click.group(cls=Group)
def review() -> None:
    """List, read and decide what policies gave to a person.

    Works beside a running service and without one. Deciding sends nothing to the user.
    """


@review.command("list")
@click.option("--decided", is_flag=True, help="Those that are decided, not those that wait.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
def list_reviews(decided: bool, limit: int, as_json: bool) -> None:
    """List entries, the newest first."""
    with _store() as store:
        entries = store.list(decided=decided, limit=limit)
    if as_json:
        print_json([msgspec.to_builtins(each) for each in entries])
    elif entries:
        print_table(
            ["ID", "CREATED", "SIDE", "KIND", ">SCORE", "SENT", "DECISION"],
            [_row(each) for each in entries],
        )
    else:
        click.echo("nothing decided yet" if decided else "nothing waits", err=True)


@review.command()
@click.argument("entry")
@json_option
def show(entry: str, as_json: bool) -> None:
    """Show ENTRY with its text, decrypted, and what was decided. The end of its id is enough."""
    with _store() as store:
        found = store.get(entry)
    if as_json:
        print_json(found)
    else:
        _print(found)


@review.command()
@click.argument("entry")
@click.argument("decision", type=click.Choice(DECISIONS))
@click.option("--reason", required=True, help="Why; kept encrypted.")
@click.option("--who", default="", help="Who decides; absent: the user of this machine.")
@json_option
def decide(entry: str, decision: str, reason: str, who: str, as_json: bool) -> None:
    """Note whether ENTRY would have been right to send, and why. The last decision counts."""
    with _store() as store:
        found = store.decide(entry, decision, reason, who=who or f"cli:{getpass.getuser()}")
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found.id}: {decision}")


@review.command()
@json_option
def verify(as_json: bool) -> None:
    """Check that no decision was changed, taken out or cut off. Exits with 1 if one was.

    Needs the master key, which whoever could have changed one does not have.
    """
    with _store() as store:
        checked = store.verify()
    tell_checked(checked, "decision", "decisions", as_json=as_json)


@contextmanager
def _store() -> Iterator[ReviewStore]:
    from headrace.privacy.vault import Vault

    place = Place.here()
    with place.database() as database:
        yield ReviewStore(database, Vault.open(database, place.home, environ=os.environ))


def _row(entry: Review) -> list[str]:
    return [
        entry.id,
        as_moment(entry.created_at),
        entry.side,
        entry.kind,
        f"{entry.score:.2f}",
        "no" if entry.withheld else "yes",
        entry.decision or "-",
    ]


def _print(entry: Review) -> None:
    click.secho(f"{entry.id}  {entry.kind} ({entry.side})", bold=True)
    told = {
        "created": as_moment(entry.created_at),
        "trace": entry.trace_id,
        "policy": entry.policy,
        "detector": f"{entry.detector}, score {entry.score:.2f}",
        "model": entry.model,
        "sent": "no: the user waits" if entry.withheld else "yes",
    }
    for name, value in told.items():
        click.echo(printable(f"{name:<9} {value}"))
    click.echo()
    click.echo(
        printable(entry.text, lines=True) or "(its text is not kept, or can no longer be read)"
    )
    for each in entry.decisions:
        click.echo()
        click.echo(printable(f"{as_moment(each.decided_at)}  {each.decision} by {each.who}"))
        click.echo(printable(each.reason, lines=True))
