"""`headrace workflow cancel` and `approve`: what a person says to a run."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import who
from headrace.cli.terminal import print_json
from headrace.cli.workflow.place import described, store
from headrace.workflows.errors import RunRefused
from headrace.workflows.state import ENDED

__all__ = ["approve", "cancel"]


@click.command(cls=Command)
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(run_id: str, as_json: bool) -> None:
    """End RUN: what has a process of its own is ended at once, other steps are let end."""
    with store() as (_, runs):
        found = runs.ask_cancel(run_id)
        if as_json:
            print_json(described(found, runs.steps(found.id)))
            return
    said = "is cancelled" if found.has_ended else "is being cancelled"
    click.echo(f"{found.id} {said}")


@click.command(cls=Command)
@click.argument("run_id", metavar="RUN")
@click.argument("step", required=False)
@click.option("--no", "refused", is_flag=True, help="Refuse it: the step fails.")
@click.option("--why", default="", metavar="TEXT", help="For the record.")
@json_option
def approve(run_id: str, step: str | None, refused: bool, why: str, as_json: bool) -> None:
    """Say yes to STEP of RUN, which waits for it; STEP can be left out when only one waits.

    It can be said before the step's turn has come, too, if STEP is named.
    """
    with store() as (_, runs):
        found = runs.get(run_id)
        if found.has_ended:
            raise RunRefused(f"the run {found.id} has ended: {found.status}")
        steps = runs.steps(found.id)
        waiting = [
            each.step for each in steps.values()
            if each.operation == "approve" and each.status not in ENDED
        ]  # fmt: skip
        if step is None and len(waiting) != 1:
            raise RunRefused(
                f"{len(waiting)} steps of {found.id} wait for approval",
                hint=f"name one: {', '.join(waiting)}" if waiting else "name the step",
            )
        step = step or waiting[0]
        decided = runs.decide(found.id, step, approved=not refused, who=who(), why=why)
    if as_json:
        print_json({"run": found.id, "step": step, **_plain(decided)})
        return
    click.echo(f"{step} is {'refused' if refused else 'approved'}")


def _plain(value: object) -> dict[str, object]:
    import msgspec

    found = msgspec.to_builtins(value)
    assert isinstance(found, dict)
    return found
