"""`headrace workflow list`, `graph`, `validate` and `operations`: what there is to run."""

import os
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import console, is_unicode, print_json, print_table, printable
from headrace.cli.workflow.place import described_run, store, took, workflow_of
from headrace.console.figure import as_moment
from headrace.errors import ConfigError
from headrace.workflows.draw import draw
from headrace.workflows.operation import operation_names, operation_type
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import Workflow, read_workflow, workflow_paths

__all__ = ["described_workflow", "graph", "list_workflows", "operations", "validate"]


@click.command("list", cls=Command)
@click.argument("name", required=False, metavar="WORKFLOW")
@click.option("--runs", "show_runs", is_flag=True, help="List the newest runs instead.")
@json_option
def list_workflows(name: str | None, show_runs: bool, as_json: bool) -> None:
    """List the workflows that can be run; with --runs, or of WORKFLOW, the newest runs."""
    if show_runs or name is not None:
        _list_runs(name, as_json=as_json)
        return
    root = Path.cwd()
    found: list[Workflow] = []
    wrong: list[ConfigError] = []
    for path in workflow_paths(root).values():
        try:
            found.append(read_workflow(path, os.environ, root))
        except ConfigError as error:
            wrong.append(error)
    if as_json:
        print_json([described_workflow(each) for each in found])
    else:
        _print_workflows(found)
    if wrong:  # the others can be run all the same; `validate` names every mistake
        raise wrong[0]


def _print_workflows(found: list[Workflow]) -> None:
    last = _last_runs()
    rows = [
        [
            each.name,
            "ready" if each.is_builtin else "own",
            str(len(each.file.steps)),
            ", ".join(s.cron for s in each.file.schedule)
            or ("trigger" if each.file.triggers else ""),
            last.get(each.name, ""),
            each.file.description,
        ]
        for each in found
    ]
    print_table(["WORKFLOW", "FROM", ">STEPS", "RUNS BY ITSELF", "LAST RUN", "~WHAT"], rows)


@click.command(cls=Command)
@click.argument("name", metavar="WORKFLOW|FILE")
@json_option
def graph(name: str, as_json: bool) -> None:
    """Draw the steps of WORKFLOW, each below those that it needs."""
    workflow = workflow_of(name)
    if as_json:
        print_json({each: list(needs) for each, needs in workflow.needs.items()})
        return
    labels = {each: label(workflow, each) for each in workflow.file.steps}
    for line in draw(workflow.needs, labels, ascii_only=not is_unicode(console())):
        click.echo(printable(line))


@click.command(cls=Command)
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_context
def validate(context: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Check FILES, or every workflow of the folder, without running anything."""
    root = Path.cwd()
    wrong: list[ConfigError] = []
    paths = list(files) or list(workflow_paths(root).values())
    for path in paths:
        try:
            read_workflow(path, os.environ, root)
        except ConfigError as error:
            wrong.append(error)
    if as_json:
        said = [{"message": each.message, "hint": each.hint} for each in wrong]
        print_json({"files": len(paths), "wrong": said})
    for each in () if as_json else wrong:
        click.echo(printable(f"error: {each.message}"), err=True)
        if each.hint:
            click.echo(printable(f"hint: {each.hint}"), err=True)
    if not as_json:
        click.echo(f"{len(paths) - len(wrong)} of {len(paths)} workflows can be run")
    context.exit(1 if wrong else 0)


@click.command(cls=Command)
@json_option
def operations(as_json: bool) -> None:
    """List what a step can do: the operations that are installed."""
    import inspect

    found = {name: operation_type(name) for name in operation_names()}
    whats = {name: (inspect.getdoc(each) or "").partition("\n")[0] for name, each in found.items()}
    if as_json:
        print_json(
            [
                {"name": name, "what": whats[name], "gives": each.returns, "writes": each.writes}
                for name, each in found.items()
            ]
        )
        return
    rows = [
        [name, ", ".join((*(each.returns or ()), *each.writes)) or "", whats[name]]
        for name, each in found.items()
    ]
    print_table(["OPERATION", "GIVES", "~WHAT"], rows)


def label(workflow: Workflow, name: str) -> str:
    """A step in a drawing: its name, how often, whether conditionally, and its operation."""
    step = workflow.file.steps[name]
    marks = " × matrix" if step.matrix else ""
    marks += " ?" if step.when is not None else ""
    return name + marks if step.operation == name else f"{name}{marks} · {step.operation}"


def _list_runs(name: str | None, *, as_json: bool) -> None:
    with store() as (_, runs):
        found = runs.runs(name)
    if as_json:
        print_json([described_run(each) for each in found])
    elif found:
        rows = [
            [
                each.id, each.workflow, each.status, as_moment(each.created_at),
                took(each.started_at, each.ended_at), each.trigger, each.error,
            ]
            for each in found
        ]  # fmt: skip
        columns = ["RUN", "WORKFLOW", "STATUS", "MADE", ">TOOK", "BY", "~ERROR"]
        print_table(columns, rows)
    else:
        click.echo("no runs; `headrace workflow run WORKFLOW` makes one", err=True)


def _last_runs() -> dict[str, str]:
    place = Place.here()
    if not place.has_state:
        return {}
    with place.database() as database:
        found = RunStore(database).runs(limit=1000, oldest_first=False)
    return {
        each.workflow: f"{each.status} {as_moment(each.created_at)}" for each in reversed(found)
    }


def described_workflow(workflow: Workflow) -> dict[str, object]:
    return {
        "name": workflow.name,
        "file": workflow.path,
        "builtin": workflow.is_builtin,
        "description": workflow.file.description,
        "variables": workflow.file.variables,
        "steps": {each: list(needs) for each, needs in workflow.needs.items()},
        "schedule": workflow.file.schedule,
        "triggers": workflow.file.triggers,
    }
