"""`headrace data publish`: figures of a dataset that nobody in it can be found by."""

from collections.abc import Iterator

import click

from headrace.cli.command import Command, json_option
from headrace.cli.data.anonymise import Names, print_guarantee
from headrace.cli.data.place import store
from headrace.cli.terminal import print_json, print_table, printable
from headrace.datasets.aggregate import Aggregates, Asked, Figure, publish
from headrace.datasets.guarantee import guarantee_of
from headrace.privacy.budget import DEFAULT_BUDGET

__all__ = ["publish_figures"]

_positive = click.FloatRange(0, min_open=True)


@click.command("publish", cls=Command)
@click.argument("dataset")
@click.option(
    "--epsilon",
    type=click.FloatRange(1e-4, 100),
    required=True,
    help="What it may cost, of the budget.",
)
@click.option("--delta", type=click.FloatRange(0, 0.01), default=0.0, help="The same; with --by.")
@click.option("--by", type=Names(), default=(), help="Count rows by these fields: language,plan.")
@click.option(
    "--rows-each",
    type=click.IntRange(1, 10_000),
    default=5,
    show_default=True,
    help="Rows that a person counts with, at most.",
)
@click.option(
    "--longest",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Characters that a text counts with, at most.",
)
@click.option("--person", default="", metavar="FIELD", help="Tells people apart.")
@click.option(
    "--budget",
    type=_positive,
    help=f"The most ε ever; set with the first. [default: {DEFAULT_BUDGET.epsilon:g}]",
)
@click.option(
    "--budget-delta",
    type=click.FloatRange(0, 0.01),
    help=f"The same of δ. [default: {DEFAULT_BUDGET.delta:g}]",
)
@json_option
def publish_figures(
    dataset: str,
    epsilon: float,
    delta: float,
    by: tuple[str, ...],
    rows_each: int,
    longest: int,
    person: str,
    budget: float | None,
    budget_delta: float | None,
    as_json: bool,
) -> None:
    """Publish figures of DATASET with differential privacy for each of its people.

    How many people and rows, mean lengths, and rows by fields; each with noise from OpenDP. Every
    call spends from the dataset's budget, which all its versions share and nobody can raise.
    """
    from headrace.pipeline.steps.normalize.language import identify

    asked = Asked(
        epsilon=epsilon,
        delta=delta,
        by=by,
        rows_each=rows_each,
        longest=longest,
        person=person,
    )
    with store() as datasets:
        version = datasets.get(dataset)
        ledger = datasets.ledger(version)
        most = ledger.budget(budget, budget_delta)
        found = publish(version, datasets.rows(version), ledger, asked, most, identify)
        promised = guarantee_of(version, ledger)
    if as_json:
        print_json({"figures": found, "guarantee": promised})
        return
    print_table(["", ">FIGURE", ">OFF BY AT MOST (95 %)"], list(_rows(found)))
    click.echo(
        f"ε = {found.epsilon:.6g}, δ = {found.delta:.3g}; people by {printable(found.people_by)}, "
        f"{found.rows_each:,} rows each; {found.made_by}"
    )
    print_guarantee(promised)


def _rows(found: Aggregates) -> Iterator[list[str]]:
    yield _row("people", found.people)
    yield _row("rows", found.rows)
    yield _row("characters asked, a row", found.mean_asked)
    yield _row("characters learned, a row", found.mean_learned)
    for name, counted in found.by.items():
        for value, figure in counted.items():
            yield _row(f"{name} {value}", figure)


def _row(what: str, figure: Figure) -> list[str]:
    return [printable(what), f"{figure.value:,.0f}", f"{figure.off_by:,.0f}"]
