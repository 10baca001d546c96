"""`headrace release check`: ask a release its suites, and sign what came of it."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.release.bench import Bench, suite_node
from headrace.cli.release.place import gate_suites, store
from headrace.cli.terminal import print_json, print_table, printable
from headrace.releases.attestation import Attestation
from headrace.releases.channel import PRODUCTION
from headrace.releases.store import Release, ReleaseStore

__all__ = ["check"]

FAILED = 1


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    help="A suite of evals/; repeat it for more. Without it: those of `releases.gate`.",
)
@click.option(
    "--against",
    default=PRODUCTION,
    show_default=True,
    metavar="RELEASE",
    help="What it must not be worse than; where nothing is served, it is compared with nothing.",
)
@click.option("--parallel", type=click.IntRange(1, 256), default=4, help="Calls under way at once.")
@json_option
@click.pass_context
def check(
    context: click.Context,
    name: str,
    suites: tuple[str, ...],
    against: str,
    parallel: int,
    as_json: bool,
) -> None:
    """Ask RELEASE the suites that it must pass to be served, and sign what came of it.

    The same cases are asked of what is served now, unless their answers are kept. Exits with 1
    when a suite is not passed. `headrace deploy` looks at what was signed.
    """
    with store() as (place, releases):
        names = list(suites) or gate_suites(place)
        if not names:
            raise click.UsageError(
                "no suite is named: say --suite NAME, or list them in headrace.yaml: releases.gate"
            )
        nodes = {each: suite_node(place, each) for each in names}
        release = releases.get(name)
        before = _against(releases, release, against)
        with place.database() as database:
            bench = Bench(place, releases, database, parallel)
            asked = [bench.ask(suite, node, release, before) for suite, node in nodes.items()]
    found = [each.attestation for each in asked]
    if as_json:
        print_json(found)
    else:
        _say(found)
    context.exit(0 if all(each.passed for each in found) else FAILED)


def _against(releases: ReleaseStore, release: Release, name: str) -> Release | None:
    if name == PRODUCTION and not releases.serving(PRODUCTION):
        return None
    found = releases.get(name)
    return None if found.digest == release.digest else found


def _say(found: list[Attestation]) -> None:
    rows = []
    for each in found:
        scores = ", ".join(f"{name} {mean:.3f}" for name, mean in each.scores.items())
        rows.append([each.suite, each.verdict.lower(), str(each.cases), scores])
    print_table(["SUITE", "RESULT", ">CASES", "~SCORES"], rows)
    for each in found:
        for breach in each.breaches:
            click.secho(printable(f"{each.suite}: {breach}"), fg="red")
