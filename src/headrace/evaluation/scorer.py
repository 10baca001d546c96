"""Scorers: from a case and its answer to a number, higher is better.

One of your own is a function in a package of yours, named in the entry point group
`headrace.scorers`: it takes the settings written in the suite and gives a `Scorer`. The scorers
here only compare texts; none judges meaning, and none asks a model.
"""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import TypeAlias

from headrace.config.node import Node
from headrace.errors import did_you_mean
from headrace.evaluation import text
from headrace.evaluation.suite import Case, Suite

__all__ = ["Maker", "Scorer", "make_scorers"]

Scorer: TypeAlias = Callable[[Case, str], float]
Settings: TypeAlias = Mapping[str, object]
Maker: TypeAlias = Callable[[Settings], Scorer]
"""Raises ValueError with a sentence when the settings are wrong."""

GROUP = "headrace.scorers"


def _comparing(compare: Callable[[str, str], float]) -> Maker:
    def make(settings: Settings) -> Scorer:
        _only(settings)
        return lambda case, answer: compare(answer, _target(case))

    return make


def _regex(settings: Settings) -> Scorer:
    _only(settings, "pattern")
    pattern = settings.get("pattern")
    if pattern is None:
        return lambda case, answer: text.regex(answer, _target(case))
    if not isinstance(pattern, str):
        raise ValueError("`pattern` is text")  # noqa: TRY004  # the suite is wrong, not the caller
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return lambda case, answer: text.regex(answer, pattern)


def _numeric(settings: Settings) -> Scorer:
    _only(settings, "tolerance")
    tolerance = settings.get("tolerance", 0.0)
    if not isinstance(tolerance, int | float) or isinstance(tolerance, bool) or tolerance < 0:
        raise ValueError("`tolerance` is a number from 0")  # the suite is wrong, not the caller

    def score(case: Case, answer: str) -> float:
        return text.numeric(answer, float(_target(case)), tolerance=tolerance)

    return score


BUILT_IN: Mapping[str, Maker] = {
    "chrf": _comparing(text.chrf),
    "contains": _comparing(text.contains),
    "exact": _comparing(text.exact),
    "numeric": _numeric,
    "regex": _regex,
    "rouge_l": _comparing(text.rouge_l),
}


def make_scorers(node: Node, suite: Suite) -> dict[str, Scorer]:
    """The suite's scorers by name.

    Raises:
        ConfigError: unknown, named twice, wrong settings, or a case that lacks a fitting target.
    """
    makers = dict(BUILT_IN)
    makers |= {each.name: each.load() for each in entry_points(group=GROUP)}
    found: dict[str, Scorer] = {}
    for at, written in enumerate(suite.file.scorers):
        if isinstance(written, dict) and len(written) != 1:
            raise node.error("one name and its settings", "scorers", at)
        name, settings = (written, {}) if isinstance(written, str) else next(iter(written.items()))
        if name not in makers:
            hint = did_you_mean(name, makers, kind="scorers")
            raise node.error(f"there is no scorer {name!r}", "scorers", at, hint=hint)
        if name in found:
            raise node.error(f"{name!r} stands here twice", "scorers", at)
        try:
            found[name] = makers[name](settings)
            for case in suite.cases:
                _try(found[name], case)
        except ValueError as error:
            raise node.error(f"{name}: {error}", "scorers", at) from None
    for field in ("scores", "floors"):
        for name in getattr(suite.file.gate, field):
            if name not in found:
                hint = did_you_mean(name, found, kind="scorers of this suite")
                raise node.error(f"{name!r} is not scored", "gate", field, name, hint=hint)
    return found


def _try(scorer: Scorer, case: Case) -> None:
    """A case that cannot be scored is found before anything is asked."""
    try:
        scorer(case, "0")
    except (ValueError, re.error) as error:
        raise ValueError(f"case {case.id!r}: {error}") from None


def _target(case: Case) -> str:
    if case.target is None:
        raise ValueError("the case has no `target`")
    return str(case.target)


def _only(settings: Settings, *known: str) -> None:
    for name in settings:
        if name not in known:
            raise ValueError(f"unknown setting {name!r}; {did_you_mean(name, known, kind='ones')}")
