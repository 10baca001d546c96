"""`headrace knowledge`: what answers stand on, brought up to date, looked at and searched."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress
from headrace.cli.terminal import console, print_json, print_table, printable
from headrace.config.load import load_service
from headrace.errors import HeadraceError
from headrace.knowledge.settings import KnowledgeSection, SourceSettings, read_knowledge

if TYPE_CHECKING:
    from headrace.knowledge.index.place import IndexPlace, Store
    from headrace.knowledge.ingest import Report
    from headrace.knowledge.passage import Passage
    from headrace.knowledge.read.source import Source

__all__ = ["knowledge", "synced"]

SNIPPET = 160
_EMPTY = "there are no documents: `headrace knowledge add PATH`"


@click.group(cls=Group)
def knowledge() -> None:
    """Fill, search and keep up to date what answers stand on.

    Sources are those of knowledge.sources in headrace.yaml and those that `add` names.
    """


@knowledge.command()
@click.argument("sources", nargs=-1, required=True, metavar="PATH|URL…")
@click.option("--readers", default="", help="Roles that may read it, with commas; else everyone.")
@click.option("--title", default="", help="Title of the document, for one file or URL.")
@click.option("--meta", multiple=True, metavar="NAME=VALUE", help="Metadata to filter by.")
@json_option
def add(
    sources: tuple[str, ...], readers: str, title: str, meta: tuple[str, ...], as_json: bool
) -> None:
    """Add files, folders or addresses, and bring the index up to date.

    Fails when something could not be read; the rest is added all the same.
    """
    metadata = dict(each.partition("=")[::2] for each in meta)
    if any("=" not in each for each in meta):
        raise click.UsageError("--meta takes NAME=VALUE")
    roles = tuple(each.strip() for each in readers.split(",") if each.strip())
    named = [
        SourceSettings(
            path="" if _is_url(each) else str(Path(each).resolve()),
            url=each if _is_url(each) else "",
            title=title,
            readers=roles,
            metadata=metadata,
        )
        for each in sources
    ]
    _finish(synced(Place.here().made(), named), as_json=as_json)


@knowledge.command()
@json_option
def sync(as_json: bool) -> None:
    """Read what is new or changed, drop what is gone; what has not changed is not touched."""
    _finish(synced(Place.here().made(), []), as_json=as_json)


@knowledge.command()
@click.argument("names", nargs=-1, required=True, metavar="SOURCE…")
@json_option
def remove(names: tuple[str, ...], as_json: bool) -> None:
    """Take sources out that `add` named, with their documents."""
    from headrace.knowledge.errors import UnknownDocument

    place = Place.here().made()
    with _index(place).store() as store:
        known = {each.name for each in store.sources()}
        found = [each if each in known else str(Path(each).resolve()) for each in names]
        for given, name in zip(names, found, strict=True):
            if name not in known:
                raise UnknownDocument(
                    f"no source {given!r} was added by command",
                    hint="those of headrace.yaml go by removing them there; `headrace knowledge list`",
                )
        for name in found:
            store.remove_source(name)
    _finish(synced(place, []), as_json=as_json)


@knowledge.command("list")
@json_option
def list_documents(as_json: bool) -> None:
    """List the documents, with their chunks and who may read them."""
    found = _index(Place.here()).documents()
    if as_json:
        print_json(found)
    elif found:
        rows = [
            [each.uri, each.title, f"{each.chunks:,}", ",".join(each.readers) or "everyone"]
            for each in found
        ]
        print_table(["~DOCUMENT", "~TITLE", ">CHUNKS", "READERS"], rows)
    else:
        click.echo(_EMPTY, err=True)


@knowledge.command()
@json_option
def stats(as_json: bool) -> None:
    """Show how much there is: documents, chunks, megabytes, version."""
    found = _index(Place.here()).statistics()
    if as_json:
        print_json(found)
        return
    click.echo(f"version    {found.version[:16] or 'none yet'}")
    click.echo(f"documents  {found.documents:,}")
    click.echo(f"chunks     {found.chunks:,}")
    click.echo(f"on disk    {found.size_bytes / 1e6:.1f} MB")


@knowledge.command()
@click.argument("query")
@click.option("-n", "limit", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--role", "roles", multiple=True, help="Search as someone of this role; repeatable.")
@click.option("--filter", "filters", multiple=True, metavar="NAME=VALUE")
@json_option
def search(
    query: str, limit: int, roles: tuple[str, ...], filters: tuple[str, ...], as_json: bool
) -> None:
    """Search as `ground` does. Without --role, only what everyone may read."""
    if any("=" not in each for each in filters):
        raise click.UsageError("--filter takes NAME=VALUE")
    wanted = dict(each.partition("=")[::2] for each in filters)
    found = asyncio.run(_searched(Place.here(), query, limit, frozenset(roles), wanted))
    if as_json:
        print_json(found)
        return
    for each in found:
        where = " › ".join(dict.fromkeys((each.title, *each.headings)))
        page = f", page {each.page}" if each.page else ""
        click.echo(printable(f"{each.score:.3f}  {where}  ({each.uri}{page})"))
        click.echo(printable(f"       {_snippet(each.text)}"))
    if not found:
        is_empty = not _index(Place.here()).statistics().documents
        click.echo(_EMPTY if is_empty else "nothing was found", err=True)


def _index(place: Place) -> "IndexPlace":
    from headrace.knowledge.index.place import IndexPlace

    return IndexPlace(place.home, place.server)


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _section(place: Place) -> KnowledgeSection:
    # Documents may be gathered before there is a service.
    if not (place.root / "headrace.yaml").exists():
        return KnowledgeSection()
    return read_knowledge(load_service(place.root, os.environ).knowledge)


def synced(place: Place, named: Sequence[SourceSettings]) -> "Report":

    section = _section(place)
    with _index(place).store() as store:
        before = {each.name: each for each in store.sources()}
        store.add_sources(named)
        try:
            report = asyncio.run(_run(place, section, store))
        except HeadraceError:
            # A source that led to nothing is not remembered.
            for each in named:
                if each.name not in before:
                    store.remove_source(each.name)
            raise
        used = {each.source for each in store.items().values()}
        for each in named if report.unread else ():
            if each.name not in before and each.name not in used:
                store.remove_source(each.name)
    return report


async def _run(place: Place, section: KnowledgeSection, store: "Store") -> "Report":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

    from headrace.knowledge.ingest import sync as synchronise
    from headrace.knowledge.read.fetch import fetch
    from headrace.models.embedder import open_embedder

    with FetchProgress() as fetching:
        async with open_embedder(
            place.root, place.home, os.environ, name=section.model, progress=fetching.report
        ) as embedder:
            terminal = console(err=True)
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            with (
                _index(place).cache(embedder.id) as cache,
                Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bars,
            ):
                tasks: dict[str, TaskID] = {}

                def advance(what: str, done: int, total: int) -> None:
                    if what not in tasks:
                        tasks[what] = bars.add_task(what, total=total)
                    bars.update(tasks[what], completed=done)

                async def load(url: str, etag: str, date: str) -> "Source | None":
                    return await fetch(url, section.read, etag, date)

                report = await synchronise(
                    store, cache, embedder, section, place.root, fetch=load, advance=advance
                )
                report.truncated = embedder.truncated
                return report


async def _searched(
    place: Place, query: str, limit: int, roles: frozenset[str], filters: dict[str, str]
) -> "list[Passage]":
    from headrace.models.embedder import open_embedder

    section = _section(place)
    with FetchProgress() as fetching:
        async with open_embedder(
            place.root, place.made().home, os.environ, name=section.model, progress=fetching.report
        ) as embedder:
            base = _index(place).base(embedder, section.retrieval)
            with closing(base):
                return await base.search(query, limit=limit, roles=roles, filters=filters)


def _finish(report: "Report", *, as_json: bool) -> None:
    """Say what was done; the status is 1 when something could not be read."""
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{len(report.added)} added, {len(report.updated)} updated, {len(report.removed)} removed, "
            f"{report.unchanged} unchanged; {report.chunks:,} chunks, {report.embedded:,} embedded"
        )
        click.echo(f"version {report.version[:16]}{'' if report.changed else ' (as before)'}")
    if report.truncated and not as_json:
        click.echo(
            f"{report.truncated:,} chunks are longer than the model reads: only their beginning "
            "is found by meaning (a smaller `knowledge.chunk.max_tokens` mends that)",
            err=True,
        )
    for each in report.unread:
        click.echo(f"not read: {printable(each.reason)}", err=True)
        if each.hint and not as_json:
            click.echo(f"hint: {printable(each.hint)}", err=True)
    if report.unread:
        click.get_current_context().exit(1)


def _snippet(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SNIPPET else line[: SNIPPET - 1] + "…"
