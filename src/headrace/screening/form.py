"""The form of policy files (`policies/*.yaml`), and reading them: errors point into the file.

What a file means, together with those that it extends, is policy.py's; what contradicts itself in
it is contradiction.py's.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from headrace.access.principal import RoleName
from headrace.config.node import Node
from headrace.errors import did_you_mean
from headrace.screening.contradiction import check_rules
from headrace.screening.detectors.judge import JudgeSettings
from headrace.screening.finding import Action, Side
from headrace.screening.rule import FailMode, Rule
from headrace.types import Role

__all__ = [
    "SECTIONS",
    "AllowEntry",
    "Audience",
    "Expected",
    "PolicyCase",
    "PolicyFile",
    "Residency",
    "RuleSpec",
    "Topic",
    "as_rules",
    "read_policy",
    "section",
]

RuleSpec: TypeAlias = Action | Rule | list[Rule]
"""One action, one rule, or several tried in order: the first that applies decides."""
Audience: TypeAlias = Literal["children", "general", "adult"]
Switch: TypeAlias = Literal["on", "off", "in_doubt"]
Words: TypeAlias = dict[str, str]
"""Texts by language (ISO 639-1); `en` is the fallback."""


class AllowEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that is never a finding. Exactly one field is set."""

    value: str | None = None
    """The whole value, in any case. A plain text in the list means the same."""
    domain: str | None = None
    """E-mail addresses and hosts of this domain or below it."""
    pattern: str | None = None
    """A regular expression (Python's) that the whole value matches."""


