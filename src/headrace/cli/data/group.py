"""The commands under `headrace data`."""

import click

from headrace.cli.command import Group
from headrace.cli.data.add import add, check
from headrace.cli.data.anonymise import anonymise_dataset, guarantee
from headrace.cli.data.compare import diff, overlap
from headrace.cli.data.harvest import from_traces
from headrace.cli.data.preview import preview
from headrace.cli.data.publish import publish_figures
from headrace.cli.data.show import export, list_datasets, show
from headrace.cli.data.stats import card, stats

__all__ = ["data"]


@click.group(cls=Group)
def data() -> None:
    """Keep examples to train on and to measure with, in versions that never change.

    A dataset goes by NAME (its newest version), NAME@3, or NAME@sha256:… (any beginning).
    """


for command in (
    check, add, from_traces, list_datasets, show, preview, stats, diff, overlap, export, card,
    anonymise_dataset, publish_figures, guarantee,
):  # fmt: skip
    data.add_command(command)
