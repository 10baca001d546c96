"""What the shell may complete: ids and names of this folder's service. In doubt, nothing.

The command's own libraries are imported only here, when somebody presses the tab key.
"""

import os
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from headrace.cli.place import Place
from headrace.errors import HeadraceError

__all__ = ["complete_keys", "complete_models", "complete_prompts", "complete_traces"]

TRACES = 20


def complete_keys(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of keys that are not revoked, with their names."""
    del context, param
    from headrace.access.keys import KeyStore

    try:
        with Place.here().database() as database:
            keys = KeyStore.open(database).list()
    except HeadraceError:
        return []
    return _items(((k.id, k.name) for k in keys if k.revoked_at is None), incomplete)


def complete_models(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of the declared models, and of the built-in ones."""
    del context, param
    from headrace.config.load import load_service
    from headrace.models.builder import builtin_models

    try:
        service = load_service(Place.here().root, os.environ)
    except HeadraceError:
        return []
    names = (*service.models, *builtin_models(service))
    return _items(((name, "") for name in names), incomplete)


def complete_prompts(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of the prompt templates, with what they are for."""
    del context, param
    from headrace.prompts.library import PromptLibrary

    try:
        library = PromptLibrary.load(Place.here().root, os.environ)
    except HeadraceError:
        return []
    return _items(((name, library.get(name).description) for name in library.names()), incomplete)


def complete_traces(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The last traces, by the end of their ids as `trace list` shows them."""
    del context, param
    from headrace.cli.unread import Unread
    from headrace.telemetry.store import TraceStore

    try:
        with Place.here().database() as database:
            traces = TraceStore(database, Unread()).list(limit=TRACES)
    except HeadraceError:
        return []
    return _items(((t.id.rpartition("-")[2], t.model) for t in traces), incomplete)


def _items(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(value, help=text) for value, text in found if value.startswith(incomplete)
    ]
