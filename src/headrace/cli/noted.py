"""What came of a suite that a folder was asked, in the cards of the adapters that it asked."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.cli.place import Place
from headrace.config.load import load_service
from headrace.errors import NotFound
from headrace.evaluation.statistic import estimate
from headrace.evaluation.store import KeptRun
from headrace.evaluation.suite import Suite
from headrace.models.adapted import REGISTRY
from headrace.models.adapter import AdapterStore
from headrace.models.tuned import read_tuned
from headrace.training.card import Evaluated, note_evaluation

__all__ = ["note_run"]


def note_run(
    place: Place, environ: Mapping[str, str], suite: Suite, kept: KeptRun, *, passed: bool
) -> None:
    """Write it down, under the digest that the answers carry, in place of the suite's last run of it.

    With a model in the suite only that one's adapter is meant, else each that the folder declares.
    """
    run = kept.run
    evaluated = Evaluated(
        suite=suite.name,
        suite_digest=suite.version,
        release=run.release,
        passed=passed,
        scores={
            scorer: estimate(scores).mean
            for scorer in run.scorers
            if (scores := list(run.by_case(scorer).values()))
        },
        cases=len(suite.cases),
        run=kept.id,
        at=kept.created_at,
    )
    note_evaluation(_folders(place, environ, suite.file.model), evaluated)


def _folders(place: Place, environ: Mapping[str, str], model: str | None) -> Iterator[Path]:
    store = AdapterStore(place.home)
    for named in _adapters(place, environ, model):
        try:
            yield Path(store.get(named).path)
        except NotFound:  # deleted since it was asked
            continue


def _adapters(place: Place, environ: Mapping[str, str], model: str | None) -> set[str]:
    """How the registry knows them; those that are files have no card."""
    models = load_service(place.root, environ).models
    served = read_tuned(place.home)
    if model is not None and model in served and model not in models:
        return {served[model].digest}
    meant = [models[model]] if model in models else list(models.values())
    references = [each.adapter.adapter for each in meant if each.adapter is not None]
    return {each.removeprefix(REGISTRY) for each in references if each.startswith(REGISTRY)}
