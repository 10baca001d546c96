"""`headrace release list`, `inspect`, `diff` and `verify`: what there is, and what is in it."""

from dataclasses import asdict

import click

from headrace.cli.command import Command, json_option
from headrace.cli.release.place import described, store
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment
from headrace.releases.channel import PRODUCTION
from headrace.releases.diff import ReleaseDiff
from headrace.releases.diff import diff as diff_of
from headrace.releases.store import Release

__all__ = ["diff", "inspect", "list_releases", "verify"]


@click.command("list", cls=Command)
@json_option
def list_releases(as_json: bool) -> None:
    """List the releases, newest first."""
    with store() as (_, releases):
        found = releases.all()
        serving = releases.serving(PRODUCTION)
        if as_json:
            print_json([described(each, releases) for each in found])
            return
    if not found:
        click.echo("no releases; `headrace release build` makes one", err=True)
        return
    columns = ["RELEASE", "DIGEST", "ANSWERS CARRY", "MADE", "SERVES", "~NOTE"]
    print_table(columns, [_row(each, serving) for each in found])


def _row(release: Release, serving: str) -> list[str]:
    return [
        release.name,
        release.digest[:19],
        release.manifest.behaviour[:19],
        as_moment(release.created_at),
        PRODUCTION if release.digest == serving else "",
        release.note,
    ]


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE")
@json_option
def inspect(name: str, as_json: bool) -> None:
    """Show what is in RELEASE."""
    with store() as (_, releases):
        found = releases.get(name)
        if as_json:
            print_json(described(found, releases))
            return
        proved = releases.attestations(found)
    manifest = found.manifest
    click.secho(f"{found.name}  {found.digest}", bold=True)
    click.echo(f"  service    {printable(manifest.service)}, Headrace {manifest.headrace}")
    click.echo(f"  answers    carry {manifest.behaviour}")
    click.echo(f"  knowledge  {manifest.knowledge or 'none'}")
    click.echo(f"  models     {', '.join(map(printable, manifest.models))}")
    for proof in proved:
        scores = ", ".join(f"{name} {mean:.3f}" for name, mean in proof.scores.items())
        click.echo(printable(f"  {proof.suite}  {proof.verdict.lower()}: {scores}"))
    for each in manifest.files:
        click.echo(f"  {each.bytes:>9,}  {each.sha256[:12]}  {printable(each.path)}")
    for path in manifest.outside:
        click.echo(f"  {'secret':>9}  {'':12}  {printable(path)}")


@click.command(cls=Command)
@click.argument("old")
@click.argument("new")
@json_option
@click.pass_context
def diff(context: click.Context, old: str, new: str, as_json: bool) -> None:
    """Show what NEW changes against OLD. Exits with 1 when they answer differently."""
    with store() as (_, releases):
        before, after = releases.get(old), releases.get(new)
        found = diff_of(before.manifest, after.manifest, releases.blobs)
    if as_json:
        print_json({"old": before.digest, "new": after.digest, **asdict(found)})
    else:
        _print(found)
    context.exit(0 if found.same_behaviour else 1)


def _print(found: ReleaseDiff) -> None:
    for file in found.files:
        click.secho(f"{file.what}: {printable(file.path)}", bold=True)
        for line in file.lines[2:]:
            colour = {"+": "green", "-": "red"}.get(line[:1])
            click.secho(f"  {printable(line)}", fg=colour)
    for model, what in found.models.items():
        click.echo(f"model {printable(model)}: {what}")
    if found.knowledge is not None:
        click.echo(f"knowledge: {found.knowledge[0] or 'none'} → {found.knowledge[1] or 'none'}")
    if found.headrace is not None:
        click.echo(f"Headrace: {found.headrace[0]} → {found.headrace[1]}")
    click.echo("both answer alike" if found.same_behaviour else "they answer differently", err=True)


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE")
@json_option
def verify(name: str, as_json: bool) -> None:
    """Check every file and the signature of RELEASE."""
    with store() as (_, releases):
        found = releases.get(name)
        releases.verify(found)
    if as_json:
        print_json({"digest": found.digest, "valid": True})
    else:
        click.echo(f"{found.name}: {len(found.manifest.files)} files and the signature are right")
