"""The commands under `headrace prompts`."""

import click

from headrace.cli.command import Group
from headrace.cli.prompts.compare import diff
from headrace.cli.prompts.lint import lint
from headrace.cli.prompts.listing import history, list_prompts, show
from headrace.cli.prompts.new import new
from headrace.cli.prompts.optimise import optimise
from headrace.cli.prompts.render import render
from headrace.cli.prompts.tag import tag
from headrace.cli.prompts.test import test

__all__ = ["prompts"]


@click.group(cls=Group)
def prompts() -> None:
    """List, compare, render, check, test, improve and release prompt templates.

    A template is named NAME (as it is now), builtin/NAME, or NAME@VERSION: a number (v3), a tag
    (production), or the beginning of a digest.
    """


for command in (list_prompts, show, new, lint, render, test, optimise, diff, tag, history):
    prompts.add_command(command)
