"""`headrace train port`: a recipe again on another base model, and which of the two is better."""

import asyncio
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table
from headrace.cli.train.place import described, found_job, raise_failure, trainer_of
from headrace.cli.train.run import watched
from headrace.training.declared import base_of
from headrace.training.errors import TrainingInvalid
from headrace.training.port import Comparison, compared, ported

__all__ = ["port"]


@click.command(cls=Command)
@click.argument("job_id", metavar="[ID]", default="")
@click.option("--to", "target", required=True, metavar="MODEL", help="Another base model.")
@json_option
def port(job_id: str, target: str, as_json: bool) -> None:
    """Train again what the fine-tune ID (or the newest) did, on another base, and compare.

    Compared on the same held-out examples: loss per byte of the answers (losses per token of two
    tokenizers cannot be) and how many answers come out exactly, both with their adapters.
    """
    place = Place.here()
    trainer = trainer_of(place)
    before = found_job(trainer, job_id)
    if trainer.state(before.id).status != "succeeded":
        raise TrainingInvalid(
            f"the fine-tune {before.id} has not succeeded", hint="port one that has"
        )
    after = trainer.create(ported(before, base_of(target, place.root, place.home)))
    trainer.start(after.id)
    state = watched(trainer, after, as_json=as_json)
    if state.error is not None:
        raise_failure(state.error)
    folders = [trainer.folder(each.id) for each in (before, after)]
    found = asyncio.run(compared(folders[0], folders[1]))
    if as_json:
        print_json({**described(after, state), "comparison": found})
        return
    _tell(found, folders[1])


def _tell(found: list[Comparison], folder: Path) -> None:
    columns = ["~BASE", ">HELD-OUT LOSS", ">PER BYTE", ">EXACT", ">EXAMPLES"]
    print_table(columns, [_row(each) for each in found])
    click.echo(str(folder / "result"))


def _row(each: Comparison) -> list[str]:
    return [
        each.base,
        "" if each.loss_per_token is None else f"{each.loss_per_token:.4f}",
        "" if each.loss_per_byte is None else f"{each.loss_per_byte:.4f}",
        "" if each.exact is None else f"{each.exact}",
        f"{each.examples}",
    ]
