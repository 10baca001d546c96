"""`headrace train run`: from examples to an adapter, watched."""

from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, printable
from headrace.cli.train.place import described, raise_failure, trainer_of
from headrace.cli.train.recipe import read_recipe, with_settings
from headrace.cli.train.watch import watch
from headrace.training.declared import base_of
from headrace.training.job import Job, JobState
from headrace.training.trainer import Trainer

__all__ = ["finish", "run", "watched"]

STOPPED = 3
"""Exit status of a training that was paused or cancelled."""


@click.command(cls=Command)
@click.argument("source")
@click.option("--model", "base", default="", help="Model of headrace.yaml, or its weights.")
@click.option("--method", type=click.Choice(["supervised", "dpo"]))
@click.option("--tuning", type=click.Choice(["lora", "qlora", "full"]))
@click.option("--validation", metavar="SOURCE", help="Held-out examples.")
@click.option("--epochs", type=int, help="Passes over the examples.")
@click.option("--suffix", help="A word in the adapter's name.")
@click.option("--against", multiple=True, metavar="SUITE", help="Suites not to be given away.")
@click.option("--skip-wrong", is_flag=True, help="Train on the rows that can be used.")
@click.option("--keep-overlap", is_flag=True, help="Train on rows that give a suite away.")
@click.option("--merge", is_flag=True, help="Also write base and adapter as one GGUF file.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other setting.")
@click.option("--no-wait", is_flag=True, help="Print the id and leave it running.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    /,
    source: str,
    base: str,
    against: tuple[str, ...],
    settings: tuple[str, ...],
    *,
    skip_wrong: bool,
    keep_overlap: bool,
    merge: bool,
    no_wait: bool,
    as_json: bool,
    **options: str | int | None,
) -> None:
    """Train on SOURCE: a file of examples, dataset:NAME[@VERSION][#SPLIT], or a YAML recipe.

    Options win over the recipe; --set reaches every setting (docs/training.md), such as
    --set learning_rate=5e-4 --set validation_share=0.1. Ctrl-C pauses: `headrace train resume`
    goes on. Exits with 1 when it failed, 3 when it was paused or cancelled.
    """
    place = Place.here().made()
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    flags = {"skip_wrong": skip_wrong, "keep_overlap": keep_overlap, "merge": merge}
    given += [f"{name}=true" for name, is_set in flags.items() if is_set]
    spec = read_recipe(source, place)
    if base:
        given.append(f'base="{base_of(base, place.root, place.home)}"')
    if against:
        given.append(f"evaluations={list(against)}")
    spec = with_settings(spec, [*given, *settings])
    trainer = trainer_of(place)
    job = trainer.create(spec)
    trainer.start(job.id)
    if no_wait:
        print_json({"id": job.id}) if as_json else click.echo(job.id)
        return
    finish(context, trainer, job, watched(trainer, job, as_json=as_json), as_json=as_json)


def watched(trainer: Trainer, job: Job, *, as_json: bool) -> JobState:
    """The state once the process has ended; Ctrl-C pauses it."""
    folder = trainer.folder(job.id)
    try:
        watch(folder, silent=as_json)
    except KeyboardInterrupt:
        trainer.stop(job.id)
        click.echo("pausing at the end of this step…", err=True)
        watch(folder, silent=True)
    return trainer.wait(job.id)


def finish(
    context: click.Context, trainer: Trainer, job: Job, state: JobState, *, as_json: bool
) -> None:
    """Say what came of it, and exit accordingly.

    Raises:
        HeadraceError: it failed.
    """
    if as_json:
        print_json(described(job, state))
    elif state.error is not None:
        for problem in state.error.problems:
            click.echo(printable(problem), err=True)
    if state.error is not None:
        if as_json:
            context.exit(1)
        raise_failure(state.error)
    if state.status != "succeeded":
        if not as_json:
            click.echo(f"{state.status}; `headrace train resume {job.id}` goes on", err=True)
        context.exit(STOPPED)
    if not as_json:
        _tell(trainer.folder(job.id), state)


def _tell(folder: Path, state: JobState) -> None:
    result = state.result
    assert result is not None
    held_out = "" if result.valid_loss is None else f", held-out {result.valid_loss:.4f}"
    loss = "" if result.train_loss is None else f"loss {result.train_loss:.4f}{held_out}, "
    click.echo(f"{result.name}: {loss}{result.steps:,} steps, {result.wall_s:,.1f} s")
    click.echo(f"registry:{result.digest}" if result.adapter else result.digest)
    click.echo(str(folder / "result"))
