"""`headrace train list`, `show`, `cancel` and `resume`."""

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table, printable
from headrace.cli.train.place import described, found_job, row_of, trainer_of
from headrace.cli.train.run import finish, watched
from headrace.cli.train.watch import sparkline
from headrace.console.figure import as_moment
from headrace.training.folder import current_events, read_events
from headrace.training.job import Job, JobState

__all__ = ["cancel", "list_jobs", "resume", "show"]

_CELLS = 60


@click.command("list", cls=Command)
@json_option
def list_jobs(as_json: bool) -> None:
    """List the fine-tunes, newest first, and the adapters that they made."""
    trainer = trainer_of(Place.here())
    found = [(job, trainer.state(job.id)) for job in trainer.jobs()]
    if as_json:
        print_json([described(job, state) for job, state in found])
    elif found:
        columns = ["FINE-TUNE", "STATUS", ">STEP", ">LOSS", "MADE", "~DATA", "ADAPTER"]
        print_table(columns, [row_of(job, state) for job, state in found])
    else:
        click.echo("no fine-tunes; `headrace train run FILE` makes one", err=True)


@click.command(cls=Command)
@click.argument("job_id", metavar="[ID]", default="")
@click.option("--events", is_flag=True, help="Every event, a line of JSON each.")
@json_option
def show(job_id: str, events: bool, as_json: bool) -> None:
    """Show the fine-tune ID (any beginning or end of it), or the newest."""
    trainer = trainer_of(Place.here())
    job = found_job(trainer, job_id)
    if events:
        for event in read_events(trainer.folder(job.id)):
            click.echo(msgspec.json.encode(event))
        return
    state = trainer.state(job.id)
    if as_json:
        print_json(described(job, state))
        return
    for name, value in _facts(job, state):
        click.echo(f"{name:>12}  {printable(value)}")
    measured = current_events(read_events(trainer.folder(job.id)))
    for name, field in (("loss", "train_loss"), ("held-out", "valid_loss")):
        losses = [
            float(found)
            for each in measured
            if each.type == "metrics" and isinstance(found := each.data.get(field), float)
        ]
        if losses:
            bars = sparkline(losses, _CELLS)
            click.echo(f"{name:>12}  {losses[0]:.4f} {bars} {losses[-1]:.4f}")


def _facts(job: Job, state: JobState) -> list[tuple[str, str]]:
    spec, result = job.spec, state.result
    total = "" if state.total_steps is None else f" of {state.total_steps:,}"
    facts = [
        ("fine-tune", job.id),
        ("status", f"{state.status} {state.phase}".strip()),
        ("made", as_moment(job.created_at)),
        ("base", spec.base),
        ("data", spec.training),
        ("method", f"{spec.method}, {spec.tuning}"),
        ("steps", f"{state.step:,}{total}"),
    ]
    if state.tokens_per_s is not None:
        facts.append(("pace", f"{state.tokens_per_s:,.0f} tokens/s"))
    if state.checkpoints:
        facts.append(("checkpoints", ", ".join(str(each.step) for each in state.checkpoints)))
    if state.error is not None:
        facts += [("error", state.error.message), ("hint", state.error.hint)]
    if result is not None:
        facts += [("name", result.name), ("adapter", f"registry:{result.digest}")]
    return facts


@click.command(cls=Command)
@click.argument("job_id", metavar="ID")
def cancel(job_id: str) -> None:
    """End the fine-tune ID for good, at the end of its step."""
    trainer = trainer_of(Place.here())
    job = found_job(trainer, job_id)
    trainer.cancel(job.id)
    click.echo(f"{job.id}: {trainer.state(job.id).status}")


@click.command(cls=Command)
@click.argument("job_id", metavar="ID")
@click.option("--no-wait", is_flag=True, help="Leave it running.")
@json_option
@click.pass_context
def resume(context: click.Context, job_id: str, no_wait: bool, as_json: bool) -> None:
    """Go on with the fine-tune ID from its last checkpoint, or watch it when it runs."""
    trainer = trainer_of(Place.here())
    job = found_job(trainer, job_id)
    if trainer.state(job.id).status != "running":
        trainer.resume(job.id)
    if no_wait:
        print_json({"id": job.id}) if as_json else click.echo(job.id)
        return
    finish(context, trainer, job, watched(trainer, job, as_json=as_json), as_json=as_json)
