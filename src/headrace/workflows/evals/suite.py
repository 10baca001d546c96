"""The suites of the service's folder as evals: `evals/capitals.yaml` is `eval_suite_capitals`."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.config.node import load_yaml
from headrace.errors import NotFound, did_you_mean
from headrace.evaluation.suite import Suite, parse_suite
from headrace.workflows.evals.job import Criterion, Eval

__all__ = ["SUITE", "is_suite", "suite_eval", "suite_evals", "suite_items", "suite_of"]

SUITE = "eval_suite_"
FOLDER = "evals"


def is_suite(eval_id: str) -> bool:
    return eval_id.startswith(SUITE)


def suite_evals(root: Path, environ: Mapping[str, str]) -> list[Eval]:
    """Every suite that can be read, by name; raises ConfigError for one that cannot."""
    names = sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))
    return [suite_eval(f"{SUITE}{name}", root, environ) for name in names]


def suite_eval(eval_id: str, root: Path, environ: Mapping[str, str]) -> Eval:
    """
    Raises:
        NotFound: there is no such suite.
        ConfigError: it is wrong.
    """
    suite = suite_of(eval_id, root, environ)
    criteria: list[Criterion] = []
    for written in suite.file.scorers:
        kind, settings = (written, {}) if isinstance(written, str) else next(iter(written.items()))
        name = str(settings.get("as") or kind)
        least = suite.file.gate.floors.get(name, suite.file.gate.scores.get(name, 0.5))
        criteria.append(
            {"type": "headrace_scorer", "name": name, "scorer": written, "pass_threshold": least}
        )
    return Eval(
        id=eval_id,
        key_id="",
        name=suite.name,
        created_at=_path(eval_id, root).stat().st_mtime,
        data_source_config={
            "type": "custom",
            "schema": {
                "type": "object",
                "properties": {
                    "item": {"type": "object"},
                    "sample": {"type": "object"},
                },
                "required": ["item"],
            },
        },
        testing_criteria=criteria,
        metadata={"suite": f"{FOLDER}/{suite.name}.yaml"},
    )


def suite_of(eval_id: str, root: Path, environ: Mapping[str, str]) -> Suite:
    """Raises as `suite_eval`."""
    path = _path(eval_id, root)
    return parse_suite(load_yaml(path, environ), root, path.stem)


def suite_items(suite: Suite) -> list[dict[str, object]]:
    """The suite's cases as items, each as often as it is repeated."""
    return [msgspec.to_builtins(case) for case in suite.cases for _ in range(suite.file.repeats)]


def _path(eval_id: str, root: Path) -> Path:
    name = eval_id.removeprefix(SUITE)
    known = {path.stem: path for path in (root / FOLDER).glob("*.yaml")}
    if name not in known:
        hint = did_you_mean(name, known, kind="suites")
        raise NotFound(f"there is no eval {eval_id!r}", hint=hint, param="eval_id")
    return known[name]
