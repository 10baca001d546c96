"""Which scorers there are, and how those of a suite are made."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

import msgspec

from headrace.config.node import Node
from headrace.errors import did_you_mean
from headrace.evaluation import text
from headrace.evaluation.scorer import Maker, Scorer, Settings, Tools, threaded
from headrace.evaluation.scorers.comparing import comparing, numeric, regex
from headrace.evaluation.scorers.judge import judge, pairwise
from headrace.evaluation.scorers.meaning import grounded, similarity
from headrace.evaluation.scorers.measured import at_most, screening
from headrace.evaluation.scorers.own import function
from headrace.evaluation.scorers.refusal import answered
from headrace.evaluation.scorers.structure import json_schema
from headrace.evaluation.suite import Suite

__all__ = ["BUILT_IN", "GROUP", "installed", "make_scorer", "make_scorers"]

GROUP = "headrace.scorers"
BUILT_IN: Mapping[str, Maker] = {
    "answered": answered,
    "bleu": comparing(text.bleu),
    "chrf": comparing(text.chrf),
    "contains": comparing(text.contains),
    "cost": at_most("most_usd", lambda answer: answer.cost_usd),
    "exact": comparing(text.exact),
    "function": function,
    "grounded": grounded,
    "json_schema": json_schema,
    "judge": judge,
    "latency": at_most("most_s", lambda answer: answer.total_s),
    "numeric": numeric,
    "pairwise": pairwise,
    "regex": regex,
    "rouge_l": comparing(text.rouge_l),
    "screening": screening,
    "similarity": similarity,
}


def make_scorers(node: Node, suite: Suite, tools: Tools | None = None) -> dict[str, Scorer]:
    """The suite's scorers by name.

    Raises:
        ConfigError: unknown, named twice, wrong settings, or a case that lacks a fitting target.
    """
    tools = tools or Tools()
    makers = _makers()
    found: dict[str, Scorer] = {}
    for at, written in enumerate(suite.file.scorers):
        if isinstance(written, dict) and len(written) != 1:
            raise node.error("one name and its settings", "scorers", at)
        kind, settings = (written, {}) if isinstance(written, str) else next(iter(written.items()))
        if kind not in makers:
            hint = did_you_mean(kind, makers, kind="scorers")
            raise node.error(f"there is no scorer {kind!r}", "scorers", at, hint=hint)
        name = str(settings.get("as") or kind)
        if name in found:
            hint = "give one of them another name: `as: NAME` among its settings"
            raise node.error(f"{name!r} stands here twice", "scorers", at, hint=hint)
        try:
            found[name] = _made(makers[kind], kind, settings, tools)
            for case in suite.cases:
                try:
                    found[name].check(case)
                except ValueError as error:
                    raise ValueError(f"case {case.id!r}: {error}") from None
        except ValueError as error:
            raise node.error(f"{name}: {error}", "scorers", at) from None
    _check_gate(node, suite, found)
    return found


def make_scorer(written: str | Mapping[str, Settings], tools: Tools) -> Scorer:
    """One scorer as a suite writes it.

    Raises:
        ValueError: unknown, or wrong settings.
    """
    makers = _makers()
    if not isinstance(written, str) and len(written) != 1:
        raise ValueError("one name and its settings")
    kind, settings = (written, {}) if isinstance(written, str) else next(iter(written.items()))
    if kind not in makers:
        raise ValueError(
            f"there is no scorer {kind!r}; {did_you_mean(kind, makers, kind='scorers')}"
        )
    return _made(makers[kind], kind, settings, tools)


def installed() -> frozenset[str]:
    """The names of the scorers that packages bring."""
    return frozenset(entry_points(group=GROUP).names)


def _makers() -> dict[str, Maker]:
    return dict(BUILT_IN) | {each.name: _installed(each) for each in entry_points(group=GROUP)}


def _made(maker: Maker, kind: str, settings: Settings, tools: Tools) -> Scorer:
    own = {name: value for name, value in settings.items() if name != "as"}
    data = msgspec.json.encode((kind, own), order="sorted")
    return replace(maker(own, tools), digest=hashlib.sha256(data).hexdigest())


def _installed(entry: EntryPoint) -> Maker:
    """A maker of an installed package; loaded when a suite names it."""

    def make(settings: Settings, tools: Tools) -> Scorer:
        del tools
        try:
            made = entry.load()(settings)
        except ValueError:
            raise
        except Exception as error:
            source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
            raise ValueError(
                f"the scorer of {source} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        return threaded(made)

    return make


def _check_gate(node: Node, suite: Suite, found: Mapping[str, Scorer]) -> None:
    for field in ("scores", "floors"):
        for name in getattr(suite.file.gate, field):
            if name not in found:
                hint = did_you_mean(name, found, kind="scorers of this suite")
                raise node.error(f"{name!r} is not scored", "gate", field, name, hint=hint)
