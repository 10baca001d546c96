"""`headrace data diff` and `overlap`: two versions beside each other, and a dataset beside a suite."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.data.place import print_example, store
from headrace.cli.terminal import print_json, printable
from headrace.datasets.overlap import OverlapFinder
from headrace.training.data import cases_of

__all__ = ["diff", "overlap"]

MOST_SHOWN = 20


@click.command(cls=Command)
@click.argument("old")
@click.argument("new")
@click.option("-n", "--rows", "count", default=3, show_default=True, help="Rows shown of each.")
@json_option
def diff(old: str, new: str, count: int, as_json: bool) -> None:
    """Show which rows NEW has and OLD has not, and the other way round."""
    with store() as datasets:
        before, after = datasets.get(old), datasets.get(new)
        found = datasets.diff(before, after)
        added = list(islice(datasets.find(after, found.added), count))
        removed = list(islice(datasets.find(before, found.removed), count))
    if as_json:
        ids = {"added": found.added, "removed": found.removed}
        print_json({"old": before.digest, "new": after.digest, "kept": found.kept, **ids})
        return
    click.echo(
        f"{before.reference} → {after.reference}: {len(found.added):,} added, "
        f"{len(found.removed):,} removed, {found.kept:,} kept"
    )
    for mark, rows in (("+", added), ("-", removed)):
        for row in rows:
            click.echo(mark, nl=False)
            print_example(row)


@click.command(cls=Command)
@click.argument("dataset")
@click.argument(
    "suites", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
def overlap(dataset: str, suites: Sequence[Path], as_json: bool) -> None:
    """Find rows of DATASET that give away what SUITES (files) ask.

    A suite is one of evals/, or rows or cases in a file of their own. A row counts when it has
    13 words in a row in common with a suite's case, or all of a shorter one. Exits with 1 when
    there is any: what is trained on them can no longer be measured by those suites.
    """
    finder = OverlapFinder(_cases(suites))
    with store() as datasets:
        version = datasets.get(dataset)
        found = list(finder.find(datasets.rows(version)))
    if as_json:
        rows = [asdict(each) for each in found]
        print_json({"dataset": version.digest, "overlaps": rows, "skipped": finder.skipped})
    else:
        for each in found[:MOST_SHOWN]:
            click.echo(
                printable(f"row {each.row + 1:,} ({each.example}): {each.case}: {each.words}")
            )
        if len(found) > MOST_SHOWN:
            click.echo(f"… and {len(found) - MOST_SHOWN:,} more")
        click.echo(
            f"{len(found):,} of {version.rows:,} rows of {version.reference} overlap", err=True
        )
        if finder.skipped:
            click.echo(f"{len(finder.skipped):,} cases are too short to be looked for", err=True)
    if found:
        click.get_current_context().exit(1)


def _cases(suites: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for path in suites:
        for at, text in enumerate(cases_of(path), 1):
            yield f"{path.name}:{at}", text
