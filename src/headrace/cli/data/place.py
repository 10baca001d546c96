"""What the commands share: the store of the folder's service, and how rows are shown."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from headrace.cli.place import Place
from headrace.cli.terminal import printable
from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.example import Example
from headrace.datasets.store import DatasetStore
from headrace.datasets.version import Version
from headrace.privacy.vault import Vault

__all__ = ["Shares", "described", "new_store", "print_example", "store"]


@contextmanager
def store() -> Iterator[DatasetStore]:
    """The datasets that are there.

    Raises:
        NotFound: nothing has run here yet.
    """
    place = Place.here()
    with place.database() as database:
        yield DatasetStore(
            database, Vault.open(database, place.home, environ=os.environ), place.home
        )


@contextmanager
def new_store() -> Iterator[DatasetStore]:
    """The same, made if it was not there."""
    place = Place.here()
    with place.new_database() as database:
        yield DatasetStore(
            database, Vault.open(database, place.home, environ=os.environ), place.home
        )


class Shares(click.ParamType[Mapping[str, float]]):
    """`train=0.9,validation=0.1`."""

    name = "shares"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mapping[str, float]:
        if isinstance(value, Mapping):
            return value
        shares: dict[str, float] = {}
        for part in str(value).split(","):
            name, _, share = part.partition("=")
            try:
                shares[name.strip()] = float(share)
            except ValueError:
                self.fail(f"{part!r} is no share such as train=0.9", param, ctx)
        from headrace.datasets.split import split_of

        try:
            split_of(0, shares)
        except DatasetInvalid as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)
        return shares


def described(version: Version) -> dict[str, object]:
    """A version for machines."""
    return {
        "name": version.name,
        "version": version.number,
        "digest": version.digest,
        "rows": version.rows,
        "bytes": version.bytes,
        "kinds": version.manifest.kinds,
        "created_at": version.created_at,
        "origins": version.manifest.origins,
    }


def print_example(example: Example) -> None:
    """One row for people: who says what."""
    click.secho(f"{example.id}  {example.kind}", bold=True)
    for message in example.messages:
        _print_said(message.role, message.text())
    for name, answer in (("chosen", example.chosen), ("rejected", example.rejected)):
        for message in answer:
            _print_said(name, message.text())
    click.echo()


def _print_said(who: str, text: str) -> None:
    lines = printable(text, lines=True).splitlines() or [""]
    click.echo(f"{who:>10}  {lines[0]}")
    for line in lines[1:]:
        click.echo(f"{'':>10}  {line}")
