"""`headrace consent`: what people allow."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.release.stage import Duration
from headrace.cli.terminal import print_json, print_table
from headrace.console.figure import as_moment
from headrace.privacy.consent import PURPOSES, Consent, ConsentStore
from headrace.privacy.vault import Vault

__all__ = ["consent"]

_purpose = click.option(
    "--for", "purpose", type=click.Choice(PURPOSES), required=True, help="What it allows."
)


@click.group(cls=Group)
def consent() -> None:
    """Note what people allow their data to be used for, and take it back.

    A person goes by the name that requests give in `user`. Nothing is allowed that was not given.
    """


@consent.command()
@click.argument("person")
@_purpose
@click.option("--evidence", default="", metavar="TEXT", help="What it rests on: a form, a ticket.")
@click.option("--valid", "valid_s", type=Duration(), help="How long it holds: 90d.")
@json_option
def give(person: str, purpose: str, evidence: str, valid_s: float | None, as_json: bool) -> None:
    """Note that PERSON allows a purpose."""
    until = None if valid_s is None else time.time() + valid_s
    with _store(make=True) as consents:
        given = consents.give(person, purpose, evidence=evidence, until=until)
    if as_json:
        print_json(given)
    else:
        click.echo(f"noted: consent {given.id} for {purpose}")


@consent.command()
@click.argument("person")
@_purpose
@json_option
def withdraw(person: str, purpose: str, as_json: bool) -> None:
    """End what PERSON allowed. Datasets that are made from now on are without them."""
    with _store() as consents:
        ended = consents.withdraw(person, purpose)
    if as_json:
        print_json({"withdrawn": ended})
    else:
        click.echo(f"{ended} consents for {purpose} have ended" if ended else "none held")


@consent.command("list")
@click.argument("person")
@json_option
def list_consents(person: str, as_json: bool) -> None:
    """List what PERSON ever allowed, newest first."""
    with _store() as consents:
        found = consents.of(person)
    if as_json:
        print_json(found)
    elif found:
        now = time.time()
        columns = ["CONSENT", "PURPOSE", "HOLDS", "GIVEN", "ENDS", "~EVIDENCE"]
        print_table(columns, [_row(each, now) for each in found])
    else:
        click.echo("nothing was ever allowed", err=True)


def _row(found: Consent, now: float) -> list[str]:
    end = found.withdrawn_at or found.until
    return [
        found.id,
        found.purpose,
        "yes" if found.holds(now) else "no",
        as_moment(found.given_at),
        "" if end is None else as_moment(end),
        found.evidence,
    ]


@contextmanager
def _store(*, make: bool = False) -> Iterator[ConsentStore]:
    place = Place.here()
    with place.new_database() if make else place.database() as database:
        yield ConsentStore(database, Vault.open(database, place.home, environ=os.environ))
