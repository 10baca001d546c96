"""`headrace eval`: run suites, hold them to their gates, compare runs."""

import asyncio
import os
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.node import load_yaml
from headrace.console.figure import as_moment
from headrace.errors import ConfigError
from headrace.evaluation.gate import breaches, compared
from headrace.evaluation.run import Answer, Answerer, Ask, Run, run_suite
from headrace.evaluation.scorer import Scorer, make_scorers
from headrace.evaluation.statistic import estimate
from headrace.evaluation.store import AnswerCache, RunStore
from headrace.evaluation.suite import Suite, parse_suite
from headrace.pipeline.turn import Turn
from headrace.privacy.vault import Vault

if TYPE_CHECKING:
    from headrace.pipeline.service import Service

__all__ = ["evaluate"]

GATE_FAILED = 1
BAD_INPUT = 2


@click.group("eval", cls=Group)
def evaluate() -> None:
    """Ask a suite of cases, score the answers, and compare releases."""


@evaluate.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--baseline", metavar="RUN", help="A run to compare with; see `eval history`.")
@click.option("--parallel", type=click.IntRange(1, 256), default=4, help="Calls under way at once.")
@json_option
@click.pass_context
def run(
    context: click.Context, file: Path, baseline: str | None, parallel: int, as_json: bool
) -> None:
    """Run the suite FILE (evals/NAME.yaml) on this folder's service.

    Interrupted, the same command goes on where it was. Exits with 0 when the gate is passed, 1
    when not, 2 when the suite is wrong.
    """
    try:
        node = load_yaml(file, os.environ)
        suite = parse_suite(node, Path.cwd(), file.stem)
        scorers = make_scorers(node, suite)
    except ConfigError as error:
        click.echo(printable(f"{error.message}\n{error.hint}".strip(), lines=True), err=True)
        context.exit(BAD_INPUT)
    place = Place.here()
    with place.new_database() as database, Desk.open() as desk:
        vault = Vault.open(database, place.home, environ=os.environ)
        runs = RunStore(database, vault)
        before = None if baseline is None else runs.get(baseline).run
        cache = AnswerCache(database, vault, suite.name)
        kept = runs.keep(asyncio.run(_run(desk, suite, scorers, cache, parallel)))
    wrong = breaches(kept.run, suite.file.gate, before)
    if as_json:
        print_json({"id": kept.id, "passed": not wrong, "breaches": wrong, "run": kept.run})
    else:
        click.echo(f"{kept.id}  {len(kept.run.results)} answers")
        _scores(kept.run)
        for each in wrong:
            click.secho(printable(f"gate: {each}"), fg="red")
        click.echo("gate failed" if wrong else "gate passed")
    context.exit(GATE_FAILED if wrong else 0)


@evaluate.command()
@click.argument("baseline")
@click.argument("candidate")
@json_option
def compare(baseline: str, candidate: str, as_json: bool) -> None:
    """Compare two runs, case by case, over the cases of both.

    Scorers are tested one by one: of twenty, one differs by chance alone.
    """
    place = Place.here()
    with place.database() as database:
        runs = RunStore(database, Vault.open(database, place.home, environ=os.environ))
        before, after = runs.get(baseline).run, runs.get(candidate).run
    found = {name: each for name in after.scorers if (each := compared(before, after, name))}
    if as_json:
        print_json(found)
        return
    rows = []
    for name, each in found.items():
        one = each.estimate
        interval = f"{one.low:+.3f} to {one.high:+.3f}"
        rows.append([name, f"{one.mean:+.3f}", interval, f"{each.p_value:.4f}",
                     f"{each.detectable:.3f}", str(one.count)])  # fmt: skip
    print_table(["SCORER", ">CHANGE", ">95 % INTERVAL", ">P", ">DETECTABLE", ">CASES"], rows)
    for name in found:
        old, new = before.by_case(name), after.by_case(name)
        for case in new:
            if case in old and new[case] < old[case]:
                click.echo(printable(f"worse: {name}: {case}: {old[case]:.3f} → {new[case]:.3f}"))


@evaluate.command()
@click.argument("suite")
@json_option
def history(suite: str, as_json: bool) -> None:
    """List the newest runs of SUITE."""
    place = Place.here()
    with place.database() as database:
        vault = Vault.open(database, place.home, environ=os.environ)
        found = RunStore(database, vault).of_suite(suite)
    if as_json:
        print_json(found)
        return
    rows = []
    for each in found:
        means = (
            f"{n} {estimate(list(each.run.by_case(n).values())).mean:.3f}" for n in each.run.scorers
        )
        rows.append([each.id, as_moment(each.created_at), each.run.release[:19], ", ".join(means)])
    print_table(["RUN", "MADE", "RELEASE", "~SCORES"], rows)


async def _run(
    desk: Desk, suite: Suite, scorers: dict[str, Scorer], cache: AnswerCache, parallel: int
) -> Run:
    with FetchProgress() as fetching, RowProgress(suite.name) as progress:
        async with desk.platform(fetching.report) as platform:
            fetching.close()
            service = platform.service
            return await run_suite(
                suite, scorers, _answerer(service), cache,
                release=service.pipeline.release, parallel=parallel, saw=progress.report,
            )  # fmt: skip


def _answerer(service: "Service") -> Answerer:
    async def answer(ask: Ask) -> Answer:
        turn = Turn(
            principal=LOCAL,
            messages=list(ask.messages),
            params=ask.params,
            model=ask.model,
            template=ask.template,
            variables=dict(ask.variables),
            metadata={"purpose": "evaluation"},
            cache_control="no-store, no-cache",
        )
        started = time.perf_counter()
        async with aclosing(service.pipeline.answer(turn)) as deltas:
            async for _ in deltas:
                pass
        return Answer(
            text=turn.choices[0].text if turn.choices else "",
            ttft_s=turn.trace.ttft_s,
            total_s=time.perf_counter() - started,
            cost_usd=turn.trace.cost_usd,
            completion_tokens=turn.usage.completion_tokens,
        )

    return answer


def _scores(run: Run) -> None:
    rows = []
    for name in run.scorers:
        one = estimate(list(run.by_case(name).values()))
        rows.append([name, f"{one.mean:.3f}", f"{one.low:.3f} to {one.high:.3f}", str(one.count)])
    print_table(["SCORER", ">MEAN", ">95 % INTERVAL", ">CASES"], rows)
