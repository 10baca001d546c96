"""`headrace workflow run` and `resume`: a run in this process, until it ends."""

import os
import time
from typing import TYPE_CHECKING

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place, who
from headrace.cli.terminal import print_json, printable
from headrace.cli.workflow.place import described, new_store, sign, store, took, workflow_of
from headrace.config.scalar import scalar
from headrace.errors import InvalidRequest
from headrace.workflows.run import Run, StepRun
from headrace.workflows.state import ENDED
from headrace.workflows.store import RunStore

if TYPE_CHECKING:
    from headrace.workflows.engine import Engine

__all__ = ["resume", "run"]

LOOK_EVERY_S = 0.1
SAY_EVERY_S = 2.0
_LIVELY = ("running", "waiting")


@click.command(cls=Command)
@click.argument("name", metavar="WORKFLOW|FILE")
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@click.option("--force", is_flag=True, help="Do every step, although nothing has changed.")
@click.option("--no-wait", is_flag=True, help="Leave it to the running service; print its id.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    name: str,
    given: tuple[str, ...],
    *,
    force: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Run WORKFLOW: a file of workflows/ or a ready one (`headrace workflow list`).

    Steps whose inputs, parameters and operation are as in an earlier run are left out. Ended by
    Ctrl-C, a crash or a power cut, it goes on by `headrace workflow resume`. Exits with 1 when a
    step failed.
    """
    workflow = workflow_of(name)
    with new_store() as (place, runs):
        made = runs.create(workflow, _variables(given), who=who(), forced=force)
        if no_wait:
            print_json(described(made, {})) if as_json else click.echo(made.id)
            return
        if not as_json:
            click.echo(f"run {made.id}", err=True)
        ended = _worked(place, runs, made, quiet=as_json)
        _told(context, ended, runs.steps(ended.id), as_json=as_json)


@click.command(cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option("--no-wait", is_flag=True, help="Leave it to the running service.")
@json_option
@click.pass_context
def resume(context: click.Context, run_id: str, *, no_wait: bool, as_json: bool) -> None:
    """Go on with RUN: one that failed, was cancelled, or whose process died.

    What succeeded in it stays as it is; the rest is done with the workflow's file as it was.
    """
    with store() as (place, runs):
        found = runs.get(run_id)
        if found.has_ended:
            found = runs.reopen(found.id)
        if no_wait:
            print_json(described(found, {})) if as_json else click.echo(found.id)
            return
        ended = _worked(place, runs, found, quiet=as_json)
        _told(context, ended, runs.steps(ended.id), as_json=as_json)


def _variables(given: tuple[str, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            raise click.UsageError("--var takes NAME=VALUE")
        found[name.strip()] = _value(text)
    return found


def _value(text: str) -> object:
    """As the same text would be in the file; a list is written as in JSON."""
    if text.startswith("["):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"{text!r} is no list: {error}") from error
    return scalar(text)


def _worked(place: Place, runs: RunStore, made: Run, *, quiet: bool) -> Run:
    """Be the engine of the run until it has ended, whoever does it."""
    from headrace.workflows.engine import open_engine
    from headrace.workflows.step import Place as RunPlace

    where = RunPlace(root=place.root, home=place.home, environ=os.environ)
    try:
        with open_engine(runs.database, where, only=made.id) as engine:
            return _watched(engine, made.id, quiet=quiet)
    except KeyboardInterrupt:
        click.echo(f"\n`headrace workflow resume {made.id}` goes on with it", err=True)
        raise


def _watched(engine: "Engine", run_id: str, *, quiet: bool) -> Run:
    shown: dict[str, str] = {}
    said_at: dict[str, float] = {}
    while True:
        found = engine.store.get(run_id)
        if not quiet:
            for each in engine.store.steps(run_id).values():
                _say(each, shown, said_at)
        if found.has_ended:
            return found
        time.sleep(LOOK_EVERY_S)


def _say(step: StepRun, shown: dict[str, str], said_at: dict[str, float]) -> None:
    """One line a step when it ends, and now and then one of what it says."""
    if step.status in ENDED:
        line = f"{sign(step.status)} {step.step}  {_ending(step)}".rstrip()
    elif step.status in _LIVELY and step.note:
        line = f"{sign(step.status)} {step.step}  {step.note}"
        if time.monotonic() - said_at.get(step.step, float("-inf")) < SAY_EVERY_S:
            return
    else:
        return
    if shown.get(step.step) == line:
        return
    shown[step.step], said_at[step.step] = line, time.monotonic()
    click.echo(printable(line), err=True)


def _ending(step: StepRun) -> str:
    if step.status == "succeeded":
        return took(step.started_at, step.ended_at)
    return f"{step.status}{': ' if step.error else ''}{step.error}"


def _told(context: click.Context, ended: Run, steps: dict[str, StepRun], *, as_json: bool) -> None:
    if as_json:
        print_json(described(ended, steps))
    else:
        for step in steps.values():
            for name, value in ({} if step.outcome is None else step.outcome.values).items():
                click.echo(printable(f"{step.step}.{name} = {value}"))
        click.echo(f"{ended.status} after {took(ended.created_at, ended.ended_at)}")
    context.exit(0 if ended.status == "succeeded" else 1)
