"""`headrace ci`: build what the commit declares, ask it its suites, say what changed."""

import os
import tempfile
from pathlib import Path

import click

from headrace.cli.ci.base import Commit, base_of, checkout
from headrace.cli.ci.forge import thread
from headrace.cli.ci.table import markdown
from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.release.bench import Asked, Bench, suite_node
from headrace.cli.release.build import built
from headrace.cli.release.place import gate_suites
from headrace.cli.terminal import print_json
from headrace.releases.diff import ReleaseDiff
from headrace.releases.diff import diff as diff_of
from headrace.releases.store import Release, ReleaseStore

__all__ = ["ci"]

FAILED = 1


@click.command(cls=Command)
@click.option(
    "--base",
    metavar="COMMIT",
    help="What to compare with. In a pull or merge request what it goes into, else HEAD.",
)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    help="A suite of evals/; repeat it for more. Without it: `releases.gate`, else all of evals/.",
)
@click.option("--parallel", type=click.IntRange(1, 256), default=4, help="Calls under way at once.")
@click.option(
    "--markdown", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the table."
)
@click.option("--comment", is_flag=True, help="Comment on the pull or merge request of this run.")
@json_option
@click.pass_context
def ci(
    context: click.Context,
    base: str | None,
    suites: tuple[str, ...],
    parallel: int,
    file: Path | None,
    *,
    comment: bool,
    as_json: bool,
) -> None:
    """Say what a commit changes in the answers, and whether it may.

    Builds a release of this folder and one of the folder as the base has it, asks both the same
    suites, and compares them case by case. Exits with 1 when a gate is not passed. What nobody
    commits (knowledge, weights, prompt tags) is the same for both.
    """
    said = thread(os.environ) if comment else None  # before minutes of work
    place = Place.here().made()
    names = list(suites) or gate_suites(place) or _all_suites(place)
    nodes = {each: suite_node(place, each) for each in names}
    commit, changes, release, asked = None, None, None, []
    with (
        tempfile.TemporaryDirectory(prefix="headrace-base-") as folder,
        place.new_database() as database,
    ):
        releases = ReleaseStore(database, place.home)
        release, _ = built(place, releases, "headrace ci")
        commit, before = _before(place, releases, base or base_of(os.environ), Path(folder))
        if before is not None:
            changes = diff_of(before.manifest, release.manifest, releases.blobs)
        bench = Bench(place, releases, database, parallel)
        for name, node in nodes.items():
            against = None if changes is None or changes.same_behaviour else before
            asked.append(bench.ask(name, node, release, against))
    text = markdown(commit, changes, asked)
    if file is not None:
        file.write_text(text, encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as handle:
            handle.write(text)
    if as_json:
        print_json(_described(commit, changes, release, asked))
    else:
        click.echo(text, nl=False)
    if said is not None:
        page = said.say(text)
        click.echo(f"commented {page}".rstrip(), err=True)
    context.exit(0 if all(each.attestation.passed for each in asked) else FAILED)


def _before(
    place: Place, releases: ReleaseStore, name: str, folder: Path
) -> tuple[Commit | None, Release | None]:
    commit = checkout(place.root, name, folder)
    if commit is None:
        return None, None
    return commit, built(Place(folder, place.home), releases, f"headrace ci: {commit}")[0]


def _all_suites(place: Place) -> list[str]:
    return sorted(each.stem for each in (place.root / "evals").glob("*.yaml"))


def _described(
    commit: Commit | None, changes: ReleaseDiff | None, release: Release, asked: list[Asked]
) -> dict[str, object]:
    return {
        "base": None if commit is None else {"name": commit.name, "sha": commit.sha},
        "release": release.digest,
        "same_behaviour": None if changes is None else changes.same_behaviour,
        "passed": all(each.attestation.passed for each in asked),
        "suites": [
            {
                "attestation": each.attestation,
                "report": each.report,
                "before": each.before,
                "differences": each.differences,
            }
            for each in asked
        ],
    }
