"""The commands under `headrace models`."""

import click

from headrace.cli.command import Group
from headrace.cli.models.choose import choose
from headrace.cli.models.compare import compare
from headrace.cli.models.listing import list_models
from headrace.cli.models.pull import pull
from headrace.cli.models.test import test

__all__ = ["models"]


@click.group(cls=Group)
def models() -> None:
    """List, compare, choose and test models, and fetch their weights."""


for command in (list_models, compare, choose, test, pull):
    models.add_command(command)
