"""`headrace release export` and `import`: a release carried to another machine."""

from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.release.place import described, new_store, store
from headrace.cli.terminal import print_json
from headrace.releases import layout

__all__ = ["export", "import_release"]


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def export(name: str, folder: Path) -> None:
    """Write RELEASE into FOLDER as an OCI image layout, which registries and their tools carry.

    Adapters of the registry go along. Weights stay out: they are fetched by their reference and
    checksum where it is served.
    """
    with store() as (_, releases):
        found = releases.get(name)
        layout.export(found, releases, folder)
    click.echo(f"{found.name} is in {folder}; `headrace release import` takes it")


@click.command("import", cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--note", default="", metavar="TEXT", help="What it is, for people.")
@json_option
def import_release(folder: Path, note: str, as_json: bool) -> None:
    """Take a release from FOLDER, an OCI image layout.

    To be served it must be signed by a key that is trusted here: this home's own, or one in
    .headrace/trusted-releases.
    """
    with new_store() as (_, releases):
        found, is_new = layout.read_layout(folder, releases, note=note)
        trusted = releases.signer.is_trusted(found.manifest.encoded(), found.signature)
        if as_json:
            print_json({**described(found, releases), "new": is_new, "trusted": trusted})
            return
    known = "" if is_new else " (known already)"
    click.echo(f"{found.name}{known}: {len(found.manifest.files)} files, {found.digest}")
    if not trusted:
        again = " and import it again, for its adapters," if found.manifest.adapters else ""
        click.echo(
            "nobody who is trusted here has signed it: put the builder's release.pub into "
            f".headrace/trusted-releases/{again} before you deploy it",
            err=True,
        )
