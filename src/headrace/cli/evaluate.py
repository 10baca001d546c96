"""`headrace eval`: run suites, hold them to their gates, compare runs."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click

from headrace.cli.command import Group, json_option
from headrace.cli.live import drift, live
from headrace.cli.noted import note_run
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.node import Node, load_yaml
from headrace.console.figure import as_moment
from headrace.errors import ConfigError, HeadraceError, InvalidRequest, NotFound
from headrace.evaluation.gate import breaches, compared
from headrace.evaluation.inspect_log import inspect_log, inspect_log_name
from headrace.evaluation.junit import junit_xml
from headrace.evaluation.page import html_page
from headrace.evaluation.report import Report, make_report, regressions
from headrace.evaluation.run import Run
from headrace.evaluation.scorer import Tools
from headrace.evaluation.scorers.table import make_scorers
from headrace.evaluation.statistic import estimate
from headrace.evaluation.store import AnswerCache, KeptRun, RunStore
from headrace.evaluation.suite import Suite, parse_suite
from headrace.privacy.vault import Vault

__all__ = ["evaluate"]

GATE_FAILED = 1
BAD_INPUT = 2


@click.group("eval", cls=Group)
def evaluate() -> None:
    """Ask a suite of cases, score the answers, and compare releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """How suites are run, and what is written of them."""

    baseline: str | None
    parallel: int
    junit: Path | None
    html: Path | None
    inspect: Path | None
    fresh: bool


