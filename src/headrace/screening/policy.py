"""Policies: what is done about each kind of finding, from `policies/*.yaml`.

`PolicyFile` is the file's format; `Policy` is what it means: for each side the detectors to run
and the rule for each kind.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias, get_args

import msgspec

from headrace.config.node import Node, load_yaml, parse_yaml
from headrace.errors import NotFound, did_you_mean
from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import Action, Detector, Side
from headrace.screening.registry import detectors, detectors_by_kind
from headrace.screening.rule import Rule, SideRules
from headrace.types import Role

__all__ = ["AllowEntry", "Policy", "PolicyFile", "PolicyLibrary", "RuleSpec"]


RuleSpec: TypeAlias = Action | Rule | list[Rule]
"""One action, one rule, or several tried in order: the first whose threshold is met decides."""


class AllowEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that is never a finding. Exactly one field is set."""

    value: str | None = None
    """The whole value, in any case. A plain text in the list means the same."""
    domain: str | None = None
    """E-mail addresses and hosts of this domain or below it."""
    pattern: str | None = None
    """A regular expression (Python's) that the whole value matches."""


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A screening policy (`policies/NAME.yaml`). The file's name is the policy's."""

    description: str = ""
    """What it is for, in a sentence."""
    extends: str | None = None
    """Another policy whose settings hold wherever this one says nothing."""
    both: dict[str, RuleSpec] = {}
    """Rules by finding kind, for the prompt and the answer. Kinds without a rule are allowed."""
    input: dict[str, RuleSpec] = {}
    """Rules for the prompt; they win over `both`."""
    output: dict[str, RuleSpec] = {}
    """Rules for the answer; they win over `both`."""
    terms: dict[str, list[str]] = {}
    """Lists of words and phrases; a list NAME is the finding kind `term.NAME`."""
    allow: dict[str, list[str | AllowEntry]] = {}
    """Values that are never findings, by kind."""
    roles: list[Role] | None = None
    """Whose messages are screened on the input side. Absent: user, assistant, tool, function."""
    cache: bool | None = None
    """Whether answers to prompts that it screens may be given again (`cache:` in headrace.yaml).
    Absent: yes."""
    messages: dict[str, str] = {}
    """What the user is told when a rule blocks, by language (ISO 639-1); `en` is the fallback."""


DEFAULT_ROLES: tuple[Role, ...] = ("user", "assistant", "tool", "function")
DEFAULT_MESSAGE = "This request was stopped by a content policy."


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy ready to screen with. Immutable; an edited file makes a new one."""

    name: str
    description: str
    digest: str
    """SHA-256 over the resolved policy and the versions of the detectors, as `sha256:…`."""
    input: SideRules
    output: SideRules
    roles: frozenset[Role]
    messages: Mapping[str, str]
    caches: bool = True
    """Whether answers to prompts that it screens may be given again."""

    def message(self, language: str | None) -> str:
        """What the user is told when the policy blocks."""
        return self.messages.get(language or "en") or self.messages.get("en", DEFAULT_MESSAGE)


