"""`headrace subject`: what is kept of one person, and its end."""

import os
from dataclasses import asdict

import click

from headrace.access.audit import Change
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place, who
from headrace.cli.terminal import print_json
from headrace.datasets.store import DatasetStore
from headrace.privacy.subject import Holdings, holdings
from headrace.privacy.subject import erase as erase_subject
from headrace.privacy.vault import Vault

__all__ = ["subject"]


@click.group(cls=Group)
def subject() -> None:
    """See what is kept of one person, and erase it.

    A person goes by the name that requests give in `user`; who sends none is the API key's id.
    """


@subject.command()
@click.argument("person")
@json_option
def show(person: str, as_json: bool) -> None:
    """Show how much is kept of PERSON, and in which datasets."""
    place = Place.here()
    with place.database() as database:
        vault = Vault.open(database, place.home, environ=os.environ)
        found = holdings(database, vault, person)
        datasets = DatasetStore(database, vault, place.home).of_subject(found.subject)
    _print(found, datasets, as_json=as_json)


@subject.command()
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--why", default="", metavar="TEXT", help="For the audit log; name nobody in it.")
@json_option
def erase(person: str, yes: bool, why: str, as_json: bool) -> None:
    """Make everything about PERSON unreadable, for good and in every copy of the files.

    Their key is destroyed: texts of traces, rows of datasets and evidence of consents can never be
    read again; conversations are deleted. Figures without texts stay.
    """
    if not yes:
        click.confirm("This cannot be taken back. Erase?", abort=True, err=True)
    place = Place.here()
    with place.database() as database:
        vault = Vault.open(database, place.home, environ=os.environ)
        subject_id = vault.subject_id(person)
        datasets = DatasetStore(database, vault, place.home).of_subject(subject_id)
        change = Change(
            who=who(),
            action="subject.erase",
            target=subject_id,
            why=why,
            evidence={"datasets": datasets},
        )
        place.audit(database).record(change)  # first: what is erased cannot be noted afterwards
        before = erase_subject(database, vault, person)
    _print(before, datasets, as_json=as_json)
    if not as_json:
        click.echo("erased; what was trained on rows of these datasets must be trained anew")


def _print(found: Holdings, datasets: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(found), "datasets": datasets})
        return
    click.echo(
        f"{found.subject}  {'' if found.has_key else 'no key: nothing can be read'}".rstrip()
    )
    for what in ("traces", "conversations", "messages", "consents"):
        click.echo(f"  {getattr(found, what):>8,} {what}")
    for name, rows in datasets.items():
        click.echo(f"  {rows:>8,} rows of {name}")
