"""`headrace data preview`: the exact tokens that a model would be trained on, and which are learned."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import click
from rich.text import Text

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import console, print_json, printable
from headrace.ids import new_id
from headrace.models.store import ModelStore
from headrace.training.base import find_base
from headrace.training.data import Row, Sources
from headrace.training.declared import base_of
from headrace.training.job import FineTune, Job
from headrace.training.prepare import read_rows, words_for
from headrace.training.render import Tokens, render_pair, render_supervised
from headrace.training.tongue import Tongue, open_tongue

__all__ = ["preview"]

LEARNED, CONTEXT = "black on green", "dim"


@dataclass(frozen=True, slots=True)
class _Shown:
    """One sequence, for people."""

    side: str
    """Of a preference: chosen or rejected."""
    tokens: Tokens
    pieces: Sequence[str]

    def described(self) -> dict[str, object]:
        found: dict[str, object] = {
            "where": self.tokens.where,
            "tokens": len(self.tokens.ids),
            "learned": self.tokens.learned,
            "ids": self.tokens.ids,
            "pieces": self.pieces,
            "mask": [int(self.is_learned(at)) for at in range(len(self.tokens.ids))],
        }
        return {"side": self.side, **found} if self.side else found

    def is_learned(self, at: int) -> bool:
        return any(start <= at < end for start, end in self.tokens.spans)


@click.command(cls=Command)
@click.argument("source")
@click.option("--model", default="", help="Model of headrace.yaml, or its weights.")
@click.option("--template", default="", help="Prompt template to put around what is asked.")
@click.option("-n", "--rows", "count", default=3, show_default=True, help="Examples shown.")
@json_option
def preview(source: str, model: str, template: str, count: int, as_json: bool) -> None:
    """Show SOURCE (a file, or dataset:NAME) as the tokens that a model would be trained on.

    What is learned is green (on a terminal) and between ⟦ and ⟧; the rest is read only. Template
    and tokenizer are those that serve the model.
    """
    place = Place.here()
    spec = FineTune(base=base_of(model, place.root, place.home), training=source, template=template)
    job = Job(id=new_id(), created_at=0.0, root=str(place.root), home=str(place.home), spec=spec)
    rows = read_rows(Sources(place.root, place.home).read(source))
    shown = asyncio.run(_rendered(job, place, list(islice(rows, count))))
    if as_json:
        print_json([each.described() for each in shown])
        return
    for each in shown:
        _print(each)


async def _rendered(job: Job, place: Place, rows: Sequence[Row]) -> list[_Shown]:
    store = ModelStore(place.home / "models", root=place.root)
    base = await asyncio.to_thread(find_base, job.spec.base, store, place.root)
    async with open_tongue(base, place.home, place.root) as tongue:
        return [each for row in rows for each in await _row(job, row, tongue)]


async def _row(job: Job, row: Row, tongue: Tongue) -> list[_Shown]:
    words = words_for(job)
    if row.example.kind == "preference":
        pair = await render_pair(row.example, row.where, tongue, words)
        sides = [("chosen", pair.chosen), ("rejected", pair.rejected)]
    else:
        sequences = await render_supervised(row.example, row.where, tongue, words)
        sides = [("", each) for each in sequences]
    return [_Shown(side, each, await tongue.pieces(each.ids)) for side, each in sides]


def _print(shown: _Shown) -> None:
    tokens = shown.tokens
    side = f" {shown.side}" if shown.side else ""
    text = Text(
        f"{tokens.where}{side}: {len(tokens.ids)} tokens, {tokens.learned} learned\n", "bold"
    )
    was_learned = False
    for at, piece in enumerate(shown.pieces):
        is_learned = shown.is_learned(at)
        if is_learned != was_learned:
            text.append("⟦" if is_learned else "⟧", "bold green")
        text.append(printable(piece, lines=True), LEARNED if is_learned else CONTEXT)
        was_learned = is_learned
    text.append("⟧" if was_learned else "", "bold green")
    console().print(text, soft_wrap=True)
    console().print()
