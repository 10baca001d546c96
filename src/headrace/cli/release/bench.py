"""Where releases are asked their suites: each from its own folder, beside whatever runs."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.release.place import suite_file
from headrace.config.node import Node, load_yaml
from headrace.errors import NotFound
from headrace.evaluation.gate import breaches, compared
from headrace.evaluation.report import Report, make_report
from headrace.evaluation.run import Run
from headrace.evaluation.scorer import Tools
from headrace.evaluation.statistic import Difference, estimate
from headrace.evaluation.store import AnswerCache, RunStore
from headrace.evaluation.suite import Suite, parse_suite
from headrace.models.adapter import AdapterStore
from headrace.privacy.vault import Vault
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.releases.attestation import Attestation
from headrace.releases.errors import ReleaseInvalid
from headrace.releases.store import Release, ReleaseStore
from headrace.storage.database import Database
from headrace.training.card import Evaluated, note_evaluation

__all__ = ["Asked", "Bench", "suite_node"]


def suite_node(place: Place, name: str) -> Node:
    """The file of a suite.

    Raises:
        NotFound: there is none.
        ConfigError: it is no YAML.
    """
    path = suite_file(place, name)
    if not path.exists():
        raise NotFound(f"there is no suite evals/{name}.yaml", hint="docs/evaluation.md says how")
    return load_yaml(path, os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of one suite."""

    attestation: Attestation
    """As it was signed and kept."""
    report: Report
    before: dict[str, float]
    """The baseline's mean of each scorer."""
    differences: dict[str, Difference]
    """By scorer, over the cases of both."""


@dataclass(frozen=True, slots=True)
class Bench:
    """See the module. Calls run the event loop of their own."""

    place: Place
    releases: ReleaseStore
    database: Database
    parallel: int

    def ask(self, name: str, node: Node, release: Release, before: Release | None) -> Asked:
        """Ask a release a suite, and another one if it must not be worse; sign what came of it.

        Raises:
            ConfigError: the suite is wrong.
            ReleaseInvalid: a release cannot be served here, or answers otherwise than it was built.
        """
        suite = parse_suite(node, self.place.root, name)
        vault = Vault.open(self.database, self.place.home, environ=os.environ)
        baseline = None
        if before is not None:
            baseline = self._run(node, suite, before, vault, None)
        run = self._run(node, suite, release, vault, baseline)
        if run.release != release.manifest.behaviour:
            # (What it is compared with may: it is served as it answers now, after an upgrade too.)
            raise ReleaseInvalid(
                f"{release.name} does not answer here as it was built: its answers carry "
                f"{run.release[:19]}, not {release.manifest.behaviour[:19]}",
                hint="Headrace, knowledge, weights or prompt tags have changed here: build anew",
            )
        kept = RunStore(self.database, vault).keep(run)
        wrong = breaches(run, suite.file.gate, baseline)
        found = Attestation(
            release=release.digest,
            suite=suite.name,
            suite_digest=suite.version,
            verdict="FAILED" if wrong else "PASSED",
            scores=_means(run),
            breaches=wrong,
            cases=len(suite.cases),
            run=kept.id,
            baseline="" if before is None else before.digest,
            finished_at=time.time(),
        )
        self.releases.attest(found)
        self._note(found, release)
        differences: dict[str, Difference] = {}
        if baseline is not None:
            for scorer in run.scorers:
                if (difference := compared(baseline, run, scorer)) is not None:
                    differences[scorer] = difference
        return Asked(
            attestation=found,
            report=make_report(run, wrong, baseline),
            before={} if baseline is None else _means(baseline),
            differences=differences,
        )

    def _note(self, found: Attestation, release: Release) -> None:
        """Write what came of it into the cards of the adapters that the release has."""
        evaluated = Evaluated(
            suite=found.suite,
            suite_digest=found.suite_digest,
            release=found.release,
            passed=found.passed,
            scores=found.scores,
            cases=found.cases,
            run=found.run,
            at=found.finished_at,
        )
        adapters = AdapterStore(self.place.home)
        digests = {each.digest for each in release.manifest.adapters or ()}
        folders = [Path(each.path) for each in adapters.list() if each.digest in digests]
        note_evaluation(folders, evaluated)

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

        return asyncio.run(asked())


def _means(run: Run) -> dict[str, float]:
    return {
        scorer: estimate(scores).mean
        for scorer in run.scorers
        if (scores := list(run.by_case(scorer).values()))
    }
