"""Policy files: what they mean, and errors that point into them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import msgspec
import pytest

from headrace.errors import ConfigError, NotFound
from headrace.screening.finding import Detector, Span
from headrace.screening.policy import AllowEntry, Policy, PolicyFile, PolicyLibrary
from headrace.screening.registry import detectors, detectors_by_kind
from headrace.screening.rule import Rule

DOCS = Path(__file__).parents[2] / "docs" / "screening.md"
PAGES = "".join(each.read_text("utf-8") for each in sorted(DOCS.parent.glob("*.md")))


def load(folder: Path, text: str, name: str = "own") -> Policy:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / f"{name}.yaml").write_text(text, "utf-8")
    return PolicyLibrary.load(folder, {"HOST": "example.org"}).get(name)


def test_without_files_there_is_the_built_in_policy(tmp_path: Path) -> None:
    library = PolicyLibrary.load(tmp_path, {})
    assert library.names() == ("default", "personal")
    assert library.get("default").input.rules["email"] == (Rule(action="mask"),)


def test_who_screens_nothing_loads_no_detector(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from headrace.screening.policy import PolicyLibrary
library = PolicyLibrary.load(Path("."), {})
print("phonenumbers" in sys.modules)
library.get("default")
print("phonenumbers" in sys.modules)
"""
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == ["False", "True"]


def test_a_policy_says_only_what_it_changes(tmp_path: Path) -> None:
    policy = load(tmp_path, "extends: default\nboth:\n  email: block\nmessages: {de: Nein.}\n")
    assert policy.input.rules["email"] == policy.output.rules["email"] == (Rule(action="block"),)
    assert policy.input.rules["card"] == (Rule(action="mask"),)
    assert [policy.message(each) for each in ("de", "zh")] == [
        "Nein.",
        "该请求因内容政策而被阻止。",
    ]


def test_a_policy_named_default_may_extend_the_built_in_one(tmp_path: Path) -> None:
    policy = load(tmp_path, "extends: default\ninput: {ip: block}\n", name="default")
    assert policy.input.rules["ip"] == (Rule(action="block"),)
    assert policy.input.rules["email"] == (Rule(action="mask"),)


def test_the_first_rule_whose_threshold_is_met_decides(tmp_path: Path) -> None:
    rules = "[{action: block, threshold: 0.9}, {action: flag, threshold: 0.5}]"
    side = load(tmp_path, f"input: {{injection: {rules}}}").input
    actions = [side.action(Span("injection", 0, 1, score=s), "x") for s in (0.95, 0.6, 0.2)]
    assert actions == ["block", "flag", "allow"]


@pytest.mark.parametrize(
    ("entry", "value", "action"),
    [
        ("ops@example.org", "OPS@example.org", "allow"),
        ("{domain: example.org}", "kim@mail.example.org", "allow"),
        ("{domain: example.org}", "kim@notexample.org", "mask"),
        ("{domain: '${HOST}'}", "kim@example.org", "allow"),
        ("{pattern: 'no-?reply@.*'}", "noreply@a.example", "allow"),
        ("{pattern: 'no-?reply@.*'}", "kim@a.example", "mask"),
    ],
)
def test_allowed_values_are_no_findings(
    tmp_path: Path, entry: str, value: str, action: str
) -> None:
    side = load(tmp_path, f"both: {{email: mask}}\nallow: {{email: [{entry}]}}").input
    assert side.action(Span("email", 0, len(value)), value) == action


def test_the_digest_follows_the_meaning_not_the_wording(tmp_path: Path) -> None:
    first = load(tmp_path, "both: {email: mask, ip: flag}")
    assert load(tmp_path, "# a comment\nboth:\n  ip: flag\n  email: mask\n").digest == first.digest
    assert load(tmp_path, "both: {email: block, ip: flag}").digest != first.digest


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("both:\n  emial: mask", "own.yaml:2: both.emial: no detector", "did you mean 'email'?"),
        ("both:\n  email: msk", "own.yaml:2: both.email: unknown action 'msk'", "'mask'?"),
        (
            "both:\n  email: {action: hide}",
            "own.yaml:2: both.email.action: unknown action",
            "allow",
        ),
        ("both:\n  email: 3", "own.yaml:2: both.email: expected an action, found 3", "flag"),
        ("both:\n  email: {action: mask, treshold: 1}", "own.yaml:2: both.email", "'threshold'?"),
        (
            "both:\n  email: [mask]",
            "own.yaml:2: both.email[0]: expected a rule, found 'mask'",
            "alone",
        ),
        ("both:\n  email: [[mask]]", "own.yaml:2: both.email[0]: expected a rule", "action: mask"),
        ("both:\n  email: []", "own.yaml:2: both.email: there is no rule", "mask"),
        ("both: [email]", "own.yaml:1: both: expected a mapping", ""),
        ("\ninputs: {}", "own.yaml:2: inputs", "'input'?"),
        ("- email", "own.yaml:1: a policy is a mapping", "docs/screening.md"),
        ("extends: defualt", "own.yaml:1: extends: there is no policy 'defualt'", "'default'?"),
        ("allow:\n  email:\n    - {}", "own.yaml:3: allow.email[0]: set exactly one", ""),
        ("allow:\n  email:\n    - {pattern: '('}", "own.yaml:3: allow.email[0].pattern: not a", ""),
        (
            "terms: {a: [x]}\nboth: {term.b: mask}",
            "own.yaml:2: both.'term.b': no detector",
            "term.a",
        ),
        (
            "both:\n  email:\n    - {action: mask}\n    - {action: block}",
            "own.yaml:4: both.email[1]: this rule is never reached",
            "highest threshold",
        ),
    ],
)
def test_errors_point_into_the_file_and_say_what_to_write(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_policies_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.yaml").write_text("extends: b", "utf-8")
    with pytest.raises(ConfigError, match="in turn"):
        load(tmp_path, "extends: a", name="b")


def test_an_unknown_policy_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        PolicyLibrary.load(tmp_path, {}).get("defalt")
    assert missing.value.hint == "did you mean 'default'?"


FIELDS = [
    each.name for kind in (PolicyFile, Rule, AllowEntry) for each in msgspec.structs.fields(kind)
]


@pytest.mark.parametrize("word", sorted({*FIELDS, *detectors(), *detectors_by_kind()}))
def test_every_field_detector_and_kind_is_in_the_docs(word: str) -> None:
    assert f"`{word}`" in PAGES


def test_the_policy_and_the_detector_in_the_docs_work(tmp_path: Path) -> None:
    text = DOCS.read_text("utf-8")
    policy = load(tmp_path, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0], name="shop")
    assert policy.input.rules["term.rivals"] == (Rule(action="block"),)
    value = "kim@shop.example"
    assert policy.output.action(Span("email", 0, len(value)), value) == "allow"
    names: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], names)
    detector = cast("type[Detector]", names["TicketDetector"])()
    assert list(detector.detect("see TCK-20417.")) == [Span("ticket", 4, 13)]
