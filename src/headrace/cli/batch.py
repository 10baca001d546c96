"""`headrace batch`: a file of requests, answered beside live traffic."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.access.keys import ADMIN_KEY_FILE, KeyStore
from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment
from headrace.datasets.upload import FileStore
from headrace.errors import InvalidRequest
from headrace.gateway.batches import batch_body
from headrace.privacy.vault import Vault
from headrace.server.state import running_service
from headrace.workflows.batch.estimate import Estimate, estimate
from headrace.workflows.batch.job import Batch
from headrace.workflows.batch.request import read_requests
from headrace.workflows.batch.runner import Saw
from headrace.workflows.batch.store import BatchStore

if TYPE_CHECKING:
    from headrace.storage.database import Database

__all__ = ["answered", "batch"]

LOOK_EVERY_S = 0.5
MOST_LISTED = 100


@click.group(cls=Group)
def batch() -> None:
    """Answer a file of requests, each once, in order, whatever is killed meanwhile."""


@batch.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Results."
)
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Rows that failed.")
@click.option("--no-wait", is_flag=True, help="Leave it to the running service; print its id.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    source: Path,
    out: Path,
    errors: Path | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Answer every request of SOURCE, a JSONL file in OpenAI's batch format.

    A service that runs here does it beside its live traffic, which goes first; otherwise this
    command does. Interrupted, it goes on by `headrace batch resume ID`. Exits with 1 when a row
    failed; those are in --errors (SOURCE.errors.jsonl without it).
    """
    with _home() as (place, database, files):
        made = _created(source, place, database, files, as_json=as_json)
        if no_wait:
            print_json(batch_body(made)) if as_json else click.echo(made.id)
            return
        ended = _worked(made, place, database)
        _gathered(ended, files, out, errors or source.with_suffix(".errors.jsonl"))
    _tell(ended, out, as_json=as_json)
    context.exit(0 if ended.status == "completed" and not ended.counts.failed else 1)


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Results."
)
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Rows that failed.")
@json_option
@click.pass_context
def resume(
    context: click.Context, batch_id: str, out: Path, errors: Path | None, as_json: bool
) -> None:
    """Wait for the batch ID, or go on with it, and write its results."""
    with _home() as (place, database, files):
        found = BatchStore(database).get(batch_id, None)
        ended = found if found.has_ended else _worked(found, place, database)
        _gathered(ended, files, out, errors or out.with_suffix(".errors.jsonl"))
    _tell(ended, out, as_json=as_json)
    context.exit(0 if ended.status == "completed" and not ended.counts.failed else 1)


@batch.command("list")
@json_option
def list_batches(as_json: bool) -> None:
    """List the newest batches."""
    with Place.here().database() as database:
        found, _ = BatchStore(database).page(None, limit=MOST_LISTED)
    if as_json:
        print_json([batch_body(each) for each in found])
    elif found:
        columns = ["BATCH", "STATUS", ">ROWS", ">DONE", ">FAILED", "MADE"]
        print_table(columns, [_row(each) for each in found])
    else:
        click.echo("no batches; `headrace batch run FILE -o RESULTS` makes one", err=True)


@batch.command()
@click.argument("batch_id", metavar="ID")
@json_option
def cancel(batch_id: str, as_json: bool) -> None:
    """End the batch ID: what is being answered still is, and kept."""
    with Place.here().database() as database:
        found = BatchStore(database).cancel(batch_id, None)
    print_json(batch_body(found)) if as_json else click.echo(f"{found.id} is {found.status}")


def answered(
    source: Path,
    place: Place,
    database: "Database",
    out: Path,
    errors: Path,
    *,
    known: str | None,
    created: Callable[[str], None],
) -> Batch:
    """Answer a file, by the service that runs here or in this process, and write what came of it.

    Args:
        known: the batch that was made of it before.
        created: told the id of the batch that is made, before anything is answered.

    Raises:
        InvalidRequest: the file holds no requests.
    """
    vault = Vault.open(database, place.home, environ=os.environ)
    files = FileStore(database, vault, place.home)
    if known is None:
        found = _created(source, place, database, files, as_json=True)
        created(found.id)
    else:
        found = BatchStore(database).get(known, None)
    ended = found if found.has_ended else _worked(found, place, database)
    _gathered(ended, files, out, errors)
    return ended


