"""`headrace eval live` and `eval drift`: what real traffic is like, and whether it changes."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.prompts.desk import Desk
from headrace.cli.release.stage import Duration
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.node import load_yaml
from headrace.errors import NotFound
from headrace.evaluation.drift.alert import Alert, AlertStore
from headrace.evaluation.drift.live import LiveTurn, live_turn, sample
from headrace.evaluation.drift.signal import Signal, by_category, by_meaning, by_number, judged
from headrace.evaluation.drift.window import Window, between, compare
from headrace.evaluation.gate import breaches
from headrace.evaluation.report import make_report
from headrace.evaluation.scorer import Tools
from headrace.evaluation.store import KeptRun, RunStore
from headrace.evaluation.suite import parse_suite
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.telemetry.store import TraceStore

__all__ = ["drift", "live"]

FAILED = 1
_RUNS = 1_000


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--since", "since_s", type=Duration(), default="1d", show_default=True)
@click.option("--sample", "count", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--model", metavar="NAME", help="Only turns of this model.")
@click.option("--seed", default=1, show_default=True, help="Of the sample.")
@click.option(
    "--parallel", type=click.IntRange(1, 256), default=4, help="Scores under way at once."
)
@json_option
@click.pass_context
def live(
    context: click.Context,
    file: Path,
    since_s: float,
    count: int,
    model: str | None,
    seed: int,
    parallel: int,
    as_json: bool,
) -> None:
    """Score a sample of real answers with the scorers of FILE (evals/NAME.yaml), without its cases.

    Nothing is asked again: each answer is scored as it was given, so scorers that need a target do
    not fit. Scores are kept for `eval drift`, texts are not. Exits with 1 when the file's gate is
    not passed.
    """
    from headrace.server.evaluation import score_turns  # the whole service

    place = Place.here()
    node = load_yaml(file, os.environ)
    suite = parse_suite(node, place.root, file.stem, is_live=True)
    now = time.time()
    with place.database() as database, Desk.open() as desk:
        vault = Vault.open(database, place.home, environ=os.environ)
        ids = between(database, Window(since=now - since_s, until=now, model=model))
        turns = list(_turns(TraceStore(database, vault), sample(ids, count, seed=seed)))
        if not turns:
            raise NotFound(
                f"none of {len(ids)} turns can be scored: their texts are not kept",
                hint="`--since 7d` looks further back; `traces:` says which texts are kept",
            )

        async def scored() -> KeptRun:
            with FetchProgress() as fetching, RowProgress(suite.name) as progress:
                run = await score_turns(
                    node, suite, turns, lambda: desk.platform(fetching.report),
                    tools=Tools(root=place.root, environ=os.environ), parallel=parallel,
                    saw=progress.report,
                )  # fmt: skip
            return await asyncio.to_thread(RunStore(database, vault).keep, run)

        kept = asyncio.run(scored())
    wrong = breaches(kept.run, suite.file.gate)
    report = make_report(kept.run, wrong)
    if as_json:
        print_json({"id": kept.id, "passed": not wrong, "turns": len(ids), "report": report})
    else:
        click.echo(f"{kept.id}  {len(turns)} of {len(ids):,} turns")
        rows = [
            [
                each.scorer if each.tag is None else f"  {each.tag}: {each.scorer}",
                f"{each.estimate.mean:.3f}",
                f"{each.estimate.low:.3f} to {each.estimate.high:.3f}",
                str(each.estimate.count),
            ]
            for each in report.lines
        ]
        print_table(["SCORER", ">MEAN", ">95 % INTERVAL", ">TURNS"], rows)
        for breach in wrong:
            click.secho(printable(f"gate: {breach}"), fg="red")
    context.exit(FAILED if wrong else 0)


@click.command(cls=Command)
@click.option(
    "--current",
    "current_s",
    type=Duration(),
    default="1d",
    show_default=True,
    help="What is looked at.",
)
@click.option(
    "--reference",
    "reference_s",
    type=Duration(),
    default="14d",
    show_default=True,
    help="What it is compared with: so long before it.",
)
@click.option("--model", metavar="NAME", help="Only turns of this model.")
@click.option(
    "--texts",
    type=click.IntRange(30, 2_000),
    metavar="COUNT",
    help="Also compare what so many questions of each window mean, by the embedding model.",
)
@click.option("--history", is_flag=True, help="Show the alerts so far, newest first, and stop.")
@json_option
@click.pass_context
def drift(
    context: click.Context,
    current_s: float,
    reference_s: float,
    model: str | None,
    texts: int | None,
    history: bool,
    as_json: bool,
) -> None:
    """Say whether traffic changes: questions, answers, outcomes, findings, ratings, live scores.

    A figure has drifted when the change is large (PSI of 0.2) and not by chance (p of 0.01, all
    figures together). Each is an alert, once for the window; workflows can be triggered by it. Exits with 1
    when anything has drifted.
    """
    place = Place.here()
    with place.database() as database:
        alerts = AlertStore(database)
        if history:
            _say_alerts(alerts.newest(), as_json=as_json)
            return
        now = time.time()
        new = Window(since=now - current_s, until=now, model=model)
        old = Window(since=new.since - reference_s, until=new.since, model=model)
        found = compare(database, old, new)
        vault = Vault.open(database, place.home, environ=os.environ)
        found += _of_scores(database, vault, old, new)
        if texts is not None:
            found += _of_meaning(database, vault, old, new, texts)
        found = judged(found)
        made = alerts.keep(found, since=new.since)
        counts = [len(between(database, each)) for each in (old, new)]
    if as_json:
        print_json({"reference": counts[0], "current": counts[1], "signals": found, "alerts": made})
    else:
        click.echo(f"{counts[1]:,} chats against {counts[0]:,} before")
        _say_signals(found)
    context.exit(FAILED if any(each.has_drifted for each in found) else 0)


def _turns(traces: TraceStore, ids: list[str]) -> Iterator[LiveTurn]:
    for trace_id in ids:
        if (turn := live_turn(traces.get(trace_id))) is not None:
            yield turn


def _of_scores(database: Database, vault: Vault, old: Window, new: Window) -> list[Signal]:
    """Scores of the live runs that were made in either window."""
    runs = RunStore(database, vault).live(limit=_RUNS)
    before: dict[str, list[float]] = {}
    now: dict[str, list[float]] = {}
    for kept in runs:
        for window, into in ((old, before), (new, now)):
            if window.since <= kept.created_at < window.until:
                for scorer in kept.run.scorers:
                    name = f"{kept.run.suite}.{scorer}"
                    into.setdefault(name, []).extend(kept.run.by_case(scorer).values())
    found: list[Signal] = []
    for name, scores in now.items():
        earlier = before.get(name, [])
        if {*earlier, *scores} <= {0.0, 1.0}:
            words = ["no", "yes"]
            one = by_category(
                name, [words[int(e)] for e in earlier], [words[int(e)] for e in scores]
            )
        else:
            one = by_number(name, earlier, scores)
        if one is not None:
            found.append(one)
    return found


def _of_meaning(
    database: Database, vault: Vault, old: Window, new: Window, count: int
) -> list[Signal]:
    from headrace.server.evaluation import embedded  # the whole service

    traces = TraceStore(database, vault)
    asked = [
        [each.question for each in _turns(traces, sample(between(database, window), count, seed=1))]
        for window in (old, new)
    ]
    if not all(asked):
        return []

    async def compared() -> Signal | None:
        with Desk.open() as desk, FetchProgress() as fetching:
            vectors = await embedded(asked[0] + asked[1], lambda: desk.platform(fetching.report))
        return by_meaning("questions", vectors[: len(asked[0])], vectors[len(asked[0]) :])

    found = asyncio.run(compared())
    return [] if found is None else [found]


def _say_signals(found: list[Signal]) -> None:
    if not found:
        click.echo("there are too few turns to tell: 30 in each window are needed", err=True)
        return
    rows = [
        [
            each.name,
            f"{each.effect:.3f}",
            f"{each.p_value:.4f}",
            "drifted" if each.has_drifted else "",
            printable(f"{each.before} → {each.now}"),
        ]
        for each in found
    ]
    print_table(["FIGURE", ">CHANGE", ">P", "", "~BEFORE AND NOW"], rows)


def _say_alerts(alerts: list[Alert], *, as_json: bool) -> None:
    from headrace.console.figure import as_moment

    if as_json:
        print_json(alerts)
        return
    rows = [
        [as_moment(each.created_at), each.signal, f"{each.effect:.3f}",
         printable(f"{each.before} → {each.now}")]
        for each in alerts
    ]  # fmt: skip
    print_table(["WHEN", "FIGURE", ">CHANGE", "~BEFORE AND NOW"], rows)
