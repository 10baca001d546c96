"""`headrace release bundle` and `unpack`: a release with all that it runs on, for machines apart."""

import os
from pathlib import Path

import click

from headrace.cli.command import Command
from headrace.cli.place import Place
from headrace.cli.release.place import deployer, new_store, store
from headrace.releases.bundle import unpack_bundle, write_bundle
from headrace.releases.channel import read_serving

__all__ = ["bundle", "unpack"]


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--no-packages", is_flag=True, help="Leave Headrace and what it needs out: it is there already."
)
def bundle(name: str, folder: Path, no_packages: bool) -> None:
    """Write RELEASE into FOLDER with everything that it runs on.

    Weights, knowledge, Headrace itself with all packages, a bill of materials (CycloneDX), and a
    Containerfile. `FOLDER/start` starts the service on a machine without a network; it needs this
    Python's version there and nothing else.
    """
    with store() as (place, releases):
        found = releases.get(name)
        write_bundle(
            found,
            releases,
            folder,
            root=place.root,
            home=place.home,
            environ=os.environ,
            with_packages=not no_packages,
            report=lambda what: click.echo(what, err=True),
        )
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    click.echo(f"{found.name} is in {folder} ({size / 1e6:,.0f} MB); {folder / 'start'} starts it")


@click.command(cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--trust", is_flag=True, help="Trust the key in the bundle from now on.")
def unpack(folder: Path, trust: bool) -> None:
    """Take everything out of the bundle in FOLDER, and serve its release from here on.

    Nothing of it is put anywhere before a trusted signature holds and every file is the one that
    was signed. `FOLDER/start` does this by itself, with --trust.
    """
    here = Place.here().made()
    with new_store() as (_, releases):
        release = unpack_bundle(folder, releases, root=here.root, home=here.home, is_trusted=trust)
        serving = read_serving(here.home)
        if serving is None or serving.release != release.digest:
            deployer(here, releases).serve(
                release, who="bundle", why=f"unpacked from {folder.name}"
            )
    click.echo(f"{release.name} ({release.digest[:19]}) will be served: `headrace up`")