@contextmanager
def _home() -> Iterator[tuple[Place, "Database", FileStore]]:
    place = Place.here()
    with place.new_database() as database:
        vault = Vault.open(database, place.home, environ=os.environ)
        yield place, database, FileStore(database, vault, place.home)


def _created(
    source: Path, place: Place, database: "Database", files: FileStore, *, as_json: bool
) -> Batch:
    keys = KeyStore.open(database, place.audit(database))
    principal = keys.authenticate(_admin_secret(place, keys))
    assert principal is not None
    with source.open("rb") as file:
        try:
            first = next(read_requests(file), None)
        except ValueError as error:
            raise InvalidRequest(
                f"{source}:1: {error}",
                hint='a line is {"custom_id": …, "method": "POST", "url": …, "body": {…}}',
            ) from error
    if first is None:
        raise InvalidRequest(f"{source}: the file has no requests")
    if not as_json:
        _say(estimate(source, place.root, os.environ))
    writer = files.new(source.name, "batch", principal.key_id)
    with source.open("rb") as file:
        while block := file.read(1 << 20):
            writer.write(block)
    kept = writer.close()
    return BatchStore(database).create(
        key_id=principal.key_id, endpoint=first.url, input_file_id=kept.id
    )


def _admin_secret(place: Place, keys: KeyStore) -> str:
    made = keys.ensure_admin(place.home)
    return made or (place.home / ADMIN_KEY_FILE).read_text("utf-8").strip()


def _say(found: Estimate) -> None:
    usd = "" if found.usd is None else f", at most about {found.usd:,.2f} USD"
    click.echo(
        f"{found.rows:,} requests, about {found.prompt_tokens:,} prompt tokens, "
        f"up to {found.completion_tokens:,} to be written{usd}",
        err=True,
    )


def _worked(made: Batch, place: Place, database: "Database") -> Batch:
    """Wait for the service that runs here, or be it."""
    with RowProgress(made.id) as progress:

        def saw(batch: Batch) -> None:
            counts = batch.counts
            progress.report(counts.completed + counts.failed, counts.total or None)

        while running_service(place.home) is not None:
            found = BatchStore(database).get(made.id, None)
            saw(found)
            if found.has_ended:
                return found
            time.sleep(LOOK_EVERY_S)
        return asyncio.run(_work(made, place, saw))


async def _work(made: Batch, place: Place, saw: Saw) -> Batch:
    from headrace.server.batches import batch_runner
    from headrace.server.boot import open_platform

    with FetchProgress() as fetching:
        async with open_platform(place.root, os.environ, progress=fetching.report) as platform:
            fetching.close()
            return await batch_runner(platform, saw=saw).work(made.id)


def _gathered(ended: Batch, files: FileStore, out: Path, errors: Path) -> None:
    for file_id, path in ((ended.output_file_id, out), (ended.error_file_id, errors)):
        if file_id is None:
            continue
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            for block in files.read(files.get(file_id, None)):
                file.write(block)
        part.replace(path)


def _tell(ended: Batch, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(batch_body(ended))
        return
    for each in ended.problems[:20]:
        where = "" if each.line is None else f"line {each.line}: "
        click.echo(f"{where}{printable(each.message)}", err=True)
    counts = ended.counts
    click.echo(
        f"{ended.status}: {counts.completed:,} of {counts.total:,} rows answered, "
        f"{counts.failed:,} failed; {ended.prompt_tokens + ended.completion_tokens:,} tokens; {out}"
    )


def _row(found: Batch) -> list[str]:
    counts = found.counts
    return [
        found.id,
        found.status,
        f"{counts.total:,}",
        f"{counts.completed:,}",
        f"{counts.failed:,}",
        as_moment(found.created_at),
    ]
