"""What the shell may complete for models of the catalogue. In doubt, nothing."""

import os

import click
from click.shell_completion import CompletionItem

from headrace.cli.place import Place
from headrace.cli.suggest import complete_models
from headrace.errors import HeadraceError

__all__ = ["complete_catalogue"]


def complete_catalogue(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Declared models, then ids of the catalogue."""
    from headrace.models.catalogue.load import load_catalogue

    found = complete_models(context, param, incomplete)
    try:
        ids = load_catalogue(Place.here().root, os.environ).ids()
    except HeadraceError:
        return found
    return found + [CompletionItem(each) for each in ids if each.startswith(incomplete)]
