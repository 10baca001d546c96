"""Policies that contradict themselves: said when they are loaded, with file and line.

What is found: rules that are never reached, values that are both stopped and allowed, topics that are
both allowed and stopped, words for what has none, actions that a kind cannot have. What is not: terms
that only contain one another, examples of two topics that mean the same.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.config.node import Node
from headrace.errors import did_you_mean
from headrace.screening.finding import Side
from headrace.screening.rule import Rule, When

if TYPE_CHECKING:
    from headrace.screening.form import PolicyFile

__all__ = ["check_policy", "check_rules"]

_WHOLE = ("off_topic", "residency")
"""Kinds of which no part of the text stands for the finding."""


def check_rules(node: Node, rules: Sequence[Rule]) -> None:
    """Refuse a list of rules of which one is never reached."""
    for at, rule in enumerate(rules):
        for before in rules[:at]:
            if before.threshold <= rule.threshold and _covers(before.when, rule.when):
                raise node.error(
                    "this rule is never reached: the one before applies "
                    f"from {before.threshold} on" + _same(before, rule),
                    at,
                    hint="order the rules from the highest threshold to the lowest, and from the "
                    "strictest `when` to none",
                )


def check_policy(
    node: Node, resolved: "PolicyFile", rules: Mapping[Side, Mapping[str, Sequence[Rule]]]
) -> None:
    """Refuse what contradicts itself across the file.

    Args:
        node: the file that is to blame where a place is named.
        rules: by side and kind, as they hold.
    """
    _check_allowed_terms(node, resolved, rules)
    _check_topics(node, resolved, rules)
    _check_whole(node, rules)
    _check_texts(node, resolved, rules)
    doubt = resolved.doubt
    if doubt is not None and doubt[0] >= doubt[1]:
        raise node.error("doubt begins where it ends", "doubt", hint="such as [0.3, 0.9]")


def _same(before: Rule, rule: Rule) -> str:
    if before.action != rule.action and {before.action, rule.action} == {"allow", "block"}:
        return ", and says the opposite"
    return ""


def _covers(wide: When, narrow: When) -> bool:
    """Whether whoever meets `narrow` meets `wide` too."""
    pairs = (
        (wide.roles, narrow.roles),
        (wide.messages, narrow.messages),
        (wide.models, narrow.models),
        (wide.languages, narrow.languages),
    )
    return all(
        mine is None or (other is not None and set(other) <= set(mine)) for mine, other in pairs
    )


def _check_allowed_terms(
    node: Node, resolved: "PolicyFile", rules: Mapping[Side, Mapping[str, Sequence[Rule]]]
) -> None:
    lists: dict[str, tuple[list[str], tuple[str, ...]]] = {
        **{f"term.{name}": (terms, ("terms", name)) for name, terms in resolved.terms.items()},
        **{
            f"topic.{name}": (topic.terms, ("topics", name, "terms"))
            for name, topic in resolved.topics.items()
        },
        "competitor": (resolved.competitors, ("competitors",)),
    }
    for kind, (terms, place) in lists.items():
        allowed = {
            each.casefold() if isinstance(each, str) else (each.value or "").casefold()
            for each in resolved.allow.get(kind, ())
        }
        for term in terms:
            if term.casefold() in allowed:
                raise node.error(
                    f"{term!r} is listed here and allowed under `allow.{kind}`",
                    *_known(node, place),
                    hint="take it out of one of the two",
                )
    _check_doubled(node, lists, rules)


def _check_doubled(
    node: Node,
    lists: Mapping[str, tuple[list[str], tuple[str, ...]]],
    rules: Mapping[Side, Mapping[str, Sequence[Rule]]],
) -> None:
    """A term in two lists of which one is stopped and the other is expressly let through."""
    for side in rules.values():
        said: dict[str, tuple[str, str]] = {}
        for kind, (terms, place) in lists.items():
            actions = {rule.action for rule in side.get(kind, ())}
            decided = next((each for each in ("block", "allow") if actions == {each}), None)
            if decided is None:
                continue
            for term in terms:
                other_kind, other = said.setdefault(term.casefold(), (kind, decided))
                if other != decided:
                    raise node.error(
                        f"{term!r} is in `{other_kind}` ({other}) and in `{kind}` ({decided})",
                        *_known(node, place),
                        hint="take it out of one of the two",
                    )


def _check_topics(
    node: Node, resolved: "PolicyFile", rules: Mapping[Side, Mapping[str, Sequence[Rule]]]
) -> None:
    for at, name in enumerate(resolved.allowed_topics):
        if name not in resolved.topics:
            raise node.error(
                f"there is no topic {name!r}",
                *_known(node, ("allowed_topics", at)),
                hint=did_you_mean(name, resolved.topics, kind="topics"),
            )
        for side, kinds in rules.items():
            if any(
                rule.action == "block" and rule.when == When()
                for rule in kinds.get(f"topic.{name}", ())
            ):
                raise node.error(
                    f"the topic {name!r} is allowed, and `topic.{name}` blocks it ({side})",
                    *_known(node, ("allowed_topics", at)),
                    hint="take it out of `allowed_topics`, or let the rule flag",
                )
    for name, topic in resolved.topics.items():
        if not topic.terms and not topic.examples:
            raise node.error("a topic needs `terms` or `examples`", *_known(node, ("topics", name)))


def _check_whole(node: Node, rules: Mapping[Side, Mapping[str, Sequence[Rule]]]) -> None:
    for side, kinds in rules.items():
        for kind in _WHOLE:
            for rule in kinds.get(kind, ()):
                if rule.action in ("mask", "rewrite"):
                    raise node.error(
                        f"no part of the text stands for {kind!r}, so `{rule.action}` cannot act on it",
                        *_known(node, (side, kind), ("both", kind)),
                        hint="block, ask, escalate or flag it",
                    )


def _check_texts(
    node: Node, resolved: "PolicyFile", rules: Mapping[Side, Mapping[str, Sequence[Rule]]]
) -> None:
    for side, kinds in rules.items():
        for kind, each in kinds.items():
            wants = any(rule.action == "disclaimer" for rule in each)
            if wants and not resolved.disclaimers.get(kind):
                raise node.error(
                    f"there is no text under `disclaimers` for {kind!r}",
                    *_known(node, (side, kind), ("both", kind)),
                    hint=f"add `disclaimers: {{{kind}: {{en: …}}}}`",
                )


def _known(node: Node, *places: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The first of some places that this file has; what another file says has none here."""
    for place in places:
        value = node.value
        try:
            for at in place:
                value = value[at]  # type: ignore[index]  # what is no mapping or list has no place
        except (KeyError, IndexError, TypeError):
            continue
        return place
    return ()
