"""`headrace workflow show`, `schedule` and `gc`: what was run, what will be, and what is left."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.release.stage import Duration
from headrace.cli.terminal import print_json, print_table, printable
from headrace.cli.workflow.files import described_workflow
from headrace.cli.workflow.place import at_local, described, sign, store, took, workflow_of
from headrace.console.figure import as_moment
from headrace.workflows.collect import collect
from headrace.workflows.errors import UnknownRun
from headrace.workflows.file import VariableFile
from headrace.workflows.occasion import upcoming
from headrace.workflows.run import Run, StepRun
from headrace.workflows.workflow import Workflow, read_workflow, workflow_paths

__all__ = ["gc", "schedule", "show"]

MOST_TIMES = 5


@click.command(cls=Command)
@click.argument("name", metavar="WORKFLOW|RUN")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what WORKFLOW does and takes, or how far RUN is."""
    found = None if name in workflow_paths(Path.cwd()) else _run(name)
    if found is not None:
        run, steps = found
        print_json(described(run, steps)) if as_json else _show_run(run, steps)
        return
    workflow = workflow_of(name)
    print_json(described_workflow(workflow)) if as_json else _show_workflow(workflow)


@click.command(cls=Command)
@click.argument("name", required=False, metavar="WORKFLOW")
@json_option
def schedule(name: str | None, as_json: bool) -> None:
    """Show when workflows run by themselves next, while `headrace up` runs."""
    root = Path.cwd()
    paths = workflow_paths(root)
    found = (
        [workflow_of(name)]
        if name
        else [read_workflow(p, os.environ, root) for p in paths.values()]
    )
    now = datetime.now(UTC)
    entries = [
        (
            each.name,
            one,
            upcoming(one, now, MOST_TIMES),
        )
        for each in found
        for one in each.file.schedule
    ]
    if as_json:
        print_json([{"workflow": w, "schedule": s, "next": times} for w, s, times in entries])
        return
    rows = [
        [w, s.cron, s.timezone, at_local(moment, s.timezone)]
        for w, s, times in entries
        for moment in times
    ]
    if rows:
        print_table(["WORKFLOW", "CRON", "TIME ZONE", "NEXT"], rows)
    else:
        click.echo("nothing runs by itself; `schedule:` in a workflow's file makes it", err=True)


@click.command(cls=Command)
@click.option(
    "--keep",
    "keep_s",
    type=Duration(),
    default="30d",
    show_default=True,
    help="How long results that nothing needs are kept.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def gc(keep_s: float, dry_run: bool, as_json: bool) -> None:
    """Delete files of runs that ended long ago, never what a release or a run still needs."""
    place = Place.here()
    with place.database() as database:
        found = collect(database, place.root, place.home, keep_s=keep_s, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    verb = "would go" if dry_run else "deleted"
    click.echo(
        f"{found.artifacts:,} results and the folders of {found.runs:,} runs {verb}: "
        f"{found.bytes / 1e6:,.1f} MB; {found.kept:,} results are kept"
    )


def _run(name: str) -> tuple[Run, dict[str, StepRun]] | None:
    if not Place.here().has_state:
        return None
    with store() as (_, runs):
        try:
            found = runs.get(name)
        except UnknownRun:
            if all(each in "0123456789abcdef-" for each in name):
                raise
            return None
        return found, runs.steps(found.id)


def _show_run(run: Run, steps: dict[str, StepRun]) -> None:
    click.echo(f"{run.id}  {run.workflow}  {run.status}")
    made = f"made {as_moment(run.created_at)} by {run.who or run.trigger}"
    click.echo(
        printable(made + (f", took {took(run.started_at, run.ended_at)}" if run.ended_at else ""))
    )
    for name, value in run.variables.items():
        click.echo(printable(f"  {name} = {value}"))
    rows = [
        [
            f"{sign(each.status)} {each.step}",
            each.operation,
            each.status,
            took(each.started_at, each.ended_at),
            each.error or each.note or _values(each),
        ]
        for each in steps.values()
    ]
    if rows:
        print_table(["STEP", "OPERATION", "STATUS", ">TOOK", "~WHAT CAME OF IT"], rows)


def _values(step: StepRun) -> str:
    if step.outcome is None:
        return ""
    values = (f"{name}={value}" for name, value in step.outcome.values.items())
    files = (f"{name}: {each.bytes:,} bytes" for name, each in step.outcome.artifacts.items())
    return ", ".join((*values, *files))


def _show_workflow(workflow: Workflow) -> None:
    click.echo(printable(f"{workflow.name}  ({workflow.path})"))
    if workflow.file.description:
        click.echo(printable(workflow.file.description))
    rows = []
    for name, each in workflow.file.variables.items():
        declared = each if isinstance(each, VariableFile) else VariableFile(default=each)
        default = "must be given" if declared.default is None else str(declared.default)
        rows.append([name, default, declared.description])
    if rows:
        click.echo()
        print_table(["VARIABLE", "DEFAULT", "~WHAT"], rows)
    click.echo()
    print_table(
        ["STEP", "OPERATION", "NEEDS", "~WHAT"],
        [
            [name, step.operation, ", ".join(workflow.needs[name]), step.description]
            for name, step in workflow.file.steps.items()
        ],
    )
