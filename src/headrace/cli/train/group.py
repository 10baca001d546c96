"""The commands under `headrace train`."""

import click

from headrace.cli.command import Group
from headrace.cli.train.port import port
from headrace.cli.train.run import run
from headrace.cli.train.show import cancel, list_jobs, resume, show

__all__ = ["train"]


@click.group(cls=Group)
def train() -> None:
    """Teach a model from examples, and get an adapter that the service can put on it.

    Training runs in a process of its own: it goes on when this command ends, and after `kill -9`
    `headrace train resume` goes on from its last checkpoint. Needs the extra `train`.
    """


for command in (run, list_jobs, show, cancel, resume, port):
    train.add_command(command)