class Topic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a text may be about: the topic NAME is the finding kind `topic.NAME`."""

    terms: list[str] = []
    """Words and phrases of which each one means the topic."""
    examples: list[str] = []
    """Texts about it; what is near one in meaning is about it too (asks the embedding model)."""
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.4
    """How near: the cosine from which on a text is about the topic."""


class Residency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where prompts may go. A route's models outside are not asked; with none left: `residency`."""

    regions: Annotated[list[str], Meta(min_length=1)]
    """Regions of deployments; `eu` is every region that begins with it."""
    kinds: list[str] = []
    """Only for prompts in which one of these kinds was found; absent: for every prompt."""


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a case expects. What is absent is not looked at."""

    action: Action | None = None
    """The strongest action of all that is done."""
    kinds: list[str] | None = None
    """The kinds about which something is done, no more and no fewer."""
    text: str | None = None
    """The text afterwards."""
    words: str | None = None
    """Part of what the user is told."""


class PolicyCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case of a policy: a text, who sends it, and what should be done."""

    text: str
    """What is screened."""
    expect: Expected
    """What should come of it."""
    name: str = ""
    """What the report calls it; absent: its text's beginning."""
    side: Side = "input"
    """Whether it stands in a prompt or in an answer."""
    role: RoleName = "user"
    """Role of the key."""
    message: Role = "user"
    """Role of the message, on the input side."""
    model: str = ""
    """The name that the request gives as its model."""
    language: str = ""
    """The user's language (ISO 639-1)."""


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A screening policy (`policies/NAME.yaml`). The file's name is the policy's."""

    description: str = ""
    """What it is for, in a sentence."""
    extends: str | None = None
    """Another policy whose settings hold wherever this one says nothing."""
    mode: Literal["enforce", "observe"] | None = None
    """`observe`: decisions are noted in the trace and nothing is done. Absent: `enforce`."""
    both: dict[str, RuleSpec] = {}
    """Rules by finding kind, for the prompt and the answer. Kinds without a rule are allowed."""
    input: dict[str, RuleSpec] = {}
    """Rules for the prompt; they win over `both`."""
    output: dict[str, RuleSpec] = {}
    """Rules for the answer; they win over `both`."""
    terms: dict[str, list[str]] = {}
    """Lists of words and phrases; a list NAME is the finding kind `term.NAME`."""
    competitors: list[str] = []
    """Names of competitors: the finding kind `competitor`."""
    topics: dict[str, Topic] = {}
    """What texts may be about; a topic NAME is the finding kind `topic.NAME`."""
    judges: dict[str, JudgeSettings] = {}
    """Models that judge texts by a policy in words; a judge NAME is the finding kind `judge.NAME`."""
    allowed_topics: list[str] = []
    """Names of `topics`; a question about none of them is the finding kind `off_topic`."""
    audience: Audience | None = None
    """Who reads the answers: sets the rules of content kinds that have none."""
    residency: Residency | None = None
    """Where prompts may go."""
    allow: dict[str, list[str | AllowEntry]] = {}
    """Values that are never findings, by kind."""
    roles: list[Role] | None = None
    """Whose messages are screened on the input side. Absent: user, assistant, tool, function."""
    detectors: dict[str, Switch] = {}
    """Detectors by name: `off`, `on`, or `in_doubt` (costly ones). Costly ones are off unless named."""
    doubt: tuple[Annotated[float, Meta(ge=0, le=1)], Annotated[float, Meta(ge=0, le=1)]] | None = (
        None
    )
    """Scores from which and below which a quick detector is in doubt. Absent: [0.3, 0.9]."""
    budget_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    """Milliseconds that costly detectors have for one side of a turn. Absent: 1000."""
    on_timeout: FailMode | None = None
    """When the budget ends: `closed` refuses, `open` lets pass. Absent: `closed`."""
    on_error: FailMode | None = None
    """When a detector fails or lacks its model: likewise. Absent: `closed`."""
    overlap: bool | None = None
    """Whether the model begins while costly detectors still look at the prompt. Absent: yes."""
    cache: bool | None = None
    """Whether answers to prompts that it screens may be given again (`cache:` in headrace.yaml).
    Absent: yes."""
    messages: Words = {}
    """What the user is told when a rule blocks, by language (ISO 639-1); `en` is the fallback."""
    words: dict[str, Words] = {}
    """The same by kind (`self-harm`) or action (`ask`, `escalate`); they win over `messages`."""
    disclaimers: dict[str, Words] = {}
    """What is put behind an answer, by kind (rules with `disclaimer`) and language."""
    tests: list[PolicyCase] = []
    """Cases that `headrace screen test` runs."""


SECTIONS = ("both", "input", "output")


def read_policy(node: Node) -> PolicyFile:
    """The file as written; rules are read one by one, so that an error names the kind."""
    if not isinstance(node.value, dict):
        raise node.error("a policy is a mapping", hint="see docs/screening.md for an example")
    plain = node.without(*SECTIONS, "allow").convert(PolicyFile)
    rules: dict[str, dict[str, RuleSpec]] = {}
    for name in SECTIONS:
        rules[name] = {kind: _rule(rule) for kind, rule in section(node, name).items()}
    allow = {kind: _allow_entries(entries) for kind, entries in section(node, "allow").items()}
    return msgspec.structs.replace(plain, allow=allow, **rules)


def section(node: Node, name: str) -> Mapping[str, Node]:
    """The entries of one mapping of the file; none if it is absent."""
    value = node.value.get(name) if isinstance(node.value, dict) else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise node.error("expected a mapping by finding kind", name)
    return {kind: node.child(name, kind) for kind in value}


def as_rules(spec: RuleSpec) -> tuple[Rule, ...]:
    """What is written in the one form that all forms mean."""
    if isinstance(spec, list):
        return tuple(spec)
    return (spec if isinstance(spec, Rule) else Rule(action=spec),)


def _rule(node: Node) -> RuleSpec:
    if isinstance(node.value, list):
        rules = [_one_rule(node.child(i)) for i in range(len(node.value))]
        if not rules:
            raise node.error("there is no rule in this list", hint=_ACTIONS_HINT)
        check_rules(node, rules)
        return rules
    if isinstance(node.value, dict):
        return _one_rule(node)
    if not isinstance(node.value, str):
        raise node.error(f"expected an action, found {node.value!r}", hint=_ACTIONS_HINT)
    action = _check_action(node, node.value)
    _check_rewrite(node, Rule(action=action))
    return action


def _one_rule(node: Node) -> Rule:
    if not isinstance(node.value, dict):
        raise node.error(
            f"expected a rule, found {node.value!r}",
            hint="in a list, write `- {action: mask, threshold: 0.5}`; "
            "an action alone needs no list",
        )
    action = node.value.get("action")
    if isinstance(action, str):
        _check_action(node.child("action"), action)
    rule = node.convert(Rule)
    _check_rewrite(node, rule)
    return rule


def _check_rewrite(node: Node, rule: Rule) -> None:
    given = [name for name in ("replacement", "instruction") if getattr(rule, name) is not None]
    if rule.action == "rewrite" and len(given) != 1:
        raise node.error(
            "a rewrite needs either `replacement` or `instruction`",
            hint="such as {action: rewrite, replacement: '[removed]'}",
        )
    if rule.action != "rewrite" and (given or rule.model is not None):
        field = (*given, "model")[0]
        raise node.error(f"{field!r} is for rules that rewrite", field)
    written = node.value if isinstance(node.value, dict) else {}
    if rule.action != "escalate" and "answer" in written:
        raise node.error("'answer' is for rules that escalate", "answer")
    if rule.model is not None and rule.instruction is None:
        raise node.error("'model' is for rules with an `instruction`", "model")


_ACTIONS: tuple[Action, ...] = get_args(Action)
_ACTIONS_HINT = f"actions: {', '.join(_ACTIONS)}"


def _check_action(node: Node, name: str) -> Action:
    for action in _ACTIONS:
        if name == action:
            return action
    raise node.error(f"unknown action {name!r}", hint=did_you_mean(name, _ACTIONS, kind="actions"))


def _allow_entries(node: Node) -> list[str | AllowEntry]:
    if not isinstance(node.value, list):
        raise node.error("expected a list", hint="write one value per line, each behind `- `")
    return [_allow_entry(node.child(i)) for i in range(len(node.value))]


def _allow_entry(node: Node) -> AllowEntry:
    if isinstance(node.value, str):
        return AllowEntry(value=node.value)
    entry = node.convert(AllowEntry)
    if sum(part is not None for part in (entry.value, entry.domain, entry.pattern)) != 1:
        raise node.error("set exactly one of value, domain, pattern")
    if entry.pattern is not None:
        try:
            re.compile(entry.pattern)
        except re.error as error:
            raise node.error(f"not a regular expression: {error}", "pattern") from None
    return entry
