"""`headrace prompts diff`: what changed between two versions."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.prompts.desk import Desk
from headrace.cli.prompts.values import case_of, case_options
from headrace.cli.suggest import complete_prompts
from headrace.cli.terminal import print_json, printable
from headrace.prompts.difference import rendered_text, unified
from headrace.prompts.source import source_of
from headrace.prompts.template import PromptTemplate
from headrace.types import Message

__all__ = ["diff"]

DIFFERENT = 1


@click.command(cls=Command)
@click.argument("left", metavar="NAME[@VERSION]", shell_complete=complete_prompts)
@click.argument("right", metavar="NAME[@VERSION]", shell_complete=complete_prompts)
@click.option("--rendered", is_flag=True, help="Compare what a model reads, not the files.")
@case_options
@json_option
@click.pass_context
def diff(
    context: click.Context,
    left: str,
    right: str,
    rendered: bool,
    text: str,
    variables: tuple[str, ...],
    language: str | None,
    case: str | None,
    as_json: bool,
) -> None:
    """Show what changed from one version to another; exits with 1 if anything did.

    With --rendered, the words of both for one message: --input, or the test named by --case.
    """
    with Desk.open() as desk:
        versions = (desk.template(left), desk.template(right))
    if rendered:
        texts = [_read(each, text, variables, language, case) for each in versions]
    else:
        texts = [source_of(each.file) for each in versions]
    names = (versions[0].version, versions[1].version)
    difference = unified(texts[0], texts[1], names=names)
    if as_json:
        print_json({"left": names[0], "right": names[1], "diff": difference})
    elif difference:
        click.echo(printable(difference, lines=True))
    else:
        click.echo("no difference", err=True)
    context.exit(DIFFERENT if difference else 0)


def _read(
    template: PromptTemplate,
    text: str,
    variables: tuple[str, ...],
    language: str | None,
    case: str | None,
) -> str:
    test = case_of(template, text, variables, language, case)
    values = template.variables.fill(test.variables, {})
    rendered = template.render(values, language=test.language, today="2000-01-01")
    return rendered_text(rendered.around([Message(role="user", content=test.user)]))
