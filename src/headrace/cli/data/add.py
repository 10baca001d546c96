"""`headrace data check` and `headrace data add`: files of rows, looked at and taken in."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.data.place import described, new_store
from headrace.cli.progress import FetchProgress
from headrace.cli.terminal import print_json, printable
from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.example import Example
from headrace.datasets.parse import Problem
from headrace.datasets.source import SourceFile, read_file

__all__ = ["add", "check"]

MOST_SHOWN = 50
REPORT_EVERY = 1000

_files = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


class _Problems:
    """Shows the first problems, counts the rest."""

    def __init__(self, *, silent: bool) -> None:
        self.found: list[Problem] = []
        self.count = 0
        self._silent = silent

    def take(self, problem: Problem) -> None:
        self.count += 1
        if self.count > MOST_SHOWN:
            return
        self.found.append(problem)
        if not self._silent:
            click.echo(printable(str(problem)), err=True)

    def end(self) -> None:
        if self.count > MOST_SHOWN and not self._silent:
            click.echo(f"… and {self.count - MOST_SHOWN:,} more", err=True)

    def described(self) -> list[dict[str, object]]:
        return [
            {"file": each.file, "line": each.line, "what": each.what, "fix": each.fix}
            for each in self.found
        ]


@click.command(cls=Command)
@_files
@json_option
def check(files: Sequence[Path], as_json: bool) -> None:
    """Look through FILES and say of every row that cannot be used where it is and why.

    JSONL (also gzipped), CSV and Parquet. Nothing is kept. Exits with 1 when a row is wrong.
    """
    problems = _Problems(silent=as_json)
    rows = _count_rows(files, problems)
    problems.end()
    if as_json:
        print_json({"rows": rows, "wrong": problems.count, "problems": problems.described()})
    else:
        click.echo(f"{rows:,} rows can be used, {problems.count:,} cannot")
    if problems.count:
        click.get_current_context().exit(1)


@click.command(cls=Command)
@click.argument("name")
@_files
@click.option(
    "--skip-wrong", is_flag=True, help="Take the other rows although some cannot be used."
)
@json_option
def add(name: str, files: Sequence[Path], skip_wrong: bool, as_json: bool) -> None:
    """Add the rows of FILES to the dataset NAME, as a new version of it.

    Rows that it has already are left out. One wrong row, and nothing is taken, unless
    --skip-wrong says so; every wrong one is reported.
    """
    problems = _Problems(silent=as_json)
    has_rows = True
    if not skip_wrong:
        has_rows = _count_rows(files, problems) > 0
        problems.end()
        if problems.count:
            raise DatasetInvalid(
                f"{problems.count:,} rows cannot be used, so nothing was added",
                hint="mend them, or add the others with --skip-wrong",
            )
    added = []
    with new_store() as datasets, FetchProgress() as progress:
        if not has_rows and name not in {each.name for each in datasets.newest()}:
            raise DatasetInvalid(
                f"there is no row in {', '.join(map(str, files))}, so there is no dataset {name!r}",
                hint='a row such as {"prompt": "…", "completion": "…"} a line',
            )
        for path in files:
            source = SourceFile(path)
            rows = _shown(source, progress)
            one = datasets.add(
                name, rows, what=str(path), digest=source.digest(), problems=problems.take
            )
            added.append((path, one))
    problems.end()
    version = added[-1][1].version
    if as_json:
        files_added = [
            {"file": str(path), "rows": one.rows, "duplicates": one.duplicates}
            for path, one in added
        ]
        print_json({**described(version), "files": files_added, "wrong": problems.count})
        return
    for path, one in added:
        known = f", {one.duplicates:,} known already" if one.duplicates else ""
        click.echo(f"{path}: {one.rows:,} rows added{known}")
    click.echo(f"{version.reference}: {version.rows:,} rows, {version.digest[:19]}…")


def _count_rows(files: Sequence[Path], problems: _Problems) -> int:
    rows = 0
    with FetchProgress() as progress:
        for path in files:
            for row in _shown(SourceFile(path), progress):
                if isinstance(row, Problem):
                    problems.take(row)
                else:
                    rows += 1
    return rows


def _shown(source: SourceFile, progress: FetchProgress) -> Iterator[Example | Problem]:
    """The rows, with a bar for files that take a while."""
    for count, row in enumerate(read_file(source), 1):
        yield row
        if count % REPORT_EVERY == 0:
            progress.report(source.path.name, source.read_bytes, source.size)
