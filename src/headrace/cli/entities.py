"""`headrace entities`: the names that this service knows, and what it finds in a text."""

import os
from collections import Counter
from datetime import UTC, datetime

import click

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.load import load_service
from headrace.errors import InvalidRequest
from headrace.knowledge.entities.settings import Glossary

__all__ = ["entities"]


@click.group(cls=Group)
def entities() -> None:
    """See which names the service knows, and what it finds in a text.

    Names are those of entities: in headrace.yaml, or of entities.yaml, and of entities.csv; with
    `documents: true` also the titles of the knowledge base's documents.
    """


@entities.command("list")
@json_option
def list_entities(as_json: bool) -> None:
    """List the names, with what else they are called and who may be told."""
    glossary = _glossary()
    if as_json:
        print_json(glossary)
        return
    if not glossary.entities:
        click.echo("there are no names: write entities.yaml or entities.csv", err=True)
        return
    shared = Counter(alias for each in glossary.entities for alias in (each.name, *each.aliases))
    rows = [
        [
            each.kind,
            each.name,
            ", ".join(f"{alias} *" if shared[alias] > 1 else alias for alias in each.aliases),
            ",".join(each.readers) or "everyone",
        ]
        for each in glossary.entities
    ]
    print_table(["KIND", "~NAME", "~ALIASES", "READERS"], rows)
    if any(count > 1 for count in shared.values()):
        click.echo("* more than one is called so: the words around decide", err=True)


@entities.command()
@click.argument("text")
@click.option("--timezone", default="UTC", show_default=True, help="Where dates are meant.")
@click.option("--at", "at", default="", metavar="TIME", help="When, as 2026-11-25T12:00; else now.")
@click.option("--role", "roles", multiple=True, help="As someone of this role; repeatable.")
@click.option("--context", multiple=True, metavar="TEXT", help="What was said before; repeatable.")
@json_option
def link(
    text: str,
    timezone: str,
    at: str,
    roles: tuple[str, ...],
    context: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what TEXT names, as `ground` finds it. Without --role, all that the service knows."""
    from headrace.knowledge.entities.link import EntityLinker
    from headrace.knowledge.entities.zone import EXAMPLES, zone_named

    zone = zone_named(timezone)
    if zone is None:
        raise InvalidRequest(f"there is no time zone {timezone!r}", hint=f"such as {EXAMPLES}")
    try:
        now = datetime.fromisoformat(at) if at else datetime.now(UTC)
    except ValueError as error:
        raise InvalidRequest(f"{at!r} is no time", hint="such as 2026-11-25T12:00") from error
    links = EntityLinker(_glossary()).link(
        text,
        now=now if now.tzinfo else now.replace(tzinfo=zone),
        timezone=zone,
        context=context,
        roles=frozenset(roles) if roles else None,
    )
    if as_json:
        print_json([{"text": text[each.start : each.end], **_fields(each)} for each in links])
    elif links:
        rows = [
            [each.kind, text[each.start : each.end], each.id or "(not known)",
             f"{each.score:.2f}", f"{each.start}-{each.end}"]
            for each in links
        ]  # fmt: skip
        print_table(["KIND", "~TEXT", "~LINKED TO", ">SCORE", ">AT"], rows)
        for line in dict.fromkeys(each.fact for each in links if each.fact):
            click.echo(f"fact: {printable(line)}")
    else:
        click.echo("nothing is named in it", err=True)


def _glossary() -> Glossary:
    from headrace.server.knowledge import read_glossary

    place = Place.here()
    return read_glossary(load_service(place.root, os.environ), place.home, os.environ)


def _fields(link: object) -> dict[str, object]:
    import msgspec

    fields = msgspec.to_builtins(link)
    assert isinstance(fields, dict)
    return fields
