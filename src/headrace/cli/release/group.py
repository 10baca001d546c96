"""The commands under `headrace release`."""

import click

from headrace.cli.command import Group
from headrace.cli.release.build import build
from headrace.cli.release.bundle import bundle, unpack
from headrace.cli.release.check import check
from headrace.cli.release.show import diff, inspect, list_releases, verify
from headrace.cli.release.transport import export, import_release

__all__ = ["release"]


@click.group(cls=Group)
def release() -> None:
    """Make everything that decides an answer one bundle: compare, verify and carry it.

    A release goes by its name (r3), its digest (any beginning), or the channel that serves it
    (production). What an answer carries in x-headrace-release finds it too.
    """


_COMMANDS = (
    build, check, list_releases, inspect, diff, verify, export, import_release, bundle, unpack,
)  # fmt: skip
for command in _COMMANDS:
    release.add_command(command)
