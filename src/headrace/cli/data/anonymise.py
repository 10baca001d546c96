"""`headrace data anonymise` and `guarantee`: a dataset whose people cannot be told apart, and the report."""

from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.data.place import described, store
from headrace.cli.terminal import print_json, printable
from headrace.datasets.anonymise import Fields, anonymise
from headrace.datasets.anonymity import Goal
from headrace.datasets.guarantee import Guarantee, guarantee_of, sentences
from headrace.datasets.version import ledger_of

__all__ = ["Names", "anonymise_dataset", "guarantee", "print_guarantee"]


class Names(click.ParamType[tuple[str, ...]]):
    """`age,city`."""

    name = "fields"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        del param, ctx
        if isinstance(value, tuple):
            return value
        return tuple(name for part in str(value).split(",") if (name := part.strip()))


class _LadderFile(click.ParamType[tuple[str, Path]]):
    """`city=cities.csv`."""

    name = "field=file"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        name, mark, path = str(value).partition("=")
        if not (mark and name and Path(path).is_file()):
            self.fail(f"{value!r} is not FIELD=FILE of a file that is there", param, ctx)
        return name, Path(path)


@click.command("anonymise", cls=Command)
@click.argument("dataset")
@click.option("--to", "name", required=True, metavar="NAME", help="The dataset that is made.")
@click.option(
    "--quasi", type=Names(), required=True, help="Quasi-identifiers in the metadata: age,city."
)
@click.option("--k", type=click.IntRange(min=2), required=True, help="People who must look alike.")
@click.option(
    "--l", "diversity", type=click.IntRange(min=2), help="Sensitive values among them, at least."
)
@click.option("--sensitive", type=Names(), default=(), help="Fields that --l is about.")
@click.option("--keep", type=Names(), default=(), help="Fields that say nothing of a person.")
@click.option("--person", default="", metavar="FIELD", help="Tells people apart; is taken out.")
@click.option(
    "--ladder",
    "ladders",
    type=_LadderFile(),
    multiple=True,
    help="How a field is told less exactly: CSV lines as Berlin,Germany,Europe.",
)
@click.option(
    "--suppress",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the rows that may be left out.",
)
@json_option
def anonymise_dataset(
    dataset: str,
    name: str,
    quasi: tuple[str, ...],
    k: int,
    diversity: int | None,
    sensitive: tuple[str, ...],
    keep: tuple[str, ...],
    person: str,
    ladders: tuple[tuple[str, Path], ...],
    suppress: float,
    as_json: bool,
) -> None:
    """Make a dataset of DATASET in which at least k people look alike.

    Quasi-identifiers are told less exactly until every row fits k people (and every group of them
    has l sensitive values); rows that stand in the way are left out; other fields are taken out.
    k and l are measured by pyCANON before anything is written. Texts stay as they are.
    """
    if (diversity is None) != (not sensitive):
        raise click.UsageError("--l and --sensitive go together")
    fields = Fields(
        quasi=quasi, sensitive=sensitive, keep=keep, person=person, ladders=dict(ladders)
    )
    goal = Goal(k=k, l=diversity or 1, most_suppressed=suppress)
    with store() as datasets:
        version = datasets.get(dataset)
        added = anonymise(
            datasets,
            name,
            lambda: datasets.rows(version),
            fields,
            goal,
            source=f"{version.reference} ({version.digest[:19]}…)",
            ledger=ledger_of(version),
        )
        found = guarantee_of(added.version, datasets.ledger(added.version))
    if as_json:
        print_json({**described(added.version), "guarantee": found})
        return
    print_guarantee(found)
    click.echo(
        f"{added.version.reference}: {added.version.rows:,} rows, {added.version.digest[:19]}…"
    )


@click.command(cls=Command)
@click.argument("dataset")
@json_option
def guarantee(dataset: str, as_json: bool) -> None:
    """Show what is promised of the people in DATASET: k, l, and what was spent of ε and δ."""
    with store() as datasets:
        version = datasets.get(dataset)
        found = guarantee_of(version, datasets.ledger(version))
    if as_json:
        print_json(found)
        return
    click.echo(f"{found.dataset}, {found.digest}")
    print_guarantee(found)


def print_guarantee(found: Guarantee) -> None:
    """The report, for people."""
    for each in sentences(found):
        click.echo(printable(each))
