"""`headrace limits`: how much of each limit is used."""

import os
import time

import click
import msgspec

from headrace.access.keys import KeyStore
from headrace.access.limits.build import build_reader
from headrace.access.limits.config import read_limits
from headrace.access.limits.rule import is_money
from headrace.access.limits.usage import Use, current_use
from headrace.access.principal import Principal
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table
from headrace.config.load import load_service
from headrace.console.figure import as_moment

__all__ = ["limits"]


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def limits(context: click.Context, as_json: bool) -> None:
    """See how much of each limit is used: by key, team and model.

    Without a command, the same as `show`.
    """
    if context.invoked_subcommand is None:
        context.invoke(show, as_json=as_json)


@limits.command()
@click.option("--key", metavar="NAME", help="Only limits of the key with this name or id.")
@click.option("--team", metavar="TEAM", help="Only limits of this team.")
@click.option("--used", is_flag=True, help="Only limits of which something is used.")
@json_option
def show(
    key: str | None = None, team: str | None = None, used: bool = False, as_json: bool = False
) -> None:
    """Show what is used of each limit now, reservations of running calls included.

    Read from the database, which a running service is at most a tenth of a second ahead of, or
    from the Redis of limits.redis. Calls at a time are known to Redis only.
    """
    place = Place.here()
    service = load_service(place.root, os.environ)
    declared = read_limits(service.limits)
    if not declared.rules:
        click.echo("no limits are declared; `limits:` in headrace.yaml sets them", err=True)
    now = time.time()
    with place.database() as database:
        keys = [
            Principal(each.id, each.name, each.role, each.team)
            for each in KeyStore.open(database).list()
            if each.revoked_at is None
        ]
        reader = build_reader(declared, database, now=now)
        found = current_use(declared, keys, list(service.models), reader, now=now)
    shown = [
        each
        for each in found
        if (key is None or key in (each.key, each.key_id))
        and (team is None or team == each.team)
        and (each.used or not used)
    ]
    if as_json:
        print_json([msgspec.to_builtins(each) for each in shown])
    elif shown:
        columns = ["~WHO", "~MODEL", "LIMIT", ">USED", ">OF", ">LEFT", "RESETS"]
        print_table(columns, [_row(each) for each in shown])


def _row(use: Use) -> list[str]:
    who = use.key or (f"team {use.team}" if use.team else "service")
    left = None if use.used is None else max(0.0, use.allowed - use.used)
    return [
        who,
        use.model or "any",
        use.limit.replace("_", " "),
        _figure(use, use.used),
        _figure(use, use.allowed),
        _figure(use, left),
        "slides" if use.limit.endswith("minute") else _resets(use),
    ]


def _resets(use: Use) -> str:
    return "" if use.resets_at is None else as_moment(use.resets_at)


def _figure(use: Use, amount: float | None) -> str:
    if amount is None:
        return "?"
    return f"${amount:,.2f}" if is_money(use.limit) else f"{amount:,.0f}"