class PolicyReader:
    """Turns policy files into policies: inheritance, kinds, values; errors point into the file."""

    def __init__(self, own: Mapping[str, Node], builtin: Mapping[str, Node]) -> None:
        self._own = own
        self._builtin = builtin

    def policy(self, name: str) -> Policy:
        """Resolve one policy.

        Raises:
            ConfigError: unknown fields, kinds, actions or parents, with the nearest known name.
        """
        resolved = PolicyFile()
        for node in reversed(self._lineage(name)):
            resolved = _merged(resolved, _read(node))
            _check_kinds(node, resolved)
        allowed = {kind: _allowed(entries) for kind, entries in resolved.allow.items() if entries}
        terms = TermDetector(resolved.terms)
        return Policy(
            name=name,
            description=resolved.description,
            digest=_digest(resolved),
            input=_side("input", resolved.both | resolved.input, terms, allowed),
            output=_side("output", resolved.both | resolved.output, terms, allowed),
            roles=frozenset(DEFAULT_ROLES if resolved.roles is None else resolved.roles),
            messages=resolved.messages,
            caches=resolved.cache is not False,
        )

    def _lineage(self, name: str) -> list[Node]:
        """The policy's file and those it extends, nearest first.

        A file that extends its own name means the built-in policy of that name.
        """
        node = self._own.get(name) or self._builtin[name]
        lineage, seen = [node], {(name, name in self._own)}
        while (parent := _parent(node)) is not None:
            own = parent in self._own and parent != name
            nodes = self._own if own else self._builtin
            if parent not in nodes:
                known = {*self._own, *self._builtin} - {name}
                hint = did_you_mean(parent, known, kind="policies")
                raise node.error(f"there is no policy {parent!r}", "extends", hint=hint)
            if (parent, own) in seen:
                raise node.error(f"{parent!r} extends this policy in turn", "extends")
            seen.add((parent, own))
            node, name = nodes[parent], parent
            lineage.append(node)
        return lineage


class PolicyLibrary:
    """The policies of a service: its own files over the built-in ones."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = policies

    @classmethod
    def load(cls, root: Path, environ: Mapping[str, str]) -> "PolicyLibrary":
        """Read `root/policies/*.yaml` and the built-in policies.

        Raises:
            ConfigError: says file, line and field.
        """
        builtin: dict[str, Node] = {}
        for entry in files("headrace.screening").joinpath("builtin").iterdir():
            name = entry.name.removesuffix(".yaml")
            text = entry.read_text(encoding="utf-8")
            builtin[name] = parse_yaml(text, f"built-in policy {name}", {}, root=root)
        own = {
            path.stem: load_yaml(path, environ)
            for path in sorted((root / "policies").glob("*.yaml"))
        }
        reader = PolicyReader(own, builtin)
        return cls({name: reader.policy(name) for name in sorted({*own, *builtin})})

    def get(self, name: str) -> Policy:
        """The policy of that name; NotFound names the nearest."""
        policy = self._policies.get(name)
        if policy is None:
            raise NotFound(
                f"there is no policy {name!r}",
                hint=did_you_mean(name, self.names(), kind="policies"),
            )
        return policy

    def names(self) -> Sequence[str]:
        """All policies, sorted."""
        return tuple(self._policies)


_SECTIONS = ("both", "input", "output")


def _parent(node: Node) -> str | None:
    parent = node.value.get("extends") if isinstance(node.value, dict) else None
    return parent if isinstance(parent, str) else None


def _read(node: Node) -> PolicyFile:
    """The file as written; rules are read one by one, so that an error names the kind."""
    if not isinstance(node.value, dict):
        raise node.error("a policy is a mapping", hint="see docs/screening.md for an example")
    plain = node.without(*_SECTIONS, "allow").convert(PolicyFile)
    rules: dict[str, dict[str, RuleSpec]] = {}
    for section in _SECTIONS:
        rules[section] = {}
        for kind, rule in _mapping(node, section).items():
            rules[section][kind] = _rule(rule)
    allow = {kind: _allow_entries(entries) for kind, entries in _mapping(node, "allow").items()}
    return msgspec.structs.replace(plain, allow=allow, **rules)


def _mapping(node: Node, section: str) -> dict[str, Node]:
    assert isinstance(node.value, dict)
    value = node.value.get(section)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise node.error("expected a mapping by finding kind", section)
    return {kind: node.child(section, kind) for kind in value}


def _rule(node: Node) -> RuleSpec:
    if isinstance(node.value, list):
        rules = [_one_rule(node.child(i)) for i in range(len(node.value))]
        if not rules:
            raise node.error("there is no rule in this list", hint=_ACTIONS_HINT)
        for i, (before, rule) in enumerate(itertools.pairwise(rules), start=1):
            if rule.threshold >= before.threshold:
                raise node.error(
                    f"this rule is never reached: the one before applies from {before.threshold} on",
                    i,
                    hint="order the rules from the highest threshold to the lowest",
                )
        return rules
    if isinstance(node.value, dict):
        return _one_rule(node)
    if not isinstance(node.value, str):
        raise node.error(f"expected an action, found {node.value!r}", hint=_ACTIONS_HINT)
    return _check_action(node, node.value)


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
    return node.convert(Rule)


_ACTIONS: tuple[Action, ...] = get_args(Action)
_ACTIONS_HINT = f"actions: {', '.join(_ACTIONS)}"


def _check_action(node: Node, name: str) -> Action:
    for action in _ACTIONS:
        if name == action:
            return action
    raise node.error(f"unknown action {name!r}", hint=did_you_mean(name, _ACTIONS, kind="actions"))


def _as_rule(spec: RuleSpec) -> Rule:
    assert not isinstance(spec, list)
    return spec if isinstance(spec, Rule) else Rule(action=spec)


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


def _allowed(entries: Sequence[str | AllowEntry]) -> re.Pattern[str]:
    """One pattern for all allowed values of a kind."""
    parts: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            entry = AllowEntry(value=entry)
        if entry.value is not None:
            parts.append(f"(?i:{re.escape(entry.value)})")
        elif entry.domain is not None:
            domain = re.escape(entry.domain.lstrip("@."))
            parts.append(rf"(?i:(?:[^@\s]*@)?(?:[^@\s]*\.)?{domain})")
        elif entry.pattern is not None:
            parts.append(f"(?:{entry.pattern})")
    return re.compile("|".join(parts))


def _merged(base: PolicyFile, top: PolicyFile) -> PolicyFile:
    """`top` over `base`. A rule for both sides in `top` also replaces the base's rule per side."""
    return PolicyFile(
        description=top.description or base.description,
        both=base.both | top.both,
        input={k: v for k, v in base.input.items() if k not in top.both} | top.input,
        output={k: v for k, v in base.output.items() if k not in top.both} | top.output,
        terms=base.terms | top.terms,
        allow={
            kind: [*base.allow.get(kind, ()), *top.allow.get(kind, ())]
            for kind in base.allow | top.allow
        },
        roles=base.roles if top.roles is None else top.roles,
        cache=base.cache if top.cache is None else top.cache,
        messages=base.messages | top.messages,
    )


