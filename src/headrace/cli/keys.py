"""`headrace keys`: the API keys of this folder's service."""

import click

from headrace.access.keys import ApiKey, KeyStore
from headrace.access.principal import RoleName
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place, who
from headrace.cli.suggest import complete_keys
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment

__all__ = ["keys"]


@click.group(cls=Group)
def keys() -> None:
    """Make, list and revoke API keys.

    A running service takes changes over within about a second.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["user", "admin"]),
    default="user",
    show_default=True,
    help="admin may also see every trace and manage keys.",
)
@click.option("--team", default="", metavar="TEAM", help="Whose limits the key shares.")
@click.option("--why", default="", metavar="TEXT", help="For the audit log.")
@json_option
def create(name: str, role: RoleName, team: str, why: str, as_json: bool) -> None:
    """Make a key called NAME and print its secret, this once.

    Only the secret goes to standard output, so `KEY=$(headrace keys create ci)` works.
    """
    place = Place.here()
    with place.new_database() as database:
        store = KeyStore.open(database, place.audit(database))
        secret, key = store.create(name, role, team=team, who=who(), why=why)
    if as_json:
        print_json({**_described(key), "secret": secret})
        return
    click.echo(secret)
    of_team = f", team {printable(team)!r}" if team else ""
    click.echo(f"key {printable(name)!r} ({role}{of_team}), id {key.id}; shown this once", err=True)


@keys.command("list")
@click.option("--all", "with_revoked", is_flag=True, help="Show revoked keys too.")
@json_option
def list_keys(with_revoked: bool, as_json: bool) -> None:
    """List the keys; secrets are not kept, only their last four characters."""
    with Place.here().database() as database:
        listed = KeyStore.open(database).list()
    shown = [key for key in listed if with_revoked or key.revoked_at is None]
    if as_json:
        print_json([_described(key) for key in shown])
        return
    if not shown:
        click.echo("no keys; `headrace keys create NAME` makes one", err=True)
        return
    columns = ["ID", "~NAME", "ROLE", "~TEAM", "SECRET", "CREATED"] + ["REVOKED"] * with_revoked
    print_table(columns, [_row(key)[: len(columns)] for key in shown])


@keys.command()
@click.argument("key_id", metavar="ID", shell_complete=complete_keys)
@click.option("--why", default="", metavar="TEXT", help="For the audit log.")
@json_option
def revoke(key_id: str, why: str, as_json: bool) -> None:
    """Make a key invalid for good. ID may be any beginning or ending that only one key has."""
    place = Place.here()
    with place.database() as database:
        store = KeyStore.open(database, place.audit(database))
        key = store.revoke(key_id, who=who(), why=why)
        admins = [k for k in store.list() if k.role == "admin" and k.revoked_at is None]
    if as_json:
        print_json(_described(key))
    else:
        click.echo(f"revoked {printable(key.name)!r} ({key.role}), id {key.id}")
    if not admins:
        click.echo("no admin key is left; the next `headrace up` makes and prints one", err=True)


def _described(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "team": key.team or None,
        "secret_ends_with": key.hint,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _row(key: ApiKey) -> list[str]:
    revoked = "" if key.revoked_at is None else as_moment(key.revoked_at)
    return [
        key.id,
        key.name,
        key.role,
        key.team,
        f"…{key.hint}",
        as_moment(key.created_at),
        revoked,
    ]
