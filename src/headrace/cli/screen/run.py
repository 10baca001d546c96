"""`headrace screen run`: one text through a policy, without a service."""

import os
import sys

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table, printable
from headrace.screening.finding import Finding, Side

__all__ = ["run"]


@click.command(cls=Command)
@click.argument("text")
@click.option("--policy", default="default", show_default=True, help="The policy's name.")
@click.option(
    "--side",
    type=click.Choice(["input", "output"]),
    default="input",
    show_default=True,
    help="Whether it stands in a prompt or in an answer.",
)
@json_option
def run(text: str, policy: str, side: Side, as_json: bool) -> None:
    """Show what is found in TEXT and what a policy does about it."""
    from headrace.screening.masking import MaskTable
    from headrace.screening.policy import PolicyLibrary
    from headrace.screening.prompt import screen_prompt

    if text == "-":
        text = sys.stdin.read()
    found: list[Finding] = []
    library = PolicyLibrary.load(Place.here().root, os.environ)
    chosen = library.get(policy)
    rules = chosen.input if side == "input" else chosen.output
    left = screen_prompt(text, rules, MaskTable(), found)
    if as_json:
        print_json({"policy": policy, "digest": chosen.digest, "findings": found, "text": left})
        return
    rows = [
        [each.action, each.kind, each.detector, f"{each.score:.2f}", f"{each.start}-{each.end}"]
        for each in found
    ]
    print_table(["ACTION", "KIND", "DETECTOR", ">SCORE", "PLACE"], rows)
    click.echo(printable(left, lines=True))
