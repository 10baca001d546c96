"""`headrace release check`: ask a release its suites, and sign what came of it."""

import asyncio
import os
import time
from dataclasses import dataclass

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.release.place import gate_suites, store, suite_file
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.node import Node, load_yaml
from headrace.errors import NotFound
from headrace.evaluation.gate import breaches
from headrace.evaluation.run import Run
from headrace.evaluation.scorer import Tools
from headrace.evaluation.statistic import estimate
from headrace.evaluation.store import AnswerCache, RunStore
from headrace.evaluation.suite import Suite, parse_suite
from headrace.privacy.vault import Vault
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.releases.attestation import Attestation
from headrace.releases.channel import PRODUCTION
from headrace.releases.errors import ReleaseInvalid
from headrace.releases.store import Release, ReleaseStore
from headrace.storage.database import Database

__all__ = ["check"]

FAILED = 1


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    help="A suite of evals/; repeat it for more. Without it: those of `releases.gate`.",
)
@click.option(
    "--against",
    default=PRODUCTION,
    show_default=True,
    metavar="RELEASE",
    help="What it must not be worse than; where nothing is served, it is compared with nothing.",
)
@click.option("--parallel", type=click.IntRange(1, 256), default=4, help="Calls under way at once.")
@json_option
@click.pass_context
def check(
    context: click.Context,
    name: str,
    suites: tuple[str, ...],
    against: str,
    parallel: int,
    as_json: bool,
) -> None:
    """Ask RELEASE the suites that it must pass to be served, and sign what came of it.

    The same cases are asked of what is served now, unless their answers are kept. Exits with 1
    when a suite is not passed. `headrace deploy` looks at what was signed.
    """
    with store() as (place, releases):
        names = list(suites) or gate_suites(place)
        if not names:
            raise click.UsageError(
                "no suite is named: say --suite NAME, or list them in headrace.yaml: releases.gate"
            )
        nodes = {each: _node(place, each) for each in names}
        release = releases.get(name)
        before = _against(releases, release, against)
        with place.database() as database:
            bench = _Bench(place, releases, database, parallel)
            found = [bench.attested(suite, node, release, before) for suite, node in nodes.items()]
    if as_json:
        print_json(found)
    else:
        _say(found)
    context.exit(0 if all(each.passed for each in found) else FAILED)


def _node(place: Place, name: str) -> Node:
    path = suite_file(place, name)
    if not path.exists():
        raise NotFound(
            f"there is no suite evals/{name}.yaml",
            hint="`headrace init --help`; docs/evaluation.md",
        )
    return load_yaml(path, os.environ)


def _against(releases: ReleaseStore, release: Release, name: str) -> Release | None:
    if name == PRODUCTION and not releases.serving(PRODUCTION):
        return None
    found = releases.get(name)
    return None if found.digest == release.digest else found


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where releases are asked: each from its own folder, beside whatever runs."""

    place: Place
    releases: ReleaseStore
    database: Database
    parallel: int

    def attested(
        self, name: str, node: Node, release: Release, before: Release | None
    ) -> Attestation:
        suite = parse_suite(node, self.place.root, name)
        vault = Vault.open(self.database, self.place.home, environ=os.environ)
        baseline = None
        if before is not None:
            baseline = self._run(node, suite, before, vault, None)
        run = self._run(node, suite, release, vault, baseline)
        kept = RunStore(self.database, vault).keep(run)
        wrong = breaches(run, suite.file.gate, baseline)
        found = Attestation(
            release=release.digest,
            suite=suite.name,
            suite_digest=suite.version,
            verdict="FAILED" if wrong else "PASSED",
            scores={
                scorer: estimate(scores).mean
                for scorer in run.scorers
                if (scores := list(run.by_case(scorer).values()))
            },
            breaches=wrong,
            cases=len(suite.cases),
            run=kept.id,
            baseline="" if before is None else before.digest,
            finished_at=time.time(),
        )
        self.releases.attest(found)
        return found

    def _run(
        self, node: Node, suite: Suite, release: Release, vault: Vault, baseline: Run | None
    ) -> Run:
        from headrace.server.evaluation import declared_release  # the whole service
        from headrace.server.evaluation import evaluate as run_evaluation

        folder = self.releases.unpacked(release, self.place.root)
        library = PromptLibrary.load(folder, os.environ)
        desk = Desk(Place(folder, self.place.home), library, PromptStore(self.database))
        tools = Tools(
            root=self.place.root,
            environ=os.environ,
            baseline=None if baseline is None else baseline.answers(),
        )
        cache = AnswerCache(self.database, vault, suite.name)
        declared = declared_release(folder, self.place.home, os.environ, self.database, vault)

        async def asked() -> Run:
            with (
                FetchProgress() as fetching,
                RowProgress(f"{release.name}: {suite.name}") as progress,
            ):
                return await run_evaluation(
                    node, suite, cache, lambda: desk.platform(fetching.report), LOCAL,
                    tools=tools, declared=declared, parallel=self.parallel, saw=progress.report,
                )  # fmt: skip

        run = asyncio.run(asked())
        if run.release != release.manifest.behaviour:
            raise ReleaseInvalid(
                f"{release.name} does not answer here as it was built: its answers carry "
                f"{run.release[:19]}, not {release.manifest.behaviour[:19]}",
                hint="the knowledge, weights or prompt tags of this home have changed: build anew",
            )
        return run


def _say(found: list[Attestation]) -> None:
    rows = []
    for each in found:
        scores = ", ".join(f"{name} {mean:.3f}" for name, mean in each.scores.items())
        rows.append([each.suite, each.verdict.lower(), str(each.cases), scores])
    print_table(["SUITE", "RESULT", ">CASES", "~SCORES"], rows)
    for each in found:
        for breach in each.breaches:
            click.secho(printable(f"{each.suite}: {breach}"), fg="red")