@evaluate.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--baseline", metavar="RUN", help="A run to compare with; see `eval history`.")
@click.option("--parallel", type=click.IntRange(1, 256), default=4, help="Calls under way at once.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page.")
@click.option(
    "--inspect",
    type=click.Path(path_type=Path),
    help="Write an eval log of Inspect AI (.json), or into this folder.",
)
@click.option("--fresh", is_flag=True, help="Ask and score everything anew.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    file: Path,
    baseline: str | None,
    parallel: int,
    junit: Path | None,
    html: Path | None,
    inspect: Path | None,
    *,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run the suite FILE (evals/NAME.yaml), or all of a folder, on this service.

    Interrupted, the same command goes on where it was. Exits with 0 when the gate is passed, 1
    when not, 2 when a suite or the baseline is wrong. Of a folder, --junit, --html and --inspect
    name folders, and --json prints a list.
    """
    place = Place.here()
    wanted = _Wanted(
        baseline=baseline, parallel=parallel, junit=junit, html=html, inspect=inspect, fresh=fresh
    )
    try:
        suites = _suites(file, place, wanted)
    except (ConfigError, NotFound, InvalidRequest) as error:
        _refuse(context, error)
    shown: list[dict[str, object]] = []
    is_passed = True
    for node, suite in suites:
        try:
            kept, report = _run(place, node, suite, wanted)
        except NotFound as error:
            _refuse(context, error)
        is_passed = is_passed and not report.breaches
        if as_json:
            shown.append(_described(kept, report))
            continue
        _say(kept, report, heading=suite.name if file.is_dir() else "")
    if as_json:
        print_json(shown if file.is_dir() else shown[0])
    context.exit(0 if is_passed else GATE_FAILED)


def _suites(file: Path, place: Place, wanted: _Wanted) -> list[tuple[Node, Suite]]:
    """What is to be run, all of it checked before anything is asked.

    Raises:
        ConfigError: a suite is wrong.
        NotFound: there is none.
        InvalidRequest: options that several suites cannot share.
    """
    files = [file]
    if file.is_dir():
        files = sorted(file.glob("*.yaml"))
        if not files:
            raise NotFound(f"there is no suite in {file}", hint="docs/evaluation.md says how")
        if wanted.baseline is not None:
            raise InvalidRequest(
                "a baseline is a run of one suite", hint="name the suite's file, not its folder"
            )
        for each in (wanted.junit, wanted.html, wanted.inspect):
            if each is not None:
                each.mkdir(parents=True, exist_ok=True)
    found = []
    for path in files:
        node = load_yaml(path, os.environ)
        suite = parse_suite(node, place.root, path.stem)
        # Made again with what asks a model.
        make_scorers(node, suite, Tools(root=place.root, environ=os.environ))
        found.append((node, suite))
    return found


def _run(place: Place, node: Node, suite: Suite, wanted: _Wanted) -> tuple[KeptRun, Report]:
    """Run one suite, keep it, and write what is wanted of it.

    Raises:
        NotFound: the baseline is no run of it.
    """
    from headrace.server.evaluation import declared_release  # the whole service

    started_at = time.time()
    with place.new_database() as database, Desk.open() as desk:
        vault = Vault.open(database, place.home, environ=os.environ)
        runs = RunStore(database, vault)
        before = None
        if wanted.baseline is not None:
            before = runs.get(wanted.baseline, suite=suite.name).run
        cache = AnswerCache(database, vault, suite.name, fresh=wanted.fresh)
        tools = Tools(
            root=place.root,
            environ=os.environ,
            baseline=None if before is None else before.answers(),
        )
        declared = ""
        if not wanted.fresh:
            declared = declared_release(place.root, place.home, os.environ, database, vault)
        asked = _asked(desk, node, suite, cache, tools, declared, wanted.parallel)
        kept = runs.keep(asyncio.run(asked))
    wrong = breaches(kept.run, suite.file.gate, before)
    note_run(place, os.environ, suite, kept, passed=not wrong)
    report = make_report(kept.run, wrong, before)
    _write(wanted, kept, suite, report, started_at)
    return kept, report


def _write(wanted: _Wanted, kept: KeptRun, suite: Suite, report: Report, started_at: float) -> None:
    """The reports in files; into a folder, under the suite's name."""
    if (junit := wanted.junit) is not None:
        path = junit / f"{suite.name}.xml" if junit.is_dir() else junit
        path.write_text(junit_xml(kept.run, report, suite.file.gate), encoding="utf-8")
    if (html := wanted.html) is not None:
        path = html / f"{suite.name}.html" if html.is_dir() else html
        page = html_page(kept.run, report, run_id=kept.id, made=as_moment(kept.created_at))
        path.write_text(page, encoding="utf-8")
    if (inspect := wanted.inspect) is not None:
        name = inspect_log_name(kept, started_at=started_at)
        path = inspect / name if inspect.is_dir() else inspect
        path.write_bytes(inspect_log(kept, suite, report, started_at=started_at))


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
    if not found:
        raise NotFound("the two runs share no scored case", hint="compare runs of one suite")
    worse = regressions(before, after)
    if as_json:
        print_json({"scorers": found, "regressions": worse})
        return
    rows = []
    for name, each in found.items():
        one = each.estimate
        interval = f"{one.low:+.3f} to {one.high:+.3f}"
        rows.append([name, f"{one.mean:+.3f}", interval, f"{each.p_value:.4f}",
                     f"{each.detectable:.3f}", str(one.count)])  # fmt: skip
    print_table(["SCORER", ">CHANGE", ">95 % INTERVAL", ">P", ">DETECTABLE", ">CASES"], rows)
    for gone in worse:
        click.echo(
            printable(f"worse: {gone.scorer}: {gone.case}: {gone.before:.3f} → {gone.after:.3f}")
        )
        for mark, text, colour in (("-", gone.old, "red"), ("+", gone.new, "green")):
            lines = printable(text, lines=True).splitlines() or [""]
            click.secho("\n".join(f"  {mark} {line}" for line in lines), fg=colour)


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
        scored = ((name, list(each.run.by_case(name).values())) for name in each.run.scorers)
        means = (f"{name} {estimate(scores).mean:.3f}" for name, scores in scored if scores)
        rows.append([each.id, as_moment(each.created_at), each.run.release[:19], ", ".join(means)])
    print_table(["RUN", "MADE", "RELEASE", "~SCORES"], rows)


async def _asked(
    desk: Desk,
    node: Node,
    suite: Suite,
    cache: AnswerCache,
    tools: Tools,
    declared: str,
    parallel: int,
) -> Run:
    from headrace.server.evaluation import evaluate as run_evaluation  # the whole service

    with FetchProgress() as fetching, RowProgress(suite.name) as progress:
        return await run_evaluation(
            node, suite, cache, lambda: desk.platform(fetching.report), LOCAL,
            tools=tools, declared=declared, parallel=parallel, saw=progress.report,
        )  # fmt: skip


def _refuse(context: click.Context, error: HeadraceError) -> NoReturn:
    click.echo(printable(f"error: {error.message}", lines=True), err=True)
    if error.hint:
        click.echo(printable(f"hint: {error.hint}", lines=True), err=True)
    context.exit(BAD_INPUT)


def _described(kept: KeptRun, report: Report) -> dict[str, object]:
    return {
        "id": kept.id,
        "passed": not report.breaches,
        "breaches": report.breaches,
        "report": report,
        "run": kept.run,
    }


def _say(kept: KeptRun, report: Report, *, heading: str) -> None:
    if heading:
        click.secho(printable(heading), bold=True)
    click.echo(f"{kept.id}  {report.answers} answers, {report.errors} errors")
    _show(report)
    click.echo("gate failed" if report.breaches else "gate passed")


def _show(report: Report) -> None:
    rows = []
    for each in report.lines:
        one = each.estimate
        name = each.scorer if each.tag is None else f"  {each.tag}: {each.scorer}"
        # Equal scores alone, or one: they do not say how sure they are.
        interval = f"{one.low:.3f} to {one.high:.3f}" if one.low < one.high else "–"
        rows.append([name, f"{one.mean:.3f}", interval, str(one.count)])
    print_table(["SCORER", ">MEAN", ">95 % INTERVAL", ">CASES"], rows)
    for each in report.lines:
        if (agreed := each.agreement) is not None:
            kappa = "not defined" if agreed.kappa is None else f"{agreed.kappa:.2f}"
            click.echo(
                f"{each.scorer}: agrees with people on {agreed.same:.0%} of {agreed.cases} cases, "
                f"Cohen's kappa {kappa}"
            )
    for gone in report.regressions:
        click.echo(
            printable(f"worse: {gone.scorer}: {gone.case}: {gone.before:.3f} → {gone.after:.3f}")
        )
    for breach in report.breaches:
        click.secho(printable(f"gate: {breach}"), fg="red")


evaluate.add_command(live)
evaluate.add_command(drift)
