"""`headrace data stats` and `card`: what a dataset is made of."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.data.place import Shares, store
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table
from headrace.datasets.card import card_of
from headrace.datasets.guarantee import guarantee_of
from headrace.datasets.split import DEFAULT_SHARES
from headrace.datasets.statistics import Looks, Spread, Statistics, measure

__all__ = ["card", "stats"]

POLICY = "default"


@click.command(cls=Command)
@click.argument("dataset")
@click.option("--policy", default=POLICY, show_default=True, help="Whose kinds are looked for.")
@json_option
def stats(dataset: str, policy: str, as_json: bool) -> None:
    """Show lengths, languages, near-duplicates and personal data in DATASET."""
    with store() as datasets:
        version = datasets.get(dataset)
        found = measure(datasets.rows(version), _looks(policy))
    if as_json:
        print_json(found)
        return
    click.echo(f"{version.reference}: {found.rows:,} rows, {version.digest}")
    print_table(["", ">ROWS"], list(_counts(found)))
    click.echo()
    columns = [found.unit.upper(), ">MEAN", ">P50", ">P95", ">LONGEST", ">ALL"]
    print_table(columns, [_spread("asked", found.prompt), _spread("learned", found.answer)])


@click.command(cls=Command)
@click.argument("dataset")
@click.option("--policy", default=POLICY, show_default=True, help="Whose kinds are looked for.")
@click.option("--shares", type=Shares(), default=DEFAULT_SHARES, help="As for `export`.")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file.")
def card(dataset: str, policy: str, shares: dict[str, float], out: Path | None) -> None:
    """Write the card of DATASET: Markdown that says what is in it and where it is from."""
    with store() as datasets:
        version = datasets.get(dataset)
        found = measure(datasets.rows(version), _looks(policy))
        promised = guarantee_of(version, datasets.ledger(version))
        text = card_of(version, found, datasets.split_sizes(version, shares), promised)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


def _looks(policy: str) -> Looks:
    from headrace.pipeline.steps.normalize.language import identify

    return Looks(language=identify, findings=_finder(policy))


def _finder(name: str) -> Callable[[str], Iterable[str]]:
    """The kinds that the service's policy has a rule for."""
    from headrace.screening.match import find_matches
    from headrace.screening.policy import PolicyLibrary

    rules = PolicyLibrary.load(Place.here().root, os.environ).get(name).input
    detectors = (*rules.acting, *rules.noting)
    return lambda text: (
        each.kind for each in find_matches(text, 0, detectors, rules) if each.action != "allow"
    )


def _counts(found: Statistics) -> Iterable[Sequence[str]]:
    yield from ((kind, f"{count:,}") for kind, count in found.kinds.items())
    yield from ((f"language {name}", f"{count:,}") for name, count in found.languages.items())
    yield from ((f"with {name}", f"{count:,}") for name, count in found.findings.items())
    yield "nearly the same as another", f"{found.similar_rows:,}"


def _spread(what: str, spread: Spread) -> list[str]:
    return [
        what,
        f"{spread.mean:,.1f}",
        f"{spread.p50:,}",
        f"{spread.p95:,}",
        f"{spread.longest:,}",
        f"{spread.total:,}",
    ]
