"""`headrace data list`, `show` and `export`: what is there, and its rows again."""

import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.data.place import Shares, described, print_example, store
from headrace.cli.terminal import print_json, print_table
from headrace.console.figure import as_moment
from headrace.datasets.example import Example
from headrace.datasets.split import DEFAULT_SHARES
from headrace.datasets.version import Version

__all__ = ["export", "list_datasets", "show"]


@click.command("list", cls=Command)
@click.argument("name", required=False)
@json_option
def list_datasets(name: str | None, as_json: bool) -> None:
    """List the datasets, or the versions of NAME."""
    with store() as datasets:
        found = datasets.newest() if name is None else datasets.versions(name)
    if as_json:
        print_json([described(each) for each in found])
    elif found:
        columns = ["DATASET", ">ROWS", "KINDS", ">SIZE", "MADE", "DIGEST"]
        print_table(columns, [_row(each) for each in found])
    else:
        click.echo("no datasets; `headrace data add NAME FILE` makes one", err=True)


def _row(version: Version) -> list[str]:
    return [
        version.reference,
        f"{version.rows:,}",
        ", ".join(f"{kind} {count:,}" for kind, count in version.manifest.kinds.items()),
        f"{version.bytes / 1e6:.1f} MB",
        as_moment(version.created_at),
        version.digest[:19],
    ]


@click.command(cls=Command)
@click.argument("dataset")
@click.option("-n", "--rows", "count", default=5, show_default=True, help="How many rows.")
@click.option("--split", help="Only of this split.")
@click.option("--shares", type=Shares(), default=DEFAULT_SHARES, help="As for `export`.")
@json_option
def show(
    dataset: str, count: int, split: str | None, shares: dict[str, float], as_json: bool
) -> None:
    """Show the first rows of DATASET."""
    with store() as datasets:
        version = datasets.get(dataset)
        rows = list(islice(datasets.rows(version, split=split, shares=shares), count))
    if as_json:
        print_json([{"id": each.id, **msgspec.to_builtins(each)} for each in rows])
        return
    for row in rows:
        print_example(row)
    click.echo(f"{len(rows):,} of {version.rows:,} rows of {version.reference}", err=True)


@click.command(cls=Command)
@click.argument("dataset")
@click.option("--split", help="Only the rows of this split.")
@click.option(
    "--shares",
    type=Shares(),
    default=DEFAULT_SHARES,
    help="What each split gets. [default: train=0.8,validation=0.1,test=0.1]",
)
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file.")
def export(dataset: str, split: str | None, shares: dict[str, float], out: Path | None) -> None:
    """Write the rows of DATASET as JSONL, to standard output or to a file.

    Rows of one question are always in the same split, and stay in it when rows are added.
    """
    with store() as datasets:
        version = datasets.get(dataset)
        rows = datasets.rows(version, split=split, shares=shares)
        if out is None:
            _write(rows, sys.stdout.buffer)
            return
        part = out.with_name(f"{out.name}.part")
        with part.open("wb") as file:
            count = _write(rows, file)
        part.replace(out)
    click.echo(f"{out}: {count:,} rows of {version.reference}", err=True)


def _write(rows: Iterable[Example], file: BinaryIO) -> int:
    count = 0
    for row in rows:
        file.write(msgspec.json.encode(written(row)) + b"\n")
        count += 1
    return count


def written(example: Example) -> dict[str, object]:
    """The row in the form that it is read in."""
    row: dict[str, object]
    if example.kind == "completion":
        row = {"prompt": example.messages[0].text(), "completion": example.messages[1].text()}
    elif example.kind == "chat":
        messages = [msgspec.to_builtins(each) for each in example.messages]
        for at in example.untrained:
            messages[at]["weight"] = 0
        row = {"messages": messages}
    else:
        row = {
            "prompt": example.messages,
            "chosen": example.chosen,
            "rejected": example.rejected,
        }
    if example.tools:
        row["tools"] = example.tools
    if example.metadata:
        row["metadata"] = example.metadata
    return row
