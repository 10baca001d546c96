"""The commands under `headrace workflow`."""

import click

from headrace.cli.command import Group
from headrace.cli.workflow.act import approve, cancel
from headrace.cli.workflow.files import graph, list_workflows, operations, validate
from headrace.cli.workflow.run import resume, run
from headrace.cli.workflow.show import gc, schedule, show

__all__ = ["workflow"]


@click.group(cls=Group)
def workflow() -> None:
    """Run graphs of steps that survive any crash: train, evaluate, release, clean up.

    A workflow is a file of workflows/, or one that comes with Headrace. A run goes by its id, or
    any beginning of it that fits no other.
    """


for command in (
    run, list_workflows, show, graph, cancel, resume, approve, schedule, gc, validate, operations,
):  # fmt: skip
    workflow.add_command(command)
