"""`headrace screen run`: one text through a policy, without a turn."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from headrace.access.principal import RoleName
from headrace.cli.command import Command, json_option
from headrace.cli.screen.desk import WITH_MODELS, chosen_policy, opened_kit
from headrace.cli.terminal import print_json, print_table, printable
from headrace.screening.finding import Side
from headrace.screening.form import Expected, PolicyCase
from headrace.types import Role

if TYPE_CHECKING:
    from headrace.pipeline.steps.screen.trial import Outcome

__all__ = ["run"]


@click.command(cls=Command)
@click.argument("text")
@click.option("--policy", default="default", show_default=True, help="Its name, or a file.")
@click.option(
    "--side",
    type=click.Choice(["input", "output"]),
    default="input",
    show_default=True,
    help="Whether it stands in a prompt or in an answer.",
)
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", help="Of the key.")
@click.option("--message", default="user", help="Role of the message, such as tool.")
@click.option("--model", default="", help="The name that the request gives.")
@click.option("--language", default="", help="The user's language (ISO 639-1).")
@click.option("--models", "with_models", is_flag=True, help=WITH_MODELS)
@json_option
def run(
    text: str,
    policy: str,
    side: Side,
    role: RoleName,
    message: Role,
    model: str,
    language: str,
    with_models: bool,
    as_json: bool,
) -> None:
    """Show what is found in TEXT and what a policy does about it. `-` reads standard input."""
    from headrace.pipeline.steps.screen.trial import skipped_by, try_case

    chosen = chosen_policy(policy)
    case = PolicyCase(
        text=sys.stdin.read() if text == "-" else text,
        expect=Expected(),
        side=side,
        role=role,
        message=message,
        model=model,
        language=language,
    )

    async def tried() -> "tuple[Outcome, list[str]]":
        async with opened_kit(with_models=with_models) as kit:
            return await try_case(chosen, case, kit), skipped_by(chosen, kit)

    outcome, skipped = asyncio.run(tried())
    if as_json:
        print_json(
            {
                "policy": chosen.name,
                "digest": chosen.digest,
                "action": outcome.action,
                "findings": [msgspec.to_builtins(each) for each in outcome.findings],
                "text": outcome.text,
                "words": outcome.words,
                "skipped": skipped,
            }
        )
        return
    rows = [
        [
            each.action,
            each.kind,
            each.detector,
            f"{each.score:.2f}",
            f"{each.start}-{each.end}",
            each.note,
        ]
        for each in outcome.findings
    ]
    if rows:
        print_table(["ACTION", "KIND", "DETECTOR", ">SCORE", "PLACE", "NOTE"], rows)
        click.echo()
    if outcome.words:
        click.echo(printable(f"the user is told: {outcome.words}"))
    else:
        click.echo(printable(outcome.text, lines=True))
    if skipped:
        click.echo(f"not run without --models: {', '.join(skipped)}", err=True)
