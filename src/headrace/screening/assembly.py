"""What a policy's file is put together from: its detectors and its rules, and what it must not name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.config.node import Node
from headrace.errors import did_you_mean
from headrace.screening.audience import audience_rules
from headrace.screening.compliance import NamedTerms, TopicJudge
from headrace.screening.content.floor import FLOOR_DETECTOR
from headrace.screening.detectors.judge import JudgeDetector
from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import CostlyDetector, Detector, Side
from headrace.screening.form import SECTIONS, PolicyFile, as_rules, section
from headrace.screening.registry import costly_detectors, detectors, detectors_by_kind
from headrace.screening.rule import Rule

__all__ = ["CostlyUse", "Ruled", "check_found", "check_names", "detectors_of", "rules_of"]

Ruled: TypeAlias = Mapping[Side, Mapping[str, tuple[Rule, ...]]]
"""By side and kind, the rules as they hold."""


@dataclass(frozen=True, slots=True)
class CostlyUse:
    """A costly detector that a policy asks for."""

    detector: CostlyDetector | Detector
    in_doubt: bool = False
    """Whether it looks only where a quick detector of one of its kinds is in doubt."""


def _own_kinds(resolved: PolicyFile) -> set[str]:
    """Kinds that the policy itself makes."""
    return {
        "competitor",
        "off_topic",
        "residency",
        "term",
        *(f"term.{name}" for name in resolved.terms),
        *(f"topic.{name}" for name in resolved.topics),
        *(f"judge.{name}" for name in resolved.judges),
    }


def check_names(node: Node, resolved: PolicyFile) -> None:
    """Kinds and detectors that nobody knows."""
    costly = costly_detectors()
    known = {
        *detectors_by_kind(),
        *(kind for each, _ in costly.values() for kind in each.kinds),
        *_own_kinds(resolved),
    }
    for name in (*SECTIONS, "allow", "disclaimers"):
        for kind in section(node, name):
            if kind not in known:
                hint = did_you_mean(kind, known, kind="kinds")
                raise node.error("no detector reports this kind", name, kind, hint=hint)
    names = {*detectors(), *costly}
    for name in section(node, "detectors"):
        if name not in names:
            hint = did_you_mean(name, names, kind="detectors")
            raise node.error("there is no such detector", "detectors", name, hint=hint)
        if resolved.detectors[name] == "off" and name == FLOOR_DETECTOR:
            raise node.error("this detector cannot be switched off", "detectors", name)
        if resolved.detectors[name] == "in_doubt" and name not in costly:
            raise node.error("only costly detectors wait for doubt", "detectors", name)
    for at, kind in enumerate(resolved.residency.kinds if resolved.residency else ()):
        if kind not in known and section(node, "residency"):
            hint = did_you_mean(kind, known, kind="kinds")
            raise node.error("no detector reports this kind", "residency", "kinds", at, hint=hint)


def detectors_of(resolved: PolicyFile) -> tuple[tuple[Detector, ...], tuple[CostlyUse, ...]]:
    """Those that are on: quick ones unless switched off, costly ones if named."""
    quick = [
        each for name, (each, _) in detectors().items() if resolved.detectors.get(name) != "off"
    ]
    quick.append(TermDetector(resolved.terms))
    named = {f"topic.{name}": topic.terms for name, topic in resolved.topics.items()}
    for made, lists in (("topic", named), ("competitor", {"competitor": resolved.competitors})):
        lists = {kind: terms for kind, terms in lists.items() if terms}
        if lists:
            quick.append(NamedTerms(made, lists))
    costly = [
        CostlyUse(each, in_doubt=switch == "in_doubt")
        for name, (each, _) in costly_detectors().items()
        if (switch := resolved.detectors.get(name, "off")) != "off"
    ]
    if resolved.allowed_topics or any(each.examples for each in resolved.topics.values()):
        costly.append(CostlyUse(TopicJudge(resolved.topics, resolved.allowed_topics)))
    costly += [CostlyUse(JudgeDetector(name, each)) for name, each in resolved.judges.items()]
    return tuple(quick), tuple(costly)


def rules_of(resolved: PolicyFile) -> Ruled:
    """What holds on each side, `term` spread over its lists, the audience under all of it."""
    ruled: dict[Side, Mapping[str, tuple[Rule, ...]]] = {}
    sides: tuple[Side, ...] = ("input", "output")
    for side in sides:
        specs = resolved.both | (resolved.input if side == "input" else resolved.output)
        if "term" in specs:
            names = dict.fromkeys((f"term.{name}" for name in resolved.terms), specs["term"])
            specs = {**names, **specs}
        rules = {kind: as_rules(spec) for kind, spec in specs.items() if kind != "term"}
        if resolved.audience is not None:
            rules = {**audience_rules(resolved.audience), **rules}
        ruled[side] = rules
    return ruled


def check_found(
    node: Node,
    resolved: PolicyFile,
    rules: Ruled,
    quick: Sequence[Detector],
    costly: Sequence[CostlyUse],
) -> None:
    """Rules that nothing can lead to, and lists that no rule looks at."""
    found = {kind for each in quick for kind in each.kinds}
    found |= {kind for use in costly for kind in use.detector.kinds}
    for name in SECTIONS:
        for kind, each in section(node, name).items():
            if kind in found or kind in _own_kinds(resolved) or each.value == "allow":
                continue
            who = sorted(
                name for name, (made, _) in costly_detectors().items() if kind in made.kinds
            )
            hint = f"add `detectors: {{{who[0]}: on}}`" if who else "switch its detector on"
            raise node.error("no detector that is on reports this kind", name, kind, hint=hint)
    for at, kind in enumerate(resolved.residency.kinds if resolved.residency else ()):
        if all(rule.action == "allow" for rule in rules["input"].get(kind, ())):
            hint = f"add `input: {{{kind}: flag}}`, so that they are"
            where = ("residency", "kinds", at) if section(node, "residency") else ()
            raise node.error(f"prompts are not looked at for {kind!r}", *where, hint=hint)
    said = {kind for side in rules.values() for kind in side}
    for field_name, kind in (
        ("competitors", "competitor"),
        ("allowed_topics", "off_topic"),
        ("residency", "residency"),
    ):
        if getattr(resolved, field_name) and kind not in said:
            hint = f"say what is done, such as `input: {{{kind}: block}}`"
            raise node.error(f"nothing is done about it: there is no rule for {kind!r}", hint=hint)
