"""`evaluate`: a suite asked of a release, or of a folder's service."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.cli.place import Place
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.release.bench import Bench, suite_node
from headrace.evaluation.gate import breaches
from headrace.evaluation.report import Report, make_report
from headrace.evaluation.run import Run
from headrace.evaluation.scorer import Tools
from headrace.evaluation.statistic import estimate
from headrace.evaluation.store import AnswerCache, KeptRun, RunStore
from headrace.evaluation.suite import parse_suite
from headrace.privacy.vault import Vault
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.releases.channel import PRODUCTION
from headrace.releases.store import Release, ReleaseStore
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["Evaluate"]


class EvaluateSettings(Settings, frozen=True):
    """What is asked of whom."""

    suite: str
    """The name of evals/NAME.yaml."""
    release: str = ""
    """A release, such as `{{ steps.build.name }}`: what came of it is signed, and `deploy` looks
    at it. Empty: the service of `folder`."""
    folder: str = ""
    """A service's folder, without `release`; empty: this one."""
    against: str = PRODUCTION
    """With `release`: the one that it must not be worse than; `none`: compared with nothing."""
    baseline: str = ""
    """Without `release`: an earlier run of the suite, or `last`."""
    parallel: Annotated[int, Meta(ge=1, le=256)] = 4
    """Calls under way at once."""
    fresh: bool = False
    """Ask anew what has been asked before. Not with `release`, whose answers are its own."""


class Evaluate(Operation):
    """Asks a suite and holds the answers to its gate. Never fails by a bad score: that is `gate`'s."""

    Settings = EvaluateSettings
    returns: ClassVar[tuple[str, ...]] = ("passed", "breaches", "scores", "run", "release", "cases")
    writes: ClassVar[Mapping[str, str]] = {"report": "report.json"}
    # Answers are kept by release and case, so that asking the same again costs nothing.
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, EvaluateSettings)
        if settings.release:
            return _of_release(settings, context)
        return _of_folder(settings, context)


def _of_release(settings: EvaluateSettings, context: Context) -> dict[str, object]:
    place = Place(context.root, context.home)
    database = context.database()
    releases = ReleaseStore(database, context.home)
    release = releases.get(settings.release)
    bench = Bench(place, releases, database, settings.parallel)
    before = _against(releases, release, settings.against)
    asked = bench.ask(settings.suite, suite_node(place, settings.suite), release, before)
    found = asked.attestation
    _write(context, asked.report)
    return {
        "passed": found.passed,
        "breaches": found.breaches,
        "scores": found.scores,
        "run": found.run,
        "release": release.name,
        "cases": found.cases,
    }


def _against(releases: ReleaseStore, release: Release, name: str) -> Release | None:
    if name == "none" or (name == PRODUCTION and not releases.serving(PRODUCTION)):
        return None
    found = releases.get(name)
    return None if found.digest == release.digest else found


def _of_folder(settings: EvaluateSettings, context: Context) -> dict[str, object]:
    from headrace.server.evaluation import declared_release, evaluate

    place = Place(context.root, context.home)
    root = context.root / settings.folder if settings.folder else context.root
    node = suite_node(place, settings.suite)
    suite = parse_suite(node, context.root, settings.suite)
    database = context.database()
    vault = Vault.open(database, context.home, environ=os.environ)
    runs = RunStore(database, vault)
    before = _baseline(runs, suite.name, settings.baseline)
    desk = Desk(
        Place(root, context.home), PromptLibrary.load(root, os.environ), PromptStore(database)
    )
    tools = Tools(
        root=context.root,
        environ=os.environ,
        baseline=None if before is None else before.run.answers(),
    )

    def saw(done: int, total: int) -> None:
        context.say(f"{done} of {total} answers")

    declared = (
        "" if settings.fresh else declared_release(root, context.home, os.environ, database, vault)
    )
    run: Run = asyncio.run(
        evaluate(
            node,
            suite,
            AnswerCache(database, vault, suite.name, fresh=settings.fresh),
            lambda: desk.platform(None),
            LOCAL,
            tools=tools,
            declared=declared,
            parallel=settings.parallel,
            saw=saw,
        )
    )
    kept = runs.keep(run)
    wrong = breaches(run, suite.file.gate, None if before is None else before.run)
    _write(context, make_report(run, wrong, None if before is None else before.run))
    return {
        "passed": not wrong,
        "breaches": wrong,
        "scores": _means(run),
        "run": kept.id,
        "release": run.release,
        "cases": len(suite.cases),
    }


def _baseline(runs: RunStore, suite: str, name: str) -> KeptRun | None:
    if not name:
        return None
    if name == "last":
        return next(iter(runs.of_suite(suite, limit=1)), None)
    return runs.get(name, suite=suite)


def _means(run: Run) -> dict[str, float]:
    return {
        scorer: estimate(scores).mean
        for scorer in run.scorers
        if (scores := list(run.by_case(scorer).values()))
    }


def _write(context: Context, report: Report) -> None:
    Path(context.folder / "report.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(report), indent=2)
    )
