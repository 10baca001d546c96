"""Policies: what is done about each kind of finding, from `policies/*.yaml`.

form.py has the file's format; `Policy` is what it means: for each side the detectors to run and the
rule for each kind, for whoever asks.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import msgspec

from headrace.config.node import Node, load_yaml, parse_yaml
from headrace.errors import NotFound, did_you_mean
from headrace.screening.assembly import (
    CostlyUse,
    Ruled,
    check_found,
    check_names,
    detectors_of,
    rules_of,
)
from headrace.screening.content.floor import FLOOR_DETECTOR, with_floor
from headrace.screening.content.kind import FLOOR_KIND
from headrace.screening.contradiction import check_policy
from headrace.screening.finding import Action, Detector, Side
from headrace.screening.form import AllowEntry, PolicyFile, read_policy
from headrace.screening.registry import costly_detectors, detectors
from headrace.screening.rule import SideRules, When, Whom, sided
from headrace.screening.words import CARE, DEFAULT_WORDS, in_language
from headrace.types import Role

__all__ = ["AllowEntry", "CostlyUse", "Policy", "PolicyFile", "PolicyLibrary"]

TESTS = ".tests.yaml"
"""How the names of files end that hold cases of a policy and nothing else."""
DEFAULT_ROLES: tuple[Role, ...] = ("user", "assistant", "tool", "function")
DEFAULT_DOUBT = (0.3, 0.9)
DEFAULT_BUDGET_MS = 1000
_WHOM_CACHE = 256
"""Combinations of conditions kept; a name that clients make up must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy ready to screen with. Immutable; an edited file makes a new one."""

    name: str
    digest: str
    """SHA-256 over the resolved policy and the versions of the detectors, as `sha256:…`."""
    file: PolicyFile
    """All that it says, with what it extends."""
    roles: frozenset[Role]
    quick: tuple[Detector, ...]
    """Detectors that run on the event loop."""
    costly: tuple[CostlyUse, ...]
    rules: Ruled
    allowed: Mapping[str, re.Pattern[str]]
    is_conditional: bool
    """Whether it matters who asks."""
    input: SideRules = field(init=False)
    """For a user of whom nothing more is known."""
    output: SideRules = field(init=False)
    floor: SideRules = field(init=False)
    """For messages that it does not screen: what no policy can switch off."""
    _by_whom: dict[tuple[Side, Whom], SideRules] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", self._sided("input", Whom()))
        object.__setattr__(self, "output", self._sided("output", Whom()))
        floor = [each for each in self.quick if each.name == FLOOR_DETECTOR]
        object.__setattr__(self, "floor", sided("input", floor, with_floor({}), {}))

    @property
    def description(self) -> str:
        """What it is for, in a sentence."""
        return self.file.description

    @property
    def caches(self) -> bool:
        """Whether answers to prompts that it screens may be given again."""
        return self.file.cache is not False

    @property
    def observes(self) -> bool:
        """Whether decisions are only noted."""
        return self.file.mode == "observe"

    @property
    def version(self) -> str:
        """Name and digest, as traces have it."""
        return f"{self.name}@{self.digest}"

    @property
    def doubt(self) -> tuple[float, float]:
        """Scores from which and below which a quick detector is in doubt."""
        return self.file.doubt or DEFAULT_DOUBT

    @property
    def budget_s(self) -> float:
        """Seconds that costly detectors have for one side of a turn."""
        return (self.file.budget_ms or DEFAULT_BUDGET_MS) / 1000

    def side(self, side: Side, whom: Whom) -> SideRules:
        """The rules of a side for whoever asks."""
        if not self.is_conditional:
            return self.input if side == "input" else self.output
        found = self._by_whom.get((side, whom))
        if found is None:
            if len(self._by_whom) >= _WHOM_CACHE:
                self._by_whom.clear()
            found = self._by_whom[side, whom] = self._sided(side, whom)
        return found

    def costly_for(self, side: Side) -> tuple[CostlyUse, ...]:
        """The costly detectors that have a rule on a side."""
        ruled = {
            kind
            for kind, rules in self.rules[side].items()
            if any(rule.action != "allow" for rule in rules)
        }
        return tuple(each for each in self.costly if ruled & set(each.detector.kinds))

    def message(self, language: str | None, kind: str = "", action: Action = "block") -> str:
        """What the user is told when the policy stops a text: by kind, action, or for all."""
        for key in (kind, kind.split("/")[0], kind.split(".")[0], action):
            if texts := self.file.words.get(key):
                return in_language(texts, language)
        if care := CARE.get(kind.split("/")[0]):
            return in_language(care, language)
        if action in DEFAULT_WORDS and action != "block":
            return in_language(DEFAULT_WORDS[action], language)
        return in_language(self.file.messages or DEFAULT_WORDS["block"], language)

    def disclaimer(self, kind: str, language: str | None) -> str:
        """What stands behind an answer in which the kind was found."""
        return in_language(self.file.disclaimers.get(kind, {}), language)

    def _sided(self, side: Side, whom: Whom) -> SideRules:
        rules = {
            kind: tuple(each for each in ruled if whom.meets(each.when))
            for kind, ruled in self.rules[side].items()
        }
        return sided(
            side,
            self.quick,
            with_floor(rules),
            {kind: each for kind, each in self.allowed.items() if kind != FLOOR_KIND},
            observes=self.observes,
            on_error=self.file.on_error or "closed",
        )


class PolicyReader:
    """Turns policy files into policies: inheritance, kinds, values; errors point into the file."""

    def __init__(self, own: Mapping[str, Node], builtin: Mapping[str, Node]) -> None:
        self._own = own
        self._builtin = builtin

    def policy(self, name: str) -> Policy:
        """Resolve one policy.

        Raises:
            ConfigError: unknown fields, kinds, detectors, actions or parents, with the nearest
                known name; or the policy contradicts itself.
        """
        resolved = PolicyFile()
        lineage = self._lineage(name)
        for node in reversed(lineage):
            resolved = _merged(resolved, read_policy(node))
            check_names(node, resolved)
        quick, costly = detectors_of(resolved)
        rules = rules_of(resolved)
        check_policy(lineage[0], resolved, rules)
        check_found(lineage[0], resolved, rules, quick, costly)
        return Policy(
            name=name,
            digest=_digest(resolved),
            file=resolved,
            roles=frozenset(DEFAULT_ROLES if resolved.roles is None else resolved.roles),
            quick=quick,
            costly=costly,
            rules=rules,
            allowed={kind: _allowed(each) for kind, each in resolved.allow.items() if each},
            is_conditional=any(
                rule.when != When() for side in rules.values() for k in side.values() for rule in k
            ),
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

    def __init__(
        self, reader: PolicyReader, own: Collection[str], builtin: Collection[str]
    ) -> None:
        self._reader = reader
        self._names = sorted({*own, *builtin})
        # What users wrote is checked at once. The built-in ones are right, and the detectors that
        # they need take a fifth of a second: a service that screens nothing does without.
        self._policies = {name: reader.policy(name) for name in sorted(own)}

    @classmethod
    def load(cls, root: Path, environ: Mapping[str, str]) -> "PolicyLibrary":
        """Read `root/policies/*.yaml` and the built-in policies.

        Raises:
            ConfigError: says file, line and field.
        """
        return cls._read(root, environ, {})

    @classmethod
    def with_file(cls, root: Path, environ: Mapping[str, str], path: Path) -> "PolicyLibrary":
        """The same, with one more policy from wherever its file is.

        Raises:
            ConfigError: says file, line and field.
        """
        return cls._read(root, environ, {path.stem: load_yaml(path, environ)})

    @classmethod
    def _read(
        cls, root: Path, environ: Mapping[str, str], more: Mapping[str, Node]
    ) -> "PolicyLibrary":
        builtin: dict[str, Node] = {}
        for entry in files("headrace.screening").joinpath("builtin").iterdir():
            name = entry.name.removesuffix(".yaml")
            text = entry.read_text(encoding="utf-8")
            builtin[name] = parse_yaml(text, f"built-in policy {name}", {}, root=root)
        own = {
            path.stem: load_yaml(path, environ)
            for path in sorted((root / "policies").glob("*.yaml"))
            if not path.name.endswith(TESTS)
        }
        own.update(more)
        return cls(PolicyReader(own, builtin), own, builtin)

    def get(self, name: str) -> Policy:
        """The policy of that name; NotFound names the nearest."""
        if name not in self._names:
            raise NotFound(
                f"there is no policy {name!r}",
                hint=did_you_mean(name, self.names(), kind="policies"),
            )
        if name not in self._policies:
            self._policies[name] = self._reader.policy(name)
        return self._policies[name]

    def names(self) -> Sequence[str]:
        """All policies, sorted."""
        return tuple(self._names)


def _parent(node: Node) -> str | None:
    parent = node.value.get("extends") if isinstance(node.value, dict) else None
    return parent if isinstance(parent, str) else None


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


_ABSENT: tuple[tuple[object, ...], ...] = ((None, "", []), (None,))
"""What means that a field is not said; no roles at all is a saying."""


def _merged(base: PolicyFile, top: PolicyFile) -> PolicyFile:
    """`top` over `base`. A rule for both sides in `top` also replaces the base's rule per side."""
    merged: dict[str, object] = {}
    for name in PolicyFile.__struct_fields__:
        under, over = getattr(base, name), getattr(top, name)
        if isinstance(under, dict):
            merged[name] = under | over
        else:
            merged[name] = under if over in _ABSENT[name == "roles"] else over
    merged["input"] = {k: v for k, v in base.input.items() if k not in top.both} | top.input
    merged["output"] = {k: v for k, v in base.output.items() if k not in top.both} | top.output
    merged["allow"] = {
        kind: [*base.allow.get(kind, ()), *top.allow.get(kind, ())]
        for kind in base.allow | top.allow
    }
    merged["extends"], merged["tests"] = top.extends, top.tests
    return PolicyFile(**merged)  # type: ignore[arg-type]  # field by field, as they were


def _digest(resolved: PolicyFile) -> str:
    installed = {**detectors(), **costly_detectors()}
    sources = {name: source for name, (_, source) in installed.items()}
    decides = msgspec.structs.replace(resolved, tests=[], extends=None)
    data = msgspec.json.encode([decides, sources], order="sorted")
    return "sha256:" + hashlib.sha256(data).hexdigest()
