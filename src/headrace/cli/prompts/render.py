"""`headrace prompts render`: exactly what the model would read, and how many tokens it is."""

import asyncio

import click

from headrace.cli.command import Command, json_option
from headrace.cli.progress import FetchProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.prompts.values import case_of, case_options
from headrace.cli.suggest import complete_models, complete_prompts
from headrace.cli.terminal import print_json, printable
from headrace.pipeline.turn import Turn
from headrace.types import Message

__all__ = ["render"]


@click.command(cls=Command)
@click.argument("reference", metavar="NAME[@VERSION]", shell_complete=complete_prompts)
@case_options
@click.option("--model", shell_complete=complete_models, help="Whose tokens are counted.")
@json_option
def render(
    reference: str,
    text: str,
    variables: tuple[str, ...],
    language: str | None,
    case: str | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Print the messages that the model gets, after every step before it, with their tokens.

    The model's own tokenizer counts, chat template included. Nobody is asked, nothing is recorded.
    """
    from headrace.pipeline.trial import turn_for

    with Desk.open() as desk:
        template = desk.template(reference)
        test = case_of(template, text, variables, language, case)
        turn = turn_for(LOCAL, template, test, model=model)
        with FetchProgress() as progress:
            counts, total, context_tokens = asyncio.run(_rendered(desk, turn, progress))
    rows = list(zip(turn.messages, counts, strict=True))
    if as_json:
        print_json(
            {
                "template": template.version,
                "model": turn.model,
                "messages": [{**_plain(each), "tokens": tokens} for each, tokens in rows],
                "tokens": total,
                "context_tokens": context_tokens,
                "params": turn.template_params,
            }
        )
        return
    for message, tokens in rows:
        click.secho(f"{message.role}  ({tokens} tokens)", bold=True)
        click.echo(printable(message.text(), lines=True) + "\n")
    click.echo(f"{total} tokens of {context_tokens:,} ({turn.model}), {template.version}", err=True)


async def _rendered(desk: Desk, turn: Turn, progress: FetchProgress) -> tuple[list[int], int, int]:
    """What each message adds to the prompt, all of it, and the model's context."""
    async with desk.platform(progress.report) as platform:
        progress.close()
        await platform.service.pipeline.rehearse(turn)
        model = platform.service.models.get(turn.model)
        totals = [
            await model.count_tokens(turn.messages[: at + 1]) for at in range(len(turn.messages))
        ]
        counts = [total - before for total, before in zip(totals, [0, *totals], strict=False)]
        return counts, totals[-1] if totals else 0, model.context_tokens


def _plain(message: Message) -> dict[str, object]:
    return {"role": message.role, "content": message.content}