def _check_kinds(node: Node, resolved: PolicyFile) -> None:
    known = {*detectors_by_kind(), "term", *(f"term.{name}" for name in resolved.terms)}
    for section in (*_SECTIONS, "allow"):
        for kind in _mapping(node, section):
            if kind not in known:
                raise node.error(
                    "no detector reports this kind",
                    section,
                    kind,
                    hint=did_you_mean(kind, known, kind="kinds"),
                )


def _side(
    side: Side,
    specs: Mapping[str, RuleSpec],
    terms: TermDetector,
    allowed: Mapping[str, re.Pattern[str]],
) -> SideRules:
    if "term" in specs:
        specs = {**dict.fromkeys(terms.kinds, specs["term"]), **specs}
    rules = {
        kind: tuple(map(_as_rule, spec)) if isinstance(spec, list) else (_as_rule(spec),)
        for kind, spec in specs.items()
        if kind != "term"
    }
    acting: list[Detector] = []
    noting: list[Detector] = []
    installed: list[Detector] = [each for each, _ in detectors().values()]
    for detector in (*installed, terms):
        actions = {rule.action for kind in detector.kinds for rule in rules.get(kind, ())}
        if actions & {"mask", "block"}:
            acting.append(detector)
        elif "flag" in actions:
            noting.append(detector)
    return SideRules(side, tuple(acting), tuple(noting), rules, allowed)


def _digest(resolved: PolicyFile) -> str:
    sources = {name: source for name, (_, source) in detectors().items()}
    data = msgspec.json.encode([resolved, sources], order="sorted")
    return "sha256:" + hashlib.sha256(data).hexdigest()
